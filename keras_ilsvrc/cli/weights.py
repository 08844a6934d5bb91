"""The `weights` commands, which list, inspect and convert files of trained weights."""

import json
import math
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from keras_ilsvrc import files
from keras_ilsvrc.cli.options import BAD_INPUT, FAULT, Json, complete_nets, print_next, table_of
from keras_ilsvrc.errors import InputError, counted, nearest, printable
from keras_ilsvrc.nets import NETS, info
from keras_ilsvrc.terminal.streams import quiet, quiet_tensorflow
from keras_ilsvrc.weights.readers import read
from keras_ilsvrc.weights.recognise import Match, misfit, recognise
from keras_ilsvrc.weights.sources import SOURCES, source_named

if TYPE_CHECKING:
    from keras_ilsvrc.weights.load import Report
    from keras_ilsvrc.weights.tensors import Tensors

SHOWN = 12  # number of tensors printed without --all
SUFFIX = ".weights.h5"
TOLERANCE = 1e-4  # largest accepted difference from the original, relative to the outputs' scale

File = Annotated[Path, typer.Argument(help="Weight file in any of the formats that are read.")]
Sha256 = Annotated[
    str | None, typer.Option("--sha256", help="SHA-256 that the file must have, in hexadecimal.")
]
app = typer.Typer(no_args_is_help=True, help="List, inspect and convert files of trained weights.")


@app.command("list")
def list_sources(
    pattern: Annotated[
        str,
        typer.Argument(
            metavar="[NET]",
            help="Network, or shell pattern for networks.",
            autocompletion=complete_nets,
        ),
    ] = "*",
    as_json: Json = False,
) -> None:
    """List the published weights of networks: names for `build(NET, weights=...)`."""
    rows = [source for source in SOURCES if fnmatchcase(source.net, pattern)]
    if not rows:
        known = sorted({source.net for source in SOURCES})
        raise InputError(f"no published weights of {pattern!r} are known; {nearest(pattern, known)}")
    if as_json:
        print(json.dumps([asdict(source) for source in rows], indent=2))
        return
    headings = ("net", "source", "file", "top-1 accuracy %", "licence", "download")
    table = table_of(headings, [name for name in headings if not name.startswith("top-1")])
    for source in rows:
        accuracy = "" if source.top1_accuracy is None else f"{source.top1_accuracy:.2f}"
        download = "by name" if source.url and source.sha256 else "by hand"
        licence = source.licence or "not stated"
        table.add_row(source.net, source.name, source.file, accuracy, licence, download)
    Console().print(table, markup=False)


@app.command("inspect")
def inspect(
    file: File,
    sha256: Sha256 = None,
    everything: Annotated[bool, typer.Option("--all", help="Print every tensor.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a weight file contains and which networks it fits. No framework is needed."""
    tensors = read(file, sha256)
    matches = recognise(tensors)
    facts = _facts(tensors, sha256)
    if as_json:
        facts["fits"] = [
            {"net": one.source.net, "source": one.source.name, "classes": one.classes}
            for one in matches
        ]
        facts["reason"] = None if matches else misfit(tensors)
        facts["arrays"] = {
            name: {"shape": one.shape, "dtype": str(one.dtype)}
            for name, one in tensors.stored.items()
        }
        print(json.dumps(facts, indent=2))
        return
    print(_summary(facts))
    table = table_of(("tensor", "shape", "dtype"), ("tensor", "shape", "dtype"))
    for name, one in list(tensors.stored.items())[: None if everything else SHOWN]:
        table.add_row(printable(name), _shape(one.shape), str(one.dtype))
    Console().print(table, markup=False, highlight=False)
    if not everything and len(tensors) > SHOWN:
        print(f"... {counted(len(tensors) - SHOWN, 'more tensor')} (--all shows all)")
    if not matches:
        print(f"\nfits no network: {printable(misfit(tensors))}")
    for one in matches:
        print(f"\nfits {one.source.net} as {one.source.name}, {_classes(one)}")
        print(_code(file, one, one.source.name))
    if matches:
        net = matches[0].source.net
        print()
        print_next("weights", "convert", file, "--net", net, "--out", f"{net}{SUFFIX}")


@app.command("convert")
def convert(
    file: File,
    net: Annotated[str, typer.Option(help="Network.", autocompletion=complete_nets)],
    out: Annotated[Path, typer.Option(help=f"File to write, which ends in {SUFFIX}.")],
    source: Annotated[
        str | None,
        typer.Option(help="Source of the weights, as in `weights list` (default: recognised)."),
    ] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes that is expected.")] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Run the original too, in onnx, torch or keras, and compare the layers."),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(help="With --reference: image file; repeatable (default: photographs)."),
    ] = None,
    sha256: Sha256 = None,
    as_json: Json = False,
) -> None:
    """Convert a weight file for a network. Nothing is written if a tensor does not fit."""
    _check_out(file, out)
    tensors = read(file, sha256)
    match = _match(tensors, net, source, classes)
    if reference:
        from keras_ilsvrc.weights.reference import check_runtime

        check_runtime(reference)
    quiet_tensorflow()
    with quiet(), Console(stderr=True).status(f"converting {printable(str(file))}"):
        model, report = _loaded(tensors, match)
        differences = _compared(model, tensors, match, report, reference, image or [])
    worst = max(differences, key=lambda layer: differences[layer], default=None)
    failed = worst is not None and differences[worst] > TOLERANCE
    if not failed:
        with files.whole(out) as part:
            model.save_weights(part)
    if as_json:
        print(json.dumps(_as_dict(tensors, match, report, differences, out), indent=2))
    else:
        _print_report(report, differences, reference)
    if failed:
        raise SystemExit(FAULT)
