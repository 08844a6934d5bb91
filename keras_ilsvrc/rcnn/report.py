"""HTML page about a finished detector: average precision, curves, errors and images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from keras_ilsvrc.data.annotated import Annotated
from keras_ilsvrc.data.decode import read_image
from keras_ilsvrc.rcnn.data import open_again
from keras_ilsvrc.rcnn.detector import Detections
from keras_ilsvrc.rcnn.evaluate import KINDS, best_of, curves, error_kinds, kinds_of
from keras_ilsvrc.rcnn.files import DetectorFiles
from keras_ilsvrc.rcnn.pictures import boxes_on
from keras_ilsvrc.rcnn.recipe import SCORES
from keras_ilsvrc.report.page import Section, picture, render
from keras_ilsvrc.runs.reading import PAGE
from keras_ilsvrc.training.cluster import log_stderr
from keras_ilsvrc.utils.errors import file_errors
from keras_ilsvrc.utils.files import whole
from keras_ilsvrc.visualize.figures import BLUE, GREY, plain

SHOWN = 9  # maximum number of best images, and of worst images
PHOTO = 480  # longer side of an image in pixels
COLUMNS = 3  # number of curves per row
MOST = 30  # maximum number of classes with a curve


@dataclass(frozen=True)
class FinishedDetector:
    """Finished detector with its test images and detections.

    Attributes:
        run: Files of the run.
        result: Content of `result.json`.
        classes: Names of the classes.
        images: Test images.
        found: Detections in each test image.
        best: Best n detections of each class with n objects, for each test image; see `best_of`.
    """

    run: DetectorFiles
    result: dict[str, Any]
    classes: tuple[str, ...]
    images: tuple[Annotated, ...]
    found: list[Detections]
    best: list[Detections]


def report(path: Path, out: Path | None = None, dataset: str | None = None) -> Path:
    """Write an HTML page about a finished detector, and return its path.

    Args:
        path: Directory of the run.
        out: Path of the page; `report.html` in the run's directory if None.
        dataset: Data set to use instead of the recipe's, with the same classes and images.

    Raises:
        InputError: If the run is not finished or damaged, or if the page cannot be written.
    """
    run = DetectorFiles(path).check_finished()
    result, data = run.result(), open_again(run.recipe(), dataset, run.identity.classes)
    for line in run.check_data(data.source, data.test):
        log_stderr(line)
    found = run.detections(data.test)
    classes = tuple(run.identity.classes)
    best = best_of(classes, data.test, found)
    made = FinishedDetector(run, result, classes, data.test, found, best)
    sections = [_summary(made), _precision(made), _errors(made), *_examples(made), _recipe(made)]
    title = f"{result['net']} on {data.source.name.partition(':')[2]}"
    html = render("page", kind="Report of a detector", title=title, sections=sections)
    out = out or run.path / PAGE
    with file_errors(out, "written"), whole(out) as part:
        part.write_bytes(html.encode("utf-8", "backslashreplace"))
    return out


def _summary(made: FinishedDetector) -> Section:
    result, unmoved = made.result, made.result["unmoved"]
    scores = result["scores"]
    named = {**scores["classes"], "mean": scores}
    rows = [[name, *(_shown(row[key]) for key in SCORES)] for name, row in named.items()]
    if unmoved:
        rows.append(["mean without box regression", *(_shown(unmoved[key]) for key in SCORES)])
    expected = result.get("expected") or {}
    if any(key in expected for key in SCORES):
        source = expected.get("measured") or "published"
        rows.append([f"expected: {source}", *(_shown(expected.get(key)) for key in SCORES)])
    recall = "" if result["recall"] is None else f" {result['recall']:.1f} % of the objects overlap"
    note = (
        f"Average precision in % on {result['images']:,} test images, with "
        f"{result['proposals']:,.0f} proposals each.{recall}{' a proposal by 0.5.' * bool(recall)}"
    )
    return Section("Average precision", "summary", _table(["class", *SCORES.values()], rows), note)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _precision(made: FinishedDetector) -> Section:
    """Plot precision against recall for each class, at an overlap of 0.5."""
    found = list(curves(made.classes, made.images, made.found).items())[:MOST]
    lines, columns = -(-len(found) // COLUMNS), min(len(found), COLUMNS)
    figure = Figure(figsize=(3.2 * columns, 2.8 * lines + 0.3), layout="constrained")
    plots = list(figure.subplots(lines, columns, squeeze=False).flat)
    for axes, (name, curve) in zip(plots, found):
        axes.plot(curve.recall, curve.precision, color=BLUE)
        precision = made.result["scores"]["classes"][name]["voc_map"]
        axes.set_title(f"{plain(name, 20)}: {_shown(precision) or 'no objects'}", fontsize=10)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        axes.grid(alpha=0.3)
    for axes in plots[len(found) :]:
        axes.remove()
    note = "Precision against recall at an overlap of 0.5. The number is the area under the curve."
    return Section("Curves", "curves", picture(figure, "precision against recall"), note)


def _errors(made: FinishedDetector) -> Section:
    """Show how many of the best detections of each class are right, or errors of each kind."""
    kinds = error_kinds(made.classes, made.images, made.best)
    rows = [[name, *(f"{row[kind]:,}" for kind in KINDS)] for name, row in kinds.items()]
    totals = [sum(row[kind] for row in kinds.values()) for kind in KINDS]
    rows.append(["all", *(f"{count:,}" for count in totals)])
    figure = Figure(figsize=(7, 0.9), layout="constrained")
    axes, start = figure.subplots(), 0
    colours = (BLUE, "#E69F00", "#CC79A7", "#009E73", GREY)
    for kind, count, colour in zip(KINDS, totals, colours):
        axes.barh(0, count, left=start, color=colour, label=kind)
        start += count
    axes.axis("off")
    axes.legend(
        ncols=len(KINDS), fontsize=8, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0)
    )
    shown = picture(figure, "kinds of detections") + _table(["class", *KINDS], rows)
    note = (
        "Kinds of the best n detections of each class, if the class has n objects. A detection is "
        "a duplicate if a better one has found the same object. Its localisation is wrong if it "
        "overlaps an object of its class by 0.1 to 0.5. It shows another class if it overlaps an "
        "object of that class by at least 0.1. All others are background."
    )
    return Section("Kinds of errors", "errors", shown, note)


def _examples(made: FinishedDetector) -> list[Section]:
    """Show the images with the largest and the smallest share of right detections.

    No image is in both sections. A single image is only in the first.
    """
    right = np.array([_quality(one, own) for one, own in zip(made.images, made.best)])
    order = np.argsort(-right, kind="stable")
    count = min(SHOWN, -(-len(order) // 2))
    note = (
        "The best n detections of each class, if the class has n objects. Objects are white. The "
        "percentage is the share of right detections among all detections and missed objects."
    )
    return [
        Section(title, anchor, _grid(made, some, right), note)
        for title, anchor, some in (
            ("Best images", "best", order[:count]),
            ("Worst images", "worst", order[count:][::-1][:SHOWN]),
        )
        if len(some)
    ]


def _quality(image: Annotated, found: Detections) -> float:
    """Return the share of right detections among all detections and missed objects."""
    right = kinds_of(image, found).count("right")
    total = len(found.scores) + int(np.sum(~image.ignored)) - right
    return right / total if total else 1.0


def _grid(made: FinishedDetector, chosen: Sequence[int] | np.ndarray, right: np.ndarray) -> Markup:
    shown = []
    for index in map(int, chosen):
        one = made.images[index]
        pixels = np.asarray(read_image(one.path, 3))
        drawn = np.asarray(boxes_on(pixels, made.best[index], made.classes, -np.inf, one.boxes))
        html = picture(drawn, f"detections in {one.path.name}", PHOTO)
        shown.append((html, "", f"{right[index]:.0%}", "right", True, one.path.name))
    return render("images", images=shown)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    cells = [Markup("<tr>{}</tr>").format(_cells(row)) for row in rows]
    head = Markup("").join(Markup("<th>{}</th>").format(x) for x in heads)
    table = '<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    return Markup(table).format(head, Markup("").join(cells))


def _cells(row: Sequence[str]) -> Markup:
    first, *others = row
    head = Markup('<th scope="row">{}</th>').format(first)
    return head + Markup("").join(Markup("<td>{}</td>").format(x) for x in others)


def _recipe(made: FinishedDetector) -> Section:
    note = "The complete recipe, including values from the paper and overrides."
    shown = Markup("<pre tabindex=0><code>{}</code></pre>").format(made.run.recipe().toml())
    return Section("Recipe", "recipe", shown, note)
