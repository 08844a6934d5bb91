"""The commands `data check` and `data prepare`, which read every image of a data set."""

import json
import os
import shlex
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import BAD_INPUT, Json, check_file, command, table_of
from keras_ilsvrc.data.imagenet_names import readable
from keras_ilsvrc.utils.errors import InputError, printable
from keras_ilsvrc.utils.files import whole
from keras_ilsvrc.utils.streams import quiet_tensorflow

if TYPE_CHECKING:
    from keras_ilsvrc.data.check import Findings
    from keras_ilsvrc.data.check_boxes import BoxFindings

WIDTH = 100
SHEET = Path("contact_sheet.png")
SHOWN = 5  # maximum number of items printed per list
# If there are more than CLASSES classes, only the EDGE largest and EDGE smallest are printed.
CLASSES, EDGE = 40, 10
BOX_KINDS = ("voc", "coco", "boxes")  # also in `data.annotations`, whose import is slow
FILES = ("folder:", "csv:")  # prefixes of sources that contain a user's own files

SourceName = Annotated[
    str,
    typer.Argument(
        help="Folder of images, CSV file of image files and labels, or data set: digits, "
        "folder:PATH, csv:FILE, idx:PATH, imagenet:PATH, tfds:NAME or prepared:PATH. `data check` "
        "also accepts data sets with boxes: voc:PATH, coco:PATH or boxes:FILE."
    ),
]
Channels = Annotated[int, typer.Option(help="Number of channels to decode: 1 (grey) or 3 (RGB).")]

app = typer.Typer(no_args_is_help=True, help="Check and prepare data sets.")


@app.command("prepare")
def prepare(
    source: SourceName,
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    size: Annotated[int, typer.Option(help="Length of the shorter side in pixels.")] = 256,
    quality: Annotated[int, typer.Option(help="JPEG quality, 1 to 100.")] = 95,
    raw: Annotated[bool, typer.Option("--raw", help="Store raw pixels instead of JPEGs.")] = False,
    antialias: Annotated[
        bool,
        typer.Option(help="Resize with antialiasing, as the op resize_shorter does by default."),
    ] = True,
    channels: Channels = 3,
    validation: Annotated[
        float, typer.Option(help="Share of images for validation, if the source has no such split.")
    ] = 0.2,
    test: Annotated[
        float, typer.Option(help="Share of images for testing, if the source has no such split.")
    ] = 0.2,
    seed: Annotated[
        int, typer.Option(help="Seed for choosing the validation and test images.")
    ] = 0,
) -> None:
    """Resize all images and store them in a folder, for faster training.

    If the command is stopped, repeat it to continue.
    """
    with Console(stderr=True).status("starting TensorFlow"):
        quiet_tensorflow()
        from keras_ilsvrc.data.preparing import Form
        from keras_ilsvrc.data.preparing import prepare as write
        from keras_ilsvrc.data.source import Shares

    for name, share in (("validation", validation), ("test", test)):
        if not 0 <= share <= 0.9:
            raise InputError(f"--{name} is {share}; expected 0 to 0.9")
    form = Form(size, None if raw else quality, antialias, channels)
    made = write(source, out, form, Shares(validation, test, seed))
    for split, count in made.images.items():
        print(f"{split}: {count:,} images")
    for note in made.notes:
        print(f"note: {printable(note)}")
    print(f"{out}: {made.size / 1e6:,.1f} MB")
    print(f"\nuse it in a recipe: dataset = {json.dumps(f'prepared:{out}')}")


