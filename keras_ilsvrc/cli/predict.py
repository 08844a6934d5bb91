"""The `predict` command, which prints the most likely classes of image files."""

import csv
import glob
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import (
    BAD_INPUT,
    Json,
    check_file,
    complete_nets,
    complete_runs,
    print_next,
    table_of,
)
from keras_ilsvrc.nets.build import check_build
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.utils.bars import tracked
from keras_ilsvrc.utils.errors import InputError, nearest, printable
from keras_ilsvrc.utils.streams import quiet_tensorflow

if TYPE_CHECKING:
    from keras_ilsvrc.runs.loaded import LoadedRun, Prediction

Write = Callable[[Iterable["Prediction"], TextIO], None]
MODES = ("caffe", "tf", "torch", "none")  # also in `data.normalise`, whose import is slow
WIDE, NARROW = 30, 10  # width of a bar for 100 %, in characters
SHOWN = 0.01  # minimum probability of the second and later classes on a line


def complete_run(context: typer.Context) -> list[str]:
    """Return the run directories if the run is to be typed next, for shell completion."""
    typed = context.params.get("words") or context.params.get("net")
    return [] if typed else complete_runs()


def predict(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN] IMAGES",
            help="Directory of a finished run (not with --net), then images: files, folders, "
            "patterns such as '*.jpg', or - to read file names from standard input.",
            autocompletion=complete_run,
        ),
    ],
    net: Annotated[
        str | None,
        typer.Option(help="Network to use instead of a run.", autocompletion=complete_nets),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="With --net: weight file, or name of a source that `info NET` lists."),
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="With --weights: SHA-256 that the file must have.")
    ] = None,
    preprocess: Annotated[
        str | None,
        typer.Option(
            help="Preprocessing for --net: caffe, tf, torch or none (default: that of the weights)."
        ),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="Maximum number of classes per image.")] = 5,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    page: Annotated[
        Path | None,
        typer.Option(help="HTML file to write, with a thumbnail and the classes of each image."),
    ] = None,
) -> None:
    """Print the most likely classes of images, with their probabilities."""
    load = _loader(None if net else Path(words[0]), net, weights, preprocess, sha256)
    if as_json and as_csv:
        raise InputError("--json and --csv are both given; leave out one")
    if page:
        check_file("--page", page, ".html")
    paths = list(find_files(words if net else words[1:]))
    if not paths:
        raise InputError("no images are given; name image files, folders or patterns")
    quiet_tensorflow()
    write: Write = _json if as_json else _csv if as_csv else _block if len(paths) == 1 else _lines
    bad = _print(load(), paths, top, write, page)
    if page:
        print(page, file=sys.stderr if as_json or as_csv else sys.stdout)
    if bad:
        print(f"{bad:,} of {len(paths):,} files were left out", file=sys.stderr)
        raise typer.Exit(BAD_INPUT)
    if not (net or as_json or as_csv):
        print_next("export", words[0], "--format", "onnx")


def _print(
    loaded: "LoadedRun", paths: list[Path], top: int, write: Write, page: Path | None
) -> int:
    """Print the predictions for all usable images. Return the number of unusable ones."""
    out, bad = sys.stdout, []

    def report(line: str) -> None:
        bad.append(line)
        print(printable(line), file=sys.stderr)

    answers = loaded.answers(paths, top, report)
    if page:
        from keras_ilsvrc.report.answers import write_answers

        title = f"{loaded.model.name}, {len(paths):,} images"
        answers = write_answers(answers, page, title, loaded.shape[-1])
    # Show no bar on a terminal, where the printed lines already show the progress. Write to `out`,
    # because rich replaces sys.stdout while it shows a bar.
    write(tracked(answers, len(paths), "predicting", shown=not out.isatty()), out)
    return len(bad)


def _loader(
    run: Path | None,
    net: str | None,
    weights: str | None,
    preprocess: str | None,
    sha256: str | None,
) -> Callable[[], "LoadedRun"]:
    """Check which network to use, and return a function that loads it with TensorFlow."""
    if run is not None:
        if weights or preprocess or sha256:
            raise InputError(
                "--weights, --sha256 and --preprocess need --net; leave them out for a run"
            )
        RunFiles(run).check_finished()
    elif weights is None:
        raise InputError("--net needs --weights; add it, with a file or the name of a source")
    elif preprocess is not None and preprocess not in MODES:
        raise InputError(f"--preprocess is {preprocess!r}; {nearest(preprocess, MODES)}")
    else:
        check_build(str(net), weights=weights)

    def load() -> "LoadedRun":
        from keras_ilsvrc.runs import loaded

        if run is not None:
            return loaded.load_run(run)
        return loaded.load_net(str(net), str(weights), preprocess, sha256)

    return load


