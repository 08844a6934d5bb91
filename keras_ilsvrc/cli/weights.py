"""The `weights` commands, which list, inspect and convert files of trained weights."""

import json
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import FAULT, Json, check_file, complete_nets, print_next, table_of
from keras_ilsvrc.nets import NETS, chosen, info
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import InputError, counted, nearest, printable
from keras_ilsvrc.utils.streams import quiet, quiet_tensorflow
from keras_ilsvrc.weights.sources import SOURCES, Source, source_named
from keras_ilsvrc.weights.sources.facts import facts as texts
from keras_ilsvrc.weights.sources.facts import short_accuracy
from keras_ilsvrc.weights.sources.source import CAFFE, normalised

if TYPE_CHECKING:
    from keras_ilsvrc.nets.pretrained import Found
    from keras_ilsvrc.weights.load import Report
    from keras_ilsvrc.weights.recognise import Match
    from keras_ilsvrc.weights.reference import Original

SHOWN = 12  # maximum number of tensors printed without --all
WIDE = 300  # width of tables outside a terminal, so that each row is one line
SUFFIX = ".weights.h5"
TOLERANCE = 1e-4  # maximum difference from the original net, relative to a layer's largest output

File = Annotated[Path, typer.Argument(help="File of trained weights.")]
Sha256 = Annotated[str | None, typer.Option("--sha256", help="SHA-256 that the file must have.")]
app = typer.Typer(no_args_is_help=True, help="List, inspect and convert files of trained weights.")


@app.command("list")
def list_sources(
    net: Annotated[
        str, typer.Argument(help="Name of a network.", autocompletion=complete_nets)
    ] = "*",
) -> None:
    """List the published weights of networks."""
    rows = [source for source in SOURCES if fnmatchcase(source.net, net)]
    if not rows:
        known = sorted({source.net for source in SOURCES})
        hint = nearest(net, known) or "`keras-ilsvrc weights list` shows all"
        raise InputError(f"no published weights of {net!r} are known; {hint}")
    headings = ("net", "source", "file", "top-1 / top-5 %", "licence", "download")
    cells = (
        (one.net, one.name, one.file, short_accuracy(one), *map(texts(one).get, headings[-2:]))
        for one in rows
    )
    _print(headings, cells, wrapped=False)


