"""The `explain` command, which writes an HTML page that runs a network in the browser."""

import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from keras_ilsvrc.cli.options import Data, check_file, complete_runs, print_next
from keras_ilsvrc.runs.reading import EXPLAINED, RunFiles
from keras_ilsvrc.utils.bars import bar
from keras_ilsvrc.utils.errors import counted, printable
from keras_ilsvrc.utils.streams import quiet_tensorflow


def explain(
    run: Annotated[
        Path, typer.Argument(help="Directory of a finished run.", autocompletion=complete_runs)
    ],
    out: Annotated[
        Path | None,
        typer.Option(help=f"HTML file to write (default: {EXPLAINED} in the run directory)."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    data: Data = None,
) -> None:
    """Write an HTML page that runs the network of a run in the browser, layer by layer."""
    path = out or RunFiles(run).check_finished().path / EXPLAINED
    check_file("--out", path, ".html")
    quiet_tensorflow()
    from keras_ilsvrc.report.explain import explain

    made = explain(run, path, data, bar)
    print(printable(str(path)))
    bits = ", stored in 16 bits" if made.half else ""
    print(
        f"{made.size / 1e6:.1f} MB: {counted(made.weights, 'weight')}{bits}, "
        f"{counted(made.samples, 'test image')}, strongest images of {made.pictured} of "
        f"{counted(made.layers, 'layer')}"
    )
    if open_ and not webbrowser.open(path.resolve().as_uri()):
        print("no browser was found to open the page", file=sys.stderr)
    print_next("report", run, "--open")
