"""The commands `info --account`, `table` and `compare`, which print the costs of networks."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from keras_ilsvrc.cli.options import Json, check_file, complete_nets, table_of
from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.registry import Net
from keras_ilsvrc.nets.table import PRINTED
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.utils.streams import quiet_tensorflow

WIDTH = 100
ERRORS = ("top1_error", "top5_error")
NUMBERS = ("parameters", "units", "macs", "memory")


def accounted(name: str, opened: bool = False) -> tuple[Any, Any]:
    """Build a net without initial weights; return the model and its `Account` of costs per layer.

    If `opened`, the account has separate rows for the layers inside residual units.
    """
    quiet_tensorflow()
    with Console(stderr=True).status(f"building {name}"):
        import keras

        from keras_ilsvrc.accounting import account
        from keras_ilsvrc.nets.build import build

        with keras.StatelessScope(initialize_variables=False):
            model = build(name)
        return model, account(model, opened)


def show_account(name: str, by_stage: bool, opened: bool, as_json: bool) -> None:
    """Print the parameter and operation counts of a net, with a row for each layer or stage."""
    account = accounted(name, opened)[1]
    stages = account.by_stage() if by_stage else []
    if as_json:
        whole = dataclasses.asdict(account)
        rows = {"rows": [dataclasses.asdict(stage) for stage in stages]} if by_stage else {}
        print(json.dumps({**whole, **rows}, indent=2))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), show_footer=True)
    geometry = () if by_stage else ("field", "stride", "start")
    numbers = ("parameters", "units", "connections", "macs")
    table.add_column("stage" if by_stage else "layer", "total", overflow="fold")
    table.add_column("output", no_wrap=True)
    for quantity in (*numbers, *geometry, "memory"):
        total = "" if quantity in geometry else _cell(quantity, getattr(account, quantity))
        heading = "MACs" if quantity == "macs" else quantity
        table.add_column(heading, total, justify="right", no_wrap=True)
    for row in stages or account.rows:
        label = f"{row.rows[0]} ... {row.rows[-1]}" if by_stage else row.name
        cells = [_cell(key, getattr(row, key)) for key in (*numbers, *geometry, "memory")]
        table.add_row(label, "x".join(map(str, row.size)), *cells)
    Console(width=WIDTH).print(table, markup=False)
    print(
        "Connections include biases; MACs (multiply-adds) do not. Memory: bytes of layer outputs."
    )
    if not by_stage:
        print("Receptive field, stride and start are in pixels; a start below 0 is in the padding.")


def _cell(quantity: str, value: Any) -> str:
    """Return a count as text for a table: empty for zero, `?` if unknown."""
    if value is None:
        return "?"
    if isinstance(value, tuple):
        return "x".join(map(str, value if len(set(value)) > 1 else value[:1]))
    if quantity == "memory":
        return f"{value / 1e6:.1f}M" if value >= 1e5 else f"{value / 1e3:.1f}K"
    return f"{value:,}" if value else ""


def table(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of a network, for example googlenet or lenet5.", autocompletion=complete_nets
        ),
    ],
    as_json: Json = False,
) -> None:
    """Compare the table of layers in a network's paper with the network as built here."""
    net = info(name)
    if net.name not in PRINTED:
        raise InputError(
            f"{net.paper} prints no table of {net.name} to compare with; networks with a table: "
            + ", ".join(PRINTED)
        )
    rows = printed_rows(net, *accounted(name, opened=True))
    if as_json:
        keys = ("label", "quantity", "printed", "computed", "verdict")
        print(json.dumps([dict(zip(keys, row)) for row in rows], indent=2))
        return
    title = f"{net.name}: {net.paper}, {PRINTED[net.name].title}"
    headings = ("", "", "printed", "computed", "")
    shown_table = table_of(headings, ("",), title=title, title_justify="left")
    for row in rows:
        shown_table.add_row(*row)
    Console(width=WIDTH).print(shown_table, markup=False)


def printed_rows(net: Net, model: Any, account: Any) -> list[tuple[str, str, str, str, str]]:
    """Return the rows of a paper's table: label, quantity, printed and computed value, verdict.

    Args:
        net: Net whose paper prints a table, a key of `PRINTED`.
        model: Model of the net.
        account: Costs of the model, from `accounted` with `opened`.
    """
    paper, rows = PRINTED[net.name], []
    for line in paper.lines():
        value = computed(model, account, line.quantity, line.layers)
        equal, shown = agree(line.printed, value, paper.thousand)
        verdict = "equal" if equal else (line.why or "differs")
        rows.append((line.label, line.quantity, line.printed, shown, verdict))
    return rows


