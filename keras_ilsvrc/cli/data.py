"""The `data check` command, which counts the images of a data set and reports bad files."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import BAD_INPUT, Json, table_of
from keras_ilsvrc.errors import printable
from keras_ilsvrc.terminal.streams import quiet_tensorflow

if TYPE_CHECKING:
    from keras_ilsvrc.data.check import Findings

WIDTH = 100
SHOWN = 5  # maximum number of items printed per list

app = typer.Typer(no_args_is_help=True, help="Check data sets.")


@app.callback()
def data() -> None:
    """Check data sets."""


@app.command("check")
def check(
    source: Annotated[
        str,
        typer.Argument(help="Data set: digits, folder:PATH, idx:PATH, imagenet:PATH or tfds:NAME."),
    ],
    channels: Annotated[
        int, typer.Option(help="Number of channels to decode: 1 (grey) or 3 (RGB).")
    ] = 3,
    as_json: Json = False,
) -> None:
    """Read and decode every image and list the bad files. Exit with 2 if any file is bad."""
    with Console(stderr=True).status("starting TensorFlow"):
        quiet_tensorflow()
        from keras_ilsvrc.data.check import check as look_at

    found = look_at(source, channels)
    if as_json:
        bad = [fault._asdict() for fault in found.bad]
        print(json.dumps({**asdict(found), "bad": bad}, indent=2))
    else:
        _show(found)
    if found.bad:
        raise typer.Exit(BAD_INPUT)


def _show(found: "Findings") -> None:
    """Print the findings about a data set: a table of its splits, then one line per finding."""
    headings = ("split", "images", "per class: least", "median", "most", "empty")
    title = printable(found.source)
    table = table_of(headings, ("split",), title=title, title_justify="left")
    for split, count in found.images.items():
        row = found.classes[split]
        numbers = (count, row["least"], row["median"], row["most"], len(row["empty"]))
        table.add_row(split, *(f"{number:,.10g}" for number in numbers))
    console = Console(width=WIDTH, markup=False, highlight=False)
    console.print(table)
    for split, row in found.classes.items():
        _list(f"empty classes of {split}", row["empty"])
    for side, three in (("height", found.heights), ("width", found.widths)):
        if three:
            print(f"{side}: {three[0]:,} to {three[2]:,} pixels, median {three[1]:,g}")
    for what, counts in (("modes", found.modes), ("formats", found.formats)):
        print(f"{what}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))
    print(f"images with an EXIF rotation, which is not applied: {found.rotated:,}")
    _list("files whose suffix does not match their format", found.misnamed)
    _list("duplicates", [" = ".join(names) for names in found.duplicates])
    print(f"groups of duplicates in more than one class: {found.two_classes:,}")
    for pair, count in found.shared.items():
        print(f"images that are in both of {pair}: {count:,}")
    print(f"bad: {len(found.bad):,}")
    for fault in found.bad:
        print(f"  {fault}")


def _list(what: str, names: list[str]) -> None:
    """Print the length of a list of names, and its first `SHOWN` names."""
    print(f"{what}: {len(names):,}")
    for name in names[:SHOWN]:
        print(f"  {printable(name)}")
    if len(names) > SHOWN:
        print("  ... (--json shows all)")
