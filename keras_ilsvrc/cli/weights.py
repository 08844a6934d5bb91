"""The `weights` commands, which list, inspect and convert files of trained weights."""

import json
import math
import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from keras_ilsvrc import files
from keras_ilsvrc.cli.options import FAULT, Json, check_file, complete_nets, print_next, table_of
from keras_ilsvrc.errors import InputError, counted, nearest, printable
from keras_ilsvrc.nets import NETS, info
from keras_ilsvrc.terminal.streams import quiet, quiet_tensorflow
from keras_ilsvrc.weights import read
from keras_ilsvrc.weights.recognise import Match, closest, recognise
from keras_ilsvrc.weights.reference import Original, check_runtime, compare
from keras_ilsvrc.weights.sources import SOURCES, source_named
from keras_ilsvrc.weights.sources.facts import facts as texts

if TYPE_CHECKING:
    import keras

    from keras_ilsvrc.weights.load import Report
    from keras_ilsvrc.weights.tensors import Tensors

SHOWN = 12  # maximum number of tensors printed without --all
WIDE = 300  # width of tables in characters, if the output is no terminal
SUFFIX = ".weights.h5"
TOLERANCE = 1e-4  # largest accepted difference from the original, relative to the scale

File = Annotated[Path, typer.Argument(help="Weight file.")]
Sha256 = Annotated[str | None, typer.Option("--sha256", help="SHA-256 that the file must have.")]
app = typer.Typer(no_args_is_help=True, help="List, inspect and convert files of trained weights.")


@app.command("list")
def list_sources(
    net: Annotated[
        str, typer.Argument(help="Network or pattern.", autocompletion=complete_nets)
    ] = "*",
) -> None:
    """List the published weights of networks."""
    rows = [source for source in SOURCES if fnmatchcase(source.net, net)]
    if not rows:
        known = sorted({source.net for source in SOURCES})
        raise InputError(f"no published weights of {net!r} are known; {nearest(net, known)}")
    keys = ("file", "accuracy", "licence", "download")
    _print(
        ("net", "source", *keys),
        ((one.net, one.name, *(texts(one)[key] for key in keys)) for one in rows),
    )