def find_files(words: Iterable[str]) -> Iterator[Path]:
    """Yield the paths of image files. Each word is a file, a folder, a pattern, or `-` (stdin)."""
    for word in words:
        if word == "-":
            text = os.fsdecode(sys.stdin.buffer.read())
            names = text.split("\0") if "\0" in text else re.split("\r?\n", text)
            yield from map(Path, filter(None, names))
        elif os.path.isdir(word):
            yield from _images_in(word)
        elif os.path.lexists(word) or not glob.has_magic(word):
            yield Path(word)
        elif found := sorted(glob.glob(word, recursive=True)):
            yield from (Path(path) for path in found if os.path.isfile(path))
        else:
            raise InputError(f"{word}: no file matches this pattern")


def _images_in(folder: str) -> Iterator[Path]:
    """Yield the sorted paths of all images in a folder and its subfolders, except hidden ones."""
    from keras_ilsvrc.data.headers import ENDINGS, FORMATS, count_endings

    images, others = 0, list[str]()
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            if os.path.splitext(name)[1].lower() in ENDINGS:
                images += 1
                yield Path(base, name)
            else:
                others.append(name)
    if others:
        kinds = count_endings(others).most_common(6)
        skipped = ", ".join(f"{count:,} {kind}" for kind, count in kinds)
        print(printable(f"{folder}: skipped files of other kinds: {skipped}"), file=sys.stderr)
    if not images:
        raise InputError(f"{folder}: no images in this folder; supported: {', '.join(FORMATS)}")


def _json(answers: Iterable["Prediction"], out: TextIO) -> None:
    """Print the predictions as a JSON list, with a line per image as soon as it is predicted."""
    before = "["
    for image, guesses in answers:
        classes = [
            {"class": x.name, "name": x.readable, "probability": x.probability} for x in guesses
        ]
        line = json.dumps({"image": image, "classes": classes})
        print(f"{before}\n{line}", end="", file=out)
        before = ","
    print("\n]" if before == "," else "[]", file=out)


def _csv(answers: Iterable["Prediction"], out: TextIO) -> None:
    """Print the predictions as CSV: a row per image, with three columns for each class."""
    rows = csv.writer(out, lineterminator="\n")
    for number, (image, guesses) in enumerate(answers):
        if number == 0:
            ranks = range(1, len(guesses) + 1)
            names = [f"{x}_{rank}" for rank in ranks for x in ("class", "name", "probability")]
            rows.writerow(["image", *names])
        cells = [(x.name, x.readable, f"{x.probability:.6g}") for x in guesses]
        rows.writerow([image, *(cell for row in cells for cell in row)])


def _block(answers: Iterable["Prediction"], out: TextIO) -> None:
    """Print the name of each image, and a table of its classes below."""
    for image, guesses in answers:
        table = table_of(("class", "%", "bar"), ("class", "bar"), show_header=False)
        for x in guesses:
            table.add_row(printable(x.readable), x.percent, _bar(x.probability, WIDE, out))
        print(printable(image), file=out)
        Console(file=out).print(table, markup=False, highlight=False)


def _lines(answers: Iterable["Prediction"], out: TextIO) -> None:
    """Print a line per image: a bar, the most likely class, and other classes of at least 1 %."""
    for image, (first, *others) in answers:
        shown = [first, *(x for x in others if x.probability >= SHOWN)]
        text = printable(f"{image}: {', '.join(map(str, shown))}")
        print(f"{_bar(first.probability, NARROW, out):<{NARROW}} {text}", file=out)


def _bar(share: float, width: int, out: TextIO) -> str:
    """Return a bar of block characters, or of # if the output cannot show them."""
    if not (out.encoding or "").lower().startswith("utf"):
        return "#" * round(share * width)
    eighths = round(share * width * 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
