"""The `list` and `info` commands, which print facts about the networks."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from keras_ilsvrc.cli.options import Json, complete_nets, table_of
from keras_ilsvrc.nets import NETS, available
from keras_ilsvrc.nets import info as facts
from keras_ilsvrc.nets.registry import Net
from keras_ilsvrc.nets.variations import Variation
from keras_ilsvrc.sweeps.space import Hyperparameter, known
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.weights.sources import RECOMMENDED
from keras_ilsvrc.weights.sources.facts import facts as source_facts
from keras_ilsvrc.weights.sources.source import Source


def list_nets(
    pattern: Annotated[
        str,
        typer.Argument(
            help="Shell pattern for network names, for example 'resnet*'.",
            autocompletion=complete_nets,
        ),
    ] = "*",
    as_json: Json = False,
) -> None:
    """List the networks, with parameter counts and published errors."""
    rows = [NETS[name] for name in available(pattern)]
    if not rows:
        raise InputError(f"no net matches {pattern!r}; `keras-ilsvrc list` shows all nets")
    if as_json:
        print(json.dumps([_as_dict(net) for net in rows], indent=2))
        return
    headings = ("net", "year", "parameters", "top-1 %", "top-5 %", "protocol", "input")
    table = table_of(headings, ("net", "year", "protocol", "input"))
    for net in rows:
        table.add_row(
            net.name,
            str(net.year),
            "any depth" if net.parameters is None else f"{net.parameters:,}",
            _percent(net.top1_error),
            _percent(net.top5_error),
            net.protocol or "",
            "x".join(map(str, net.input_shape)),
        )
    Console().print(table)


def show_info(
    name: Annotated[
        str,
        typer.Argument(
            help="Name of a network, e.g. alexnet\\[activation=tanh].",
            autocompletion=complete_nets,
        ),
    ],
    account: Annotated[
        bool,
        typer.Option(
            "--account", help="Print parameter counts, operation counts and receptive fields."
        ),
    ] = False,
    space: Annotated[
        bool,
        typer.Option("--space", help="Print the hyperparameters that a search varies by default."),
    ] = False,
    by: Annotated[
        str, typer.Option(help="With --account: print a row for each 'layer' or each 'stage'.")
    ] = "layer",
    opened: Annotated[
        bool,
        typer.Option(
            "--open", help="With --account: also print the layers inside units and nested models."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Show a network's paper, results, variations, departures from the paper, and weights."""
    net = facts(name)
    _check_options(account, space, by, opened)
    if account:
        from keras_ilsvrc.cli.accounts import show_account

        show_account(name, by == "stage", opened, as_json)
    elif space:
        _print_space(known(name, {}), as_json)
    elif as_json:
        print(json.dumps(_as_dict(net), indent=2))
    else:
        _print_facts(net)


def _check_options(account: bool, space: bool, by: str, opened: bool) -> None:
    if space and account:
        raise InputError("--space and --account print different tables; pass only one of them")
    if by not in ("layer", "stage"):
        raise InputError(f"--by is {by!r}; expected layer or stage")
    if not account and (by != "layer" or opened):
        raise InputError("--by and --open apply only to --account; pass --account too")


def _print_space(rows: Mapping[str, Hyperparameter], as_json: bool) -> None:
    """Print the hyperparameters that a search over a network varies by default."""
    rows = {key: row for key, row in rows.items() if row.searched}
    if as_json:
        shown = [
            {
                "name": key,
                "interval" if isinstance(row.searched, tuple) else "values": row.searched,
                "default": row.default,
                "source": row.source,
            }
            for key, row in rows.items()
        ]
        print(json.dumps(shown, indent=2))
        return
    headings = ("hyperparameter", "searched", "default", "source")
    table = table_of(headings, headings)
    for key, row in rows.items():
        ends = isinstance(row.searched, tuple)
        values = (" to " if ends else ", ").join(map(str, row.searched))
        table.add_row(key, values, str(row.default), row.source)
    Console().print(table, markup=False)


def _print_facts(net: Net) -> None:
    """Print the facts about a network as a table."""
    errors = [
        f"top-{k} {error:g} %"
        for k, error in ((1, net.top1_error), (5, net.top5_error))
        if error is not None
    ]
    if net.published:
        status = "the published net"
    elif net.varied:
        status = "not the published net: " + ", ".join(f"{k}={v}" for k, v in net.varied.items())
    else:
        status = "a family of nets; pass a depth to build one"
    shared = f"images of at least {net.minimum}x{net.minimum}, {net.classes} classes"
    rows = {
        "paper": f"{net.paper} ({net.year})",
        "place": net.place,
        "new": "\n".join(f"- {line}" for line in net.news),
        "status": status,
        "input": f"{'x'.join(map(str, net.input_shape))}; {shared}",
        "parameters": "build it to count them" if net.parameters is None else f"{net.parameters:,}",
        "published": f"{', '.join(errors)} ({net.protocol})" if errors else "none",
        "variations": "\n".join(_variation(k, v) for k, v in net.variations.items()) or "none",
        "departs": "\n".join(f"- {line}" for line in net.departures) or "nowhere",
    }
    title = Text(net.name)
    table = table_of(("", ""), ("",), show_header=False, title=title, title_justify="left")
    for key, value in rows.items():
        table.add_row(key, value)
    for source in _published(net):
        recommended = source == net.sources.get(RECOMMENDED)
        word = f' (recommended: weights="{RECOMMENDED}")' if recommended else ""
        table.add_row("weights", f"{source.name}{word}")
        for key, value in source_facts(source).items():
            if value:
                table.add_row(f"- {key}", value)
    Console().print(table, markup=False)


def _as_dict(net: Net) -> dict[str, Any]:
    """Return the facts about a network as a dict of JSON values."""
    row = dataclasses.asdict(dataclasses.replace(net, variations={}))
    row["variations"] = {key: _variation("", v).strip() for key, v in net.variations.items()}
    row["sources"] = [dataclasses.asdict(source) for source in _published(net)]
    return {**row, "published": net.published}


def _published(net: Net) -> list[Source]:
    """Return the published weights of a net, without duplicates."""
    return [source for name, source in net.sources.items() if name == source.name]


def _variation(key: str, variation: Variation) -> str:
    default = "" if variation.default is None else f" (published: {variation.default})"
    return f"{key}  {variation}{default}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