@app.command("inspect")
def inspect(
    file: File,
    sha256: Sha256 = None,
    everything: Annotated[bool, typer.Option("--all", help="Print every tensor.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a weight file contains and which networks it fits."""
    tensors = read(file, sha256)
    stored, matches = tensors.stored, recognise(tensors)
    facts: dict[str, Any] = {
        "file": str(file),
        "format": tensors.format,
        "bytes": file.stat().st_size,
        "values": sum(math.prod(one.shape) for one in stored.values()),
        "tensors": [(name, _shape(one.shape), str(one.dtype)) for name, one in stored.items()],
        "fits": [_source(one) for one in matches],
        "reason": None if matches else closest(tensors).reason,
    }
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    totals = [counted(facts["bytes"], "byte"), counted(len(stored), "tensor")]
    totals += [counted(facts["values"], "value"), *sorted({row[2] for row in facts["tensors"]})]
    print(f"{printable(str(file))}: {', '.join([tensors.format, *totals])}\n")
    shown = facts["tensors"][: None if everything else SHOWN]
    _print(("tensor", "shape", "dtype"), shown)
    if len(shown) < len(stored):
        print(f"... {counted(len(stored) - len(shown), 'more tensor')} (--all shows all)")
    print()
    if not matches:
        print(f"fits no network: {printable(facts['reason'])}")
        return
    for one in matches:
        print(f"fits {_fits(one)}")
    print(f"\n{printable(_code(file, matches[0], {}))}")
    net = matches[0].source.net
    print_next("weights", "convert", file, "--net", net, "--out", f"{net}{SUFFIX}")


@app.command("convert")
def convert(
    file: File,
    net: Annotated[str, typer.Option(help="Network.", autocompletion=complete_nets)],
    out: Annotated[Path, typer.Option(help=f"File to write, which ends in {SUFFIX}.")],
    source: Annotated[
        str | None, typer.Option(help="Source of the weights (default: recognised).")
    ] = None,
    classes: Annotated[int | None, typer.Option(help="Expected number of classes.")] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Compare layers with the original, run by onnx, torch or keras."),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(help="With --reference: image file; repeatable (default: photographs)."),
    ] = None,
    sha256: Sha256 = None,
    as_json: Json = False,
) -> None:
    """Convert a weight file for a network. Nothing is written if a tensor does not fit."""
    check_file("--out", out, ".h5")
    if not out.name.endswith(SUFFIX):
        raise InputError(f"--out is {out}; expected a file that ends in {SUFFIX}")
    default = info(net).classes
    tensors = read(file, sha256)
    if out.exists() and out.samefile(file):
        raise InputError(f"--out is {out}, the file to convert; choose another name")
    match = _match(tensors, net, source, classes, default)
    if reference is not None:
        check_runtime(reference)
    quiet_tensorflow()
    with quiet(), Console(stderr=True).status(f"converting {printable(str(file))}"):
        model, report = _loaded(tensors, match)
        found = dict[str, float]()
        if reference is not None:
            layers = {row.theirs: row.ours.rpartition("/")[0] for row in report.rows}
            original = Original(model, tensors, match.source, layers)
            found = _compared(original, report, reference, image)
        worst = max(found, key=lambda layer: found[layer], default="")
        failed = found.get(worst, 0.0) > TOLERANCE
        if not failed:
            with files.whole(out) as part:
                model.save_weights(part)
    if as_json:
        facts = {"file": str(file), **_source(match), "out": None if failed else str(out)}
        facts |= {"rows": [row._asdict() for row in report.rows], "left_out": report.left_out}
        print(json.dumps(facts | {"differences": found}, indent=2))
    else:
        _print_report(report, found)
    if failed:
        line = f"{file}: {worst} differs from the original's by {found[worst]:.1e} of its scale"
        print(f"error: {printable(line)}; nothing is written", file=sys.stderr)
        raise typer.Exit(FAULT)
    if not as_json:
        size = counted(out.stat().st_size, "byte")
        print(f"\n{printable(str(out))}: {_fits(match)}, {size}")
        print(printable(_code(out, match, match.source.options)))


def _match(
    tensors: "Tensors", net: str, name: str | None, classes: int | None, default: int
) -> Match:
    """Return the source of a file for a net; if none fits, the one that the file is most like.

    Raises:
        InputError: If the source is unknown, or the file has another number of classes.
    """
    wanted = None if name is None else source_named(name, net)
    found = [one for one in recognise(tensors, net) if wanted in (None, one.source)]
    found = found or [Match(wanted or closest(tensors, net).source, classes or default)]
    if classes not in (None, found[0].classes):
        raise InputError(
            f"{tensors.path}: {_fits(found[0])}, but --classes is {classes}; leave out --classes, "
            f"and build the net with classes={classes} and the converted weights"
        )
    return found[0]


def _loaded(tensors: "Tensors", match: Match) -> "tuple[keras.Model, Report]":
    """Return the net of a match with the weights of the file, and the report about them."""
    from keras_ilsvrc.nets.build import build
    from keras_ilsvrc.weights.load import assign
    from keras_ilsvrc.weights.preprocessing import remember

    source, head = match.source, match.classes is not None
    shape, classes = source.input_shape, match.classes
    options = {"classifier_activation": None, "input_shape": shape, **source.options}
    model = build(source.net, include_top=head, classes=classes, **options)
    try:
        report = assign(model, tensors, source.layout, head)
    except InputError as error:
        for line in getattr(error, "__notes__", ()):
            print(printable(line), file=sys.stderr)
        raise
    remember(model, source, report)
    return model, report


def _compared(
    original: "Original", report: "Report", runtime: str, paths: list[Path] | None
) -> dict[str, float]:
    """Return the differences of a model's layers from the original's, on images."""
    from keras_ilsvrc.runs.exporting import sample_images
    from keras_ilsvrc.weights.preprocessing import preprocess

    model, rows = original.model, original.source.preprocessing
    shape = model.inputs[0].shape
    resized = any(row["op"].startswith("resize") for row in rows)
    samples = sample_images((1, None, None, shape[-1]) if resized else shape, rows)
    bgr = any("channels reversed" in row.steps for row in report.rows)
    return compare(original, [preprocess(one, model) for one in paths or samples], bgr, runtime)


def _print_report(report: "Report", differences: dict[str, float]) -> None:
    """Print a row for each tensor, totals, and the difference of each layer from the original."""
    headings = ("theirs", "shape", "done", "ours", "shape of ours")
    rows = (
        (x.theirs, _shape(x.stored_shape), ", ".join(x.steps), x.ours, _shape(x.shape))
        for x in report.rows
    )
    _print(headings, rows)
    values = sum(math.prod(row.shape) for row in report.rows)
    print(f"\n{counted(len(report.rows), 'tensor')}, {counted(values, 'value')}")
    if report.left_out:
        print(f"left out: {printable(', '.join(report.left_out))}")
    if differences:
        print("\nlargest difference of outputs from the original's, relative to the scale:")
        _print(("layer", "difference"), ((layer, f"{x:.1e}") for layer, x in differences.items()))


def _print(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    table = table_of(headings, headings)
    for row in rows:
        table.add_row(*map(printable, row))
    console = Console()
    if not console.is_terminal:
        console.width = WIDE  # a line per row, for other programs
    console.print(table, markup=False, highlight=False)


def _source(match: Match) -> dict[str, Any]:
    return {"net": match.source.net, "source": match.source.name, "classes": match.classes}


def _fits(match: Match) -> str:
    """Return the network, source and number of classes of a match, in words."""
    classes = "without classifier" if match.classes is None else f"{match.classes:,} classes"
    return f"{match.source.net} as {match.source.name}, {classes}"


def _code(path: Path, match: Match, options: Mapping[str, Any]) -> str:
    """Return the line of Python that builds a network with a file."""
    arguments: dict[str, Any] = {"weights": str(path)}
    if match.classes is None:
        arguments["include_top"] = False
    elif match.classes != NETS[match.source.net].classes:
        arguments["classes"] = match.classes
    words = [f"{key}={value!r}" for key, value in {**arguments, **options}.items()]
    return f"keras_ilsvrc.build({', '.join([repr(match.source.net), *words])})"


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one value"
