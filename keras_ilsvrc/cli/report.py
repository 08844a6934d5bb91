"""The `report` command, which writes an HTML page about a finished run."""

import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from keras_ilsvrc.cli.options import Data, Replicas, complete_runs, print_next
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.utils.bars import bar
from keras_ilsvrc.utils.streams import quiet_tensorflow


def report(
    run: Annotated[
        Path, typer.Argument(help="Directory of a finished run.", autocompletion=complete_runs)
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="HTML file to write (default: report.html in the run directory)."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    data: Data = None,
    replicas: Replicas = None,
) -> None:
    """Write an HTML page about a finished run: errors, images, network and recipe."""
    if RunFiles(run).is_detector:
        _report_detector(run, out, open_, data)
        return
    RunFiles(run).result()
    quiet_tensorflow()
    from keras_ilsvrc.report import report

    _show(report(run, out, bar, replicas, data), open_)
    print_next("predict", run, "photo.jpg")


def _report_detector(run: Path, out: Path | None, open_: bool, data: str | None) -> None:
    quiet_tensorflow()
    from keras_ilsvrc.rcnn.report import report

    _show(report(run, out, data), open_)
    print_next("detect", "predict", run, "photo.jpg")


def _show(page: Path, open_: bool) -> None:
    """Print the path of a page. If `open_` is true, open the page in a browser."""
    print(page)
    if open_ and not webbrowser.open(page.resolve().as_uri()):
        print("no browser was found to open the page", file=sys.stderr)