@app.command("check")
def check(
    source: SourceName,
    channels: Channels = 3,
    sheet: Annotated[
        Path | None,
        typer.Option(
            help=f"PNG file to write, with examples of each class (default: {SHEET}). It is not "
            "written with --json."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read and decode every image, and list the bad files.

    The exit status is 2 if any file is bad.
    """
    check_file("--sheet", sheet or SHEET, ".png")
    if source.partition(":")[0] in BOX_KINDS:
        _check_boxes(source, as_json)
        return
    with Console(stderr=True).status("starting TensorFlow"):
        quiet_tensorflow()
        from keras_ilsvrc.data.check import check as look_at

    found = look_at(source, channels, examples=not as_json)
    if as_json:
        table = asdict(found) | {"bad": [fault._asdict() for fault in found.bad]}
        del table["examples"]
        print(json.dumps(table, indent=2))
    else:
        _show(found)
        try:
            _draw(found, sheet)
        finally:  # print the faults even if the sheet cannot be written
            _show_faults(found)
        _advise(found)
    if found.bad:
        raise typer.Exit(BAD_INPUT)


def _check_boxes(source: str, as_json: bool) -> None:
    """Check a data set with boxes. Exit with status 2 if an image, box or class is bad."""
    with Console(stderr=True).status("starting TensorFlow"):
        quiet_tensorflow()
        from keras_ilsvrc.data.check_boxes import check_boxes

    found = check_boxes(source)
    if as_json:
        table = asdict(found) | {"bad": [fault._asdict() for fault in found.bad]}
        print(json.dumps(table, indent=2))
    else:
        console = Console(width=WIDTH, markup=False, highlight=False)
        splits = table_of(("split", "images", "without boxes"), ("split",))
        for split, count in found.images.items():
            splits.add_row(split, f"{count:,}", f"{found.without_boxes[split]:,}")
        console.print(splits)
        print("\nnumber of boxes by class:")
        _show_counts(found.counts, found.images, console)
        if found.sides:
            least, median, most = found.sides
            print(f"box size: {least:,.0f} to {most:,.0f} pixels, median {median:,.0f}")
        _show_shared(found.shared)
        _show_faults(found)
    if found.bad:
        raise typer.Exit(BAD_INPUT)


def _show(found: "Findings") -> None:
    """Print the results of a check: a table of the splits, then one line for each other result."""
    headings = ("split", "images", "per class: least", "median", "most", "empty")
    title = printable(found.source)
    table = table_of(headings, ("split",), title=title, title_justify="left")
    for split, count in found.images.items():
        row = found.classes[split]
        numbers = (count, row["least"], row["median"], row["most"], len(row["empty"]))
        table.add_row(split, *(f"{number:,.10g}" for number in numbers))
    console = Console(width=WIDTH, markup=False, highlight=False)
    console.print(table)
    _show_classes(found, console)
    for split, row in found.classes.items():
        if row["empty"]:
            _list(f"empty classes of {split}", row["empty"])
    for side, three in (("height", found.heights), ("width", found.widths)):
        if three:
            print(f"{side}: {three[0]:,} to {three[2]:,} pixels, median {three[1]:,g}")
    for what, counts in (("modes", found.modes), ("formats", found.formats)):
        print(f"{what}: " + ", ".join(f"{name} {count:,}" for name, count in counts.items()))
    if not found.source.startswith(FILES):  # the notes about FILES contain these counts
        print(f"images turned upright, as their EXIF data asks: {found.turned:,}")
        print(f"files of which only the first frame or page is used: {found.several:,}")
    _list("files whose suffix does not match their format", found.misnamed)
    _list("duplicates", [" = ".join(names) for names in found.duplicates])
    print(f"groups of duplicates in more than one class: {found.two_classes:,}")
    _show_shared(found.shared)


def _show_shared(shared: dict[str, int]) -> None:
    for pair, count in shared.items():
        print(f"images in both splits ({pair}): {count:,}")


def _show_faults(found: "Findings | BoxFindings") -> None:
    """Print the notes about a data set, and every bad file."""
    for note in found.notes:
        print(f"note: {printable(note)}")
    print(f"bad: {len(found.bad):,}")
    for fault in found.bad:
        print(f"  {fault}")


def _show_classes(found: "Findings", console: Console) -> None:
    """Print the number of images of each class in each split, and the imbalance."""
    console.print()
    _show_counts(found.counts, found.images, console)
    if found.imbalance and found.imbalance > 1:
        times = f"{found.imbalance:,.3g}"
        print(f"imbalance: the largest class has {times} times as many images as the smallest")


def _show_counts(
    by_class: dict[str, dict[str, int]], splits: Iterable[str], console: Console
) -> None:
    """Print a table of the counts of each class in each split, the largest class first."""
    counts = sorted(by_class.items(), key=lambda item: -sum(item[1].values()))
    if len(counts) > CLASSES:
        more = (f"... {len(counts) - 2 * EDGE:,} more classes", dict[str, int]())
        counts = [*counts[:EDGE], more, *counts[-EDGE:]]
    table = table_of(("class", *splits), ("class",))
    for name, own in counts:
        table.add_row(titled(name), *(f"{count:,}" for count in own.values()))
    console.print(table)
    console.print()


def titled(name: str) -> str:
    """Return the name of a class for a table. For a synset of ImageNet, add its English name."""
    known = readable(name)
    return name if known == name else f"{known} ({name})"


def _draw(found: "Findings", sheet: Path | None) -> None:
    """Write the contact sheet, if there are images. `SHEET` replaces only an earlier sheet."""
    if not found.examples:
        return
    from keras_ilsvrc.visualize.figures import is_ours, save
    from keras_ilsvrc.visualize.sheets import contact_sheet

    if sheet is None and os.path.lexists(SHEET) and not is_ours(SHEET):
        print(f"no contact sheet: {SHEET} was not written by this package; pass --sheet FILE")
        return
    sheet = sheet or SHEET
    images = {readable(name): own for name, own in found.examples.items()}
    with whole(sheet) as part:
        save(contact_sheet(images, printable(found.source)), part)
    print(f"examples of {len(images):,} classes: {sheet}")


def _advise(found: "Findings") -> None:
    """Print what to do next, if the data set can be used for training or has bad files."""
    path = found.source.partition(":")[2]
    if found.bad:
        again = command("data", "check", path if found.source.startswith(FILES) else found.source)
        print(f"\nnext: remove or convert these files, then repeat `{again}`")
    if found.bad or len(found.counts) < 2 or not found.source.startswith(FILES):
        return
    place = Path(os.path.abspath(path))
    name = place.stem if place.is_file() else place.name
    words = [path, "--net", "resnet18", "--out", f"{name}.toml"]
    print(f"\nnext: keras-ilsvrc new {shlex.join(words)}")


def _list(what: str, names: list[str]) -> None:
    """Print the length of a list of names, and its first `SHOWN` names."""
    print(f"{what}: {len(names):,}")
    for name in names[:SHOWN]:
        print(f"  {printable(name)}")
    if len(names) > SHOWN:
        print("  ... (--json shows all)")
