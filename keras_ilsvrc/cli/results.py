"""The `results` command, which prints the test errors of finished runs."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from keras_ilsvrc.cli.options import Json, complete_runs
from keras_ilsvrc.runs.results import HEADINGS, markdown, rows_of
from keras_ilsvrc.utils.errors import file_errors


def results(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Run directories, or folders that contain run directories.",
            autocompletion=complete_runs,
        ),
    ],
    markdown_file: Annotated[
        Path | None,
        typer.Option(
            "--markdown", help="Write the table to this Markdown file instead of printing it."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the test errors of finished runs. Runs that differ only in the seed share a row."""
    rows = rows_of(runs)
    if markdown_file:
        with file_errors(markdown_file, "written"):
            markdown_file.write_text(markdown(rows), encoding="utf-8")
    elif as_json:
        print(json.dumps([dataclasses.asdict(row) | {"mean": row.mean} for row in rows], indent=2))
    else:
        table = Table(*HEADINGS, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*row.cells())
        Console(width=120).print(table, markup=False)
