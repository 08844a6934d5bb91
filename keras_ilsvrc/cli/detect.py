"""The `detect` commands, which train, test and use R-CNN detectors."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import Argument, Option

from keras_ilsvrc.cli.options import BAD_INPUT, Json, exit_status, print_next, table_of
from keras_ilsvrc.cli.predict import find_files
from keras_ilsvrc.cli.train import Out, Resume
from keras_ilsvrc.rcnn.recipe import SCORES, find, load, recipes
from keras_ilsvrc.runs.places import check_writable, resolved
from keras_ilsvrc.runs.reading import DetectorRun
from keras_ilsvrc.training.stopping import StopRequest
from keras_ilsvrc.utils.errors import InputError, counted, printable
from keras_ilsvrc.utils.streams import quiet_tensorflow

if TYPE_CHECKING:
    from keras_ilsvrc.rcnn.predict import Answer
    from keras_ilsvrc.rcnn.regions import Places

RESUME = "repeat the command with --resume to continue"


def complete_recipes() -> list[str]:
    """Return the names of detector recipes and of TOML files in the folder, for completion."""
    return [*map(str, Path().glob("*.toml")), *recipes()]


Run = Annotated[Path, Argument(help="Directory of a finished run of `detect train`.")]
Cache = Annotated[
    Path | None,
    Option(
        help="Folder for the proposals and features of images (default: in the package's cache). "
        "Use another folder for another network or other proposals."
    ),
]
CacheSize = Annotated[
    float,
    Option(min=0, help="Maximum size in GB of each of two caches, for proposals and features."),
]

Set = Annotated[
    list[str] | None,
    Option("--set", help="Change a recipe key, for example svm.c=0.01; repeatable."),
]
Data = Annotated[
    str | None,
    Option(
        help="Data set to use instead of the recipe's, with the same classes, for example voc:PATH "
        "after the images were moved."
    ),
]

app = typer.Typer(no_args_is_help=True, help="Detect objects with R-CNN.")


@app.command("train")
def train(
    recipe: Annotated[
        str,
        Argument(
            help="Recipe: a TOML file, or the name of a detector recipe in this package.",
            autocompletion=complete_recipes,
        ),
    ],
    out: Out = None,
    set_: Set = None,
    resume: Resume = False,
    cache: Cache = None,
    cache_size: CacheSize = 20,
    as_json: Json = False,
) -> None:
    """Train a detector, test it, and save the results in a run directory.

    The proposals and features of images are kept in a cache. On SIGTERM, SIGHUP or Ctrl-C, the
    command exits with status 75; repeat it with --resume to continue. If training diverges, the
    exit status is 76.
    """
    path = find(recipe)
    loaded = load(path, set_ or ())
    with exit_status(RESUME):
        quiet_tensorflow()
        from keras_ilsvrc.rcnn.files import DetectorDirectory
        from keras_ilsvrc.rcnn.train import train as train_detector

        numbered = not (out or resume)
        directory = DetectorDirectory(out or Path("runs") / path.stem, loaded, resume, numbered)
        if not directory.finished:
            train_detector(loaded, directory, _places(cache, cache_size), set_ or ())
        result = directory.result()
    if as_json:
        print(json.dumps({**result, "out": str(directory.path)}, indent=2))
        return
    _print_result(result)
    print_next("report", directory.path, "--open")


@app.command("evaluate")
def evaluate(
    run: Run,
    data: Data = None,
    cache: Cache = None,
    cache_size: CacheSize = 20,
    as_json: Json = False,
) -> None:
    """Test a finished detector again on its test images."""
    DetectorRun(run).check_finished()
    with exit_status(RESUME), StopRequest(at_once=True):
        quiet_tensorflow()
        from keras_ilsvrc.rcnn.train import evaluate as measure

        result = measure(run, _places(cache, cache_size), data).result
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        _print_result(result)


@app.command("predict")
def predict(
    run: Run,
    images: Annotated[
        list[str], Argument(help="Images: files, folders, patterns, or - to read names from stdin.")
    ],
    out: Annotated[
        Path | None, Option(help="Folder to write a picture of each image to, with its boxes.")
    ] = None,
    least: Annotated[float, Option(help="Minimum score of a detection.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Print the objects that a detector finds in images, and draw their boxes."""
    paths = list(find_files(images))
    if not paths:
        raise InputError("no images are given; name image files, folders or patterns")
    DetectorRun(run).check_finished()
    if out is not None:
        check_writable(resolved(out))
    quiet_tensorflow()
    from keras_ilsvrc.rcnn.predict import detect

    bad, rows = 0, []
    for answer in detect(run, paths, out, least):
        if answer.fault:
            bad += 1
            print(printable(answer.fault), file=sys.stderr)
        elif as_json:
            rows.append({"image": str(answer.path), "objects": answer.objects})
        else:
            _print_objects(answer)
    if as_json:
        print(json.dumps(rows, indent=2))
    elif out is not None:
        print(f"pictures: {out}")
    if bad:
        print(f"{bad:,} of {len(paths):,} files were left out", file=sys.stderr)
        raise typer.Exit(BAD_INPUT)


def _print_objects(answer: "Answer") -> None:
    best, hint = answer.left_out, ""
    if best and not answer.objects:
        hint = f" (best score: {best['class']} {best['score']:.2f}; --least sets the limit)"
    print(printable(f"{answer.path}: {counted(len(answer.objects), 'object')}{hint}"))
    for each in answer.objects:
        box = ", ".join(f"{x:.0f}" for x in each["box"])
        print(f"  {printable(each['class'])} {each['score']:.2f} at {box}")


def _places(cache: Path | None, size: float) -> "Places":
    from keras_ilsvrc.rcnn.regions import Places

    return Places(cache, size)


def _print_result(result: Mapping[str, Any]) -> None:
    """Print the average precisions: a row for each class, and the means."""
    from rich.console import Console

    table = table_of(("average precision in %", *SCORES.values()), ("average precision in %",))
    scores = result["scores"]
    rows: dict[str, Mapping[str, float | None]] = {**scores["classes"], "mean": scores}
    if result["unmoved"]:
        rows["mean without box regression"] = result["unmoved"]
    for name, row in rows.items():
        cells = ("" if (x := row[key]) is None else f"{x:.2f}" for key in SCORES)
        table.add_row(printable(name), *cells)
    Console(width=120, markup=False, highlight=False).print(table)
    print(f"{result['images']:,} images, {result['proposals']:,.0f} proposals each")
    if result["recall"] is not None:
        print(
            f"{result['recall']:.2f} % of the objects have a proposal with an IoU of at least 0.5"
        )
    expected = {key: x for key, x in (result["expected"] or {}).items() if key in SCORES}
    for key, value in expected.items():
        print(f"expected: {value:.2f} ({SCORES[key]})")
