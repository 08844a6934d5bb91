"""The `story` command, which prints and draws the challenge from 2010 to 2016."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import Json, check_file, command, table_of
from keras_ilsvrc.nets.story import HUMAN, STORY, YEARS, Entry
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import file_errors

SUFFIXES = (".png", ".svg", ".pdf")
WIDTH = 100


def story(
    plot: Annotated[
        Path | None,
        typer.Option(help="File to write, with plots of errors and depths: .png, .svg or .pdf."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell the story of the challenge, 2010 to 2016: errors, depth, sizes, GPUs and sources."""
    if plot is not None:
        _draw(plot)
    if as_json:
        rows = [{**dataclasses.asdict(x), "parameters": x.parameters} for x in STORY]
        told = {"years": YEARS, "entries": rows, "human": dataclasses.asdict(HUMAN)}
        print(json.dumps(told, indent=2))
        return
    _print_entries()
    print("", *(f"{year}  {text}" for year, text in YEARS.items()), "", sep="\n")
    _print_sources()
    if plot is not None:
        print(plot)


def _draw(path: Path) -> None:
    """Draw the story to a file of one of the formats in `SUFFIXES`."""
    check_file("--plot", path, *SUFFIXES)
    from keras_ilsvrc.cli.story_picture import draw_story

    with file_errors(f"--plot is {path}", "written"), files.whole(path) as part:
        draw_story([_disc(entry) for entry in STORY], vars(HUMAN), part)


def _print_entries() -> None:
    headings = ("year", "place", "entry", "top-5 %", "layers", "parameters", "MACs", "training")
    left = ("year", "place", "entry", "training")
    table = table_of(headings, left, padding=(0, 1, 0, 0))
    for entry in STORY:
        size = "" if entry.parameters is None else f"{entry.parameters / 1e6:.1f} M"
        cost = "" if entry.macs is None else f"{entry.macs / 1e9:.2f} G"
        table.add_row(
            *(str(entry.year), entry.place, entry.name, str(entry.error)),
            *(str(entry.layers or ""), size, cost, str(entry.training or "")),
        )
    Console(width=WIDTH).print(table, markup=False)


def _print_sources() -> None:
    """Print each source, with the figures that come from it."""
    figures: dict[str, list[str]] = {}
    for entry in STORY:
        figures.setdefault(entry.error.source, []).append(f"{entry.error}")
        if entry.training:
            figures.setdefault(entry.training.source, []).append(f"{entry.training}")
    nets = [entry.net for entry in STORY if entry.net]
    figures[command("compare", *nets)] = ["layers, parameters and MACs of one net"]
    figures[f"{HUMAN.source}"] = [f"{HUMAN}, the error of one person on 1,500 test images"]
    table = table_of(("figures", "source"), ("figures", "source"), padding=(0, 1, 0, 0))
    for source, found in figures.items():
        table.add_row(", ".join(found), source)
    Console(width=WIDTH).print(table, markup=False)
    print(
        "?: not checked against the source. Errors are on the test images, unless the entry says "
        "otherwise."
    )


def _disc(entry: Entry) -> dict[str, Any]:
    """Return an entry as a mapping for `draw_story`."""
    error = {"error": entry.error.value, "printed": str(entry.error)}
    return {**vars(entry), **error, "parameters": entry.parameters, "source": entry.error.source}