@app.command("inspect")
def inspect(
    file: File,
    sha256: Sha256 = None,
    everything: Annotated[bool, typer.Option("--all", help="Print every tensor.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a weight file contains and which networks it fits."""
    from keras_ilsvrc.weights.readers import read
    from keras_ilsvrc.weights.recognise import closest, identified, recognise, written_by_keras

    tensors = read(file, sha256)
    stored, matches = tensors.stored, recognise(tensors)
    facts: dict[str, Any] = {
        "file": str(file),
        "format": tensors.format,
        "bytes": file.stat().st_size,
        "values": sum(math.prod(one.shape) for one in stored.values()),
        "tensors": [(name, _shape(one.shape), str(one.dtype)) for name, one in stored.items()],
        "fits": [(one.source.net, one.source.name, one.classes) for one in matches],
        "reason": None if matches else closest(tensors)[1],
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
        print(f"... {counted(len(stored) - len(shown), 'more tensor')} (--all prints every tensor)")
    print()
    for one in matches:
        print(f"fits {_described(one)}")
    nets = {one.source.net for one in matches}
    known = identified(tensors, matches) if len(nets) > 1 else None
    for one in matches:
        if len(nets) == 1 or one.source == known:
            net = one.source.net
            print(_code(file, one, {}))
            print_next("weights", "convert", file, "--net", net, "--out", f"{net}{SUFFIX}")
            break
    if len(nets) > 1 and not known:
        print(f"names and shapes do not show which of the {len(nets)} networks the file is for")
    if not matches:
        start = "" if written_by_keras(tensors) else "fits no network: "
        print(f"{start}{printable(facts['reason'])}")


@app.command("convert")
def convert(
    file: File,
    net: Annotated[str, typer.Option(help="Name of a network.", autocompletion=complete_nets)],
    out: Annotated[Path, typer.Option(help=f"File to write; its name ends in {SUFFIX}.")],
    source: Annotated[
        str | None, typer.Option(help="Source of the weights (default: recognised from the file).")
    ] = None,
    classes: Annotated[int | None, typer.Option(help="Expected number of classes.")] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Compare with the outputs of the original net in onnx, torch or keras."),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(help="Image for --reference; repeatable (default: sample images)."),
    ] = None,
    sha256: Sha256 = None,
    as_json: Json = False,
) -> None:
    """Convert a weight file for a network. Nothing is written if a tensor does not fit."""
    from keras_ilsvrc.weights.onnx_input import input_shape
    from keras_ilsvrc.weights.reference import check_runtime

    check_file("--out", out, SUFFIX)
    if reference is not None:
        check_runtime(reference)
    opened, found, options = _found(file, net, source, classes, sha256)
    if out.exists() and out.samefile(file):
        raise InputError(f"--out is {out}, the file to convert; choose another name")
    quiet_tensorflow()
    with quiet(), Console(stderr=True).status(f"converting {printable(str(file))}"):
        read_size = reference == opened.tensors.format == "onnx" and not found.source.input_shape
        size = {"input_shape": input_shape(file)} if read_size else {}
        original, report = _loaded(opened, found, {**options, **size})
        differences = _compared(original, report, reference, image) if reference else {}
        wrong = [f"{name} by {x:.1e}" for name, x in differences.items() if x > TOLERANCE]
        if not wrong:
            with files.whole(out) as part:
                original.model.save_weights(part)
    if as_json:
        facts = {"net": net, "source": found.source.name, "classes": found.classes}
        table = {"rows": [row._asdict() for row in report.rows], "left_out": report.left_out}
        print(json.dumps({**facts, **table, "differences": differences}, indent=2))
    else:
        _print_report(report, differences, found.source)
    if wrong:
        line = (
            f"{file}: outputs differ from those of the original net, first in layer {wrong[0]} of"
        )
        line += f" the largest output; expected at most {TOLERANCE:g}; nothing is written"
        print(printable(f"error: {line}"), file=sys.stderr)
        raise typer.Exit(FAULT)
    if not as_json:
        print(f"\n{printable(str(out))}: {_described(found)}")
        print(_code(out, found, options))


def _found(
    file: Path, net: str, name: str | None, classes: int | None, sha256: str | None
) -> "tuple[Found, Match, dict[str, Any]]":
    """Open a weight file for a net. Return the file, its source, and the options of `build`.

    Raises:
        InputError: If the file cannot be read, or belongs to another net, or has another number of
            classes, or if the source is unknown.
    """
    from keras_ilsvrc.nets.pretrained import find, options_for
    from keras_ilsvrc.weights.recognise import Match, recognise

    bare = net.partition("[")[0]
    named = None if name is None else source_named(name, bare)
    found = find(info(net), file, sha256)
    source = named or found.source
    if found.by_keras or source is None:
        raise InputError(
            f"{file}: already a file of this package; pass it to build({net!r}, weights=...)"
        )
    fits = [match.source for match in recognise(found.tensors, bare)]
    if fits and source not in fits:
        names = " or ".join(one.name for one in fits)
        raise InputError(
            f"{file}: its tensors are those of the {names} weights; leave out --source"
        )
    match = Match(source, found.classes)
    if classes not in (None, found.classes):
        raise InputError(
            f"{file}: {_described(match)}, but --classes is {classes}; leave out --classes"
        )
    return found, match, options_for(replace(found, source=source), chosen(net, {}))


def _loaded(
    opened: "Found", found: "Match", options: Mapping[str, Any]
) -> "tuple[Original, Report]":
    """Build the net of a source, set its weights from a file, and return it with a report."""
    from keras_ilsvrc.nets.build import build
    from keras_ilsvrc.nets.deferred import Deferred
    from keras_ilsvrc.weights.load import assign
    from keras_ilsvrc.weights.preprocessing import remember
    from keras_ilsvrc.weights.reference import Original

    source, head = found.source, found.classes is not None
    given = {"classifier_activation": None, "input_shape": source.input_shape, **options}
    try:
        with Deferred():
            model = build(source.net, include_top=head, classes=found.classes, **given)
            report = assign(model, opened.tensors, source.layout, head, misfit=opened.misfit)
    except InputError as error:
        for line in getattr(error, "__notes__", ()):
            print(printable(line), file=sys.stderr)
        raise
    remember(model, source)
    layers = {row.theirs: row.ours.rpartition("/")[0] for row in report.rows}
    return Original(model, opened.tensors, source, layers), report


def _compared(
    original: "Original", report: "Report", runtime: str, paths: list[Path] | None
) -> dict[str, float]:
    """Return {layer: largest difference from the original net's outputs over all images}.

    If the preprocessing is not known, images are resized, and Caffe's mean is subtracted.
    """
    from keras_ilsvrc.data.images import preprocess_images
    from keras_ilsvrc.runs.exporting import sample_images
    from keras_ilsvrc.weights.preprocessing import preprocess
    from keras_ilsvrc.weights.reference import compare

    model, rows = original.model, original.source.preprocessing
    shape = model.inputs[0].shape
    ready = partial(preprocess, model=model)
    if not rows:
        rows = ({"op": "resize", "size": shape[1]}, *normalised(CAFFE))
        ready = partial(preprocess_images, rows=rows, statistics={}, shape=shape[1:])
    resized = any(row["op"].startswith("resize") for row in rows)
    samples = sample_images((1, None, None, shape[-1]) if resized else shape, rows)
    bgr = any("channels reversed" in row.steps for row in report.rows)
    return compare(original, [ready(one) for one in paths or samples], bgr, runtime)


def _print_report(report: "Report", differences: dict[str, float], source: Source) -> None:
    """Print a row for each tensor, totals, notes, and the difference of each layer."""
    rows = (
        (row.theirs, _shape(row.stored_shape), ", ".join(row.steps), row.ours, _shape(row.shape))
        for row in report.rows
    )
    _print(("in the file", "shape", "conversion", "in the network", "shape"), rows)
    values = sum(math.prod(row.shape) for row in report.rows)
    print(f"\n{counted(len(report.rows), 'tensor')}, {counted(values, 'value')}")
    if report.left_out:
        print(f"tensors left out: {printable(', '.join(report.left_out))}")
    for note in source.notes:
        print(f"note: {note}")
    if differences:
        print("\ndifference from the original net, relative to the largest output of the layer:")
        _print(("layer", "difference"), ((layer, f"{x:.1e}") for layer, x in differences.items()))


def _print(headings: tuple[str, ...], rows: Iterable[Iterable[Any]], wrapped: bool = True) -> None:
    """Print a table. Outside a terminal, or if `wrapped` is False, each row is one line."""
    table = table_of(headings, headings)
    for row in rows:
        table.add_row(*(printable(str(cell)) for cell in row))
    console = Console()
    if not (wrapped and console.is_terminal):
        console.width = WIDE
    console.print(table, markup=False, highlight=False)


def _described(found: "Match") -> str:
    what = "without classifier" if found.classes is None else f"{found.classes:,} classes"
    return f"{found.source.net} as {found.source.name}, {what}"


def _code(path: Path, found: "Match", options: Mapping[str, Any]) -> str:
    """Return Python code that builds a network with the weights of a file."""
    net, given = found.source.net, {"weights": str(path), **options}
    if found.classes is None:
        given["include_top"] = False
    elif found.classes != NETS[net].classes:
        given["classes"] = found.classes
    words = [f"{key}={value!r}" for key, value in given.items()]
    return printable(f"keras_ilsvrc.build({', '.join([repr(net), *words])})")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "one value"
