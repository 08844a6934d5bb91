"""The `explain` function, which writes a page that runs a trained network in the browser."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
from markupsafe import Markup

from keras_ilsvrc.accounting import account
from keras_ilsvrc.report.explain.images import drawing, leading, raw_images, rows_for_page, samples
from keras_ilsvrc.report.explain.operations import Operation, for_inference, operations
from keras_ilsvrc.report.explain.strongest import Strongest
from keras_ilsvrc.report.explain.weights import Pack, check_rounding, check_size, room_for_pictures
from keras_ilsvrc.report.page import render
from keras_ilsvrc.runs.evaluate import restore
from keras_ilsvrc.runs.finished import Working, unseen
from keras_ilsvrc.runs.inspection import Inspection, of_experiment
from keras_ilsvrc.runs.loaded import trained_model
from keras_ilsvrc.runs.reading import EXPLAINED, RunFiles
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import file_errors


class Explained(NamedTuple):
    """Facts about a written page.

    Attributes:
        size: Size of the file in bytes.
        weights: Number of values in the page: weights, and arrays of preprocessing ops.
        half: Whether these values have 16 bits instead of 32.
        samples: Number of test images to choose from.
        layers: Number of layers that have a row on the page.
        pictured: Number of layers with the test images that most excite their maps.
    """

    size: int
    weights: int
    half: bool
    samples: int
    layers: int
    pictured: int


def explain(
    path: Path, out: Path | None = None, dataset: str | None = None, working: Working = unseen
) -> Explained:
    """Write a page that runs the network of a finished run in the browser, layer by layer.

    The page is one self-contained HTML file. It contains some test images of the run and, for each
    layer, those that most excite its maps. Both are left out if the test images are not found.

    Args:
        path: Directory of the run.
        out: File to write; `explain.html` in the run's directory if None.
        dataset: Source of the images; None for the one in the recipe.
        working: Function that opens a progress bar with a label, for example `utils.bars.bar`.

    Raises:
        InputError: If the directory contains no finished run, the network is too large for a page
            or has a layer that a page cannot show, or the page cannot be written.
    """
    directory = RunFiles(path).check_finished()
    note = f"{directory.result()['top1_error']:.2f} % top-1 test error"
    experiment = restore(path, dataset=dataset, optional=True)
    view = of_experiment(experiment, directory)
    view = replace(view, model=trained_model(directory, "float32"))
    return write_page(view, out or path / EXPLAINED, experiment.title, note, working)


def write_page(
    view: Inspection, out: Path, title: str, note: str = "", working: Working = unseen
) -> Explained:
    """Write the page of a model with its preprocessing and images; see `explain`.

    Args:
        view: Functional model from preprocessed images to probabilities, with its preprocessing
            ops and test images.
        out: File to write.
        title: Heading of the page.
        note: Text about the model, for example its test error.
        working: As in `explain`.

    Raises:
        InputError: As in `explain`, or if the model is not functional, or has several outputs of
            which none is `predictions`.
    """
    net, pack = for_inference(view.model), Pack()
    steps = operations(net)
    rows = rows_for_page(view, pack)
    table = [_packed(step, pack) for step in steps]
    check_size(title, pack)
    weights = pack.text()
    room = room_for_pictures(weights)
    chosen, raw = samples(view, room), raw_images(view)
    if pack.half:
        check_rounding(title, net, [view.image(one["index"]) for one in chosen])
    room -= sum(len(one["source"]) for one in chosen)
    pictured = _add_strongest(table, steps, net, view, working, room) if chosen else 0
    shape = net.inputs[0].shape[1:]
    notes = [note, f"{account(net).parameters:,} weights", f"{len(view.classes)} classes"]
    html = render(
        "explain",
        title=title,
        note=", ".join(filter(None, notes)),
        page={
            "shape": shape,
            "classes": view.names,
            "rows": rows,
            "lead": leading(view.rows),
            "half": pack.half,
            "operations": table,
            "samples": chosen,
            "size": raw[0].shape[:2] if raw else None,
            "drawn": drawing(raw, shape) if shape[-1] == 1 else None,
        },
        weights=Markup(weights),
    ).encode("utf-8", "backslashreplace")
    with file_errors(out, "written"), files.whole(out) as part:
        part.write_bytes(html)
    count = sum(step.shown for step in steps)
    return Explained(len(html), pack.length, pack.half, len(chosen), count, pictured)


def _packed(step: Operation, pack: Pack) -> dict[str, Any]:
    places = {name: pack.add(np.asarray(array)) for name, array in step.weights.items()}
    return step.table() | {"weights": places}


def _add_strongest(
    table: list[dict[str, Any]],
    steps: list[Operation],
    net: keras.Model,
    view: Inspection,
    working: Working,
    room: int,
) -> int:
    """Add the strongest images to layers in `table` until `room` bytes are used.

    Return the number of layers with strongest images.
    """
    rows = [(one, step.output) for one, step in zip(table, steps, strict=True) if step.shown]
    search = Strongest(net, view, [name for _, name in rows], account(net).macs or 0)
    with working("searching images") as progress:
        strengths = search.strengths(progress)
    with working("projecting activations") as progress:
        for done, ((row, name), values) in enumerate(zip(rows, strengths, strict=True)):
            made = search.sprite(name, values)
            room -= len(made["source"])
            if room < 0:
                return done
            row["strongest"] = made
            progress(done + 1, len(rows))
    return len(rows)