def computed(model: Any, account: Any, quantity: str, layers: str) -> Any:
    """Return a quantity of a net or of one of its layers, for example the number of parameters.

    Args:
        model: Model of the net.
        account: Costs of the model, from `accounted`.
        quantity: Attribute of the account to sum; or `size`, the output shape of the last layer;
            or `cells`, the convolutions as text, for example `conv3-64 conv1-64`.
        layers: Name of a layer, or common prefix of layers named `<layers>_*` or `<layers>/*`.
            If empty, the quantity is that of the whole net.

    Raises:
        ValueError: If the account has no such layer.
    """
    if not layers:
        return getattr(account, quantity)
    own = re.compile(rf"{re.escape(layers)}(_|/|$)")
    if quantity == "cells":
        chosen = [x for x in model.layers if own.match(x.name) and hasattr(x, "kernel")]
        return " ".join(f"conv{x.kernel_size[0]}-{x.filters}" for x in chosen)
    rows = [row for row in account.rows if own.match(row.name)]
    if not rows:
        raise ValueError(f"a Line of PRINTED names {layers!r}, but the account has no such layer")
    if quantity == "size":
        return "x".join(map(str, rows[-1].size))
    return sum(getattr(row, quantity) for row in rows)


def agree(printed: str, value: Any, thousand: int) -> tuple[bool, str]:
    """Compare a value with the rounded value in a paper; return (whether they agree, its text).

    A value agrees if it rounds up or down to the printed one. `thousand` is the number that the
    suffix K means in the paper: 1,000 or 1,024.
    """
    if isinstance(value, str):
        return value == printed or value.startswith(f"{printed}x"), value
    number, suffix = re.fullmatch(r"([\d.,]+)([KMG]?)", printed).groups()  # type: ignore[union-attr]
    scaled = value / {"": 1, "K": thousand, "M": 1e6, "G": 1e9}[suffix]
    digits = len(number.partition(".")[2])
    equal = abs(scaled - float(number.replace(",", ""))) < 10.0**-digits
    shown = f"{scaled:,.{digits}f}{suffix}"
    return equal, shown if shown == printed or not suffix else f"{scaled:,.{digits + 2}f}{suffix}"


def compare(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Names of networks, for example alexnet vgg19.", autocompletion=complete_nets
        ),
    ],
    plot: Annotated[
        Path | None,
        typer.Option(help="PNG file to write, with a plot of errors against multiply-adds."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the costs and published errors of networks side by side."""
    nets = {name: info(name) for name in names}
    if plot is not None:
        check_file("--plot", plot, ".png")
    rows = []
    for name, net in nets.items():
        account = accounted(name)[1]
        numbers = {key: getattr(account, key) for key in NUMBERS}
        errors = {key: getattr(net, key) for key in ERRORS}
        facts = {"net": net.name, "year": net.year, "depth": account.depth}
        rows.append({**facts, **numbers, **errors, "protocol": net.protocol})
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        _print_side_by_side(rows)
    if plot is not None:
        from keras_ilsvrc.visualize.comparison import error_against_operations

        try:
            error_against_operations(rows, plot)
        except OSError as error:
            raise InputError(f"--plot is {plot}, which cannot be written: {error}") from error
        print(plot)


def _print_side_by_side(rows: list[dict[str, Any]]) -> None:
    """Print a table of nets. The depth is the number of layers with weights on the longest path."""
    costs = ("year", "depth", "parameters", "units", "MACs", "memory")
    headings = ("net", *costs, "top-1 %", "top-5 %", "protocol")
    table = table_of(headings, ("net", "protocol"), padding=(0, 1, 0, 0))
    for row in rows:
        errors = ["" if row[key] is None else f"{row[key]:.2f}" for key in ERRORS]
        cost = [_cell(key, row[key]) for key in NUMBERS]
        year, depth = str(row["year"]), str(row["depth"])
        table.add_row(row["net"], year, depth, *cost, *errors, row["protocol"] or "")
    Console(width=WIDTH).print(table, markup=False)
    print("Errors are those published for a single net. Memory: bytes of layer outputs, one image.")
