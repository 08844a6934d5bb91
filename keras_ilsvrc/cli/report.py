"""`report`: a page of a finished run."""

from pathlib import Path
from typing import Annotated

import typer

from keras_ilsvrc.cli.runs import Replicas
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.terminal.bars import bar
from keras_ilsvrc.terminal.streams import quiet_tensorflow


def report(
    run: Annotated[Path, typer.Option("--run", help="Directory of a finished run.")],
    out: Annotated[
        Path | None, typer.Option(help="The page; report.html in that directory if not given.")
    ] = None,
    replicas: Replicas = None,
) -> None:
    """Write one HTML page of a finished run: its errors, its images, its net and its recipe."""
    RunFiles(run).result()
    quiet_tensorflow()
    from keras_ilsvrc.report import report

    print(report(run, out, bar, replicas))
