"""The `report` command, which writes an HTML page about a finished run."""

from pathlib import Path
from typing import Annotated

import typer

from keras_ilsvrc.cli.options import Replicas
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.terminal.bars import bar
from keras_ilsvrc.terminal.streams import quiet_tensorflow


def report(
    run: Annotated[Path, typer.Option("--run", help="Directory of a finished run.")],
    out: Annotated[
        Path | None, typer.Option(help="HTML file to write (default: report.html in --run).")
    ] = None,
    replicas: Replicas = None,
) -> None:
    """Write an HTML page about a finished run: errors, images, network and recipe."""
    RunFiles(run).result()
    quiet_tensorflow()
    from keras_ilsvrc.report import report

    print(report(run, out, bar, replicas))
