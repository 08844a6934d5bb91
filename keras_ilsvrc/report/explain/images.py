"""Images for the explain page: test images, preprocessing ops, and settings for drawings."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from keras_ilsvrc.data.apply import NO_SEED, apply_ops, arguments_of
from keras_ilsvrc.data.normalise import MODES
from keras_ilsvrc.data.ops import GEOMETRY
from keras_ilsvrc.data.types import Row, Rows
from keras_ilsvrc.report.explain.weights import Pack
from keras_ilsvrc.report.page import data_url
from keras_ilsvrc.runs.inspection import Inspection
from keras_ilsvrc.utils.errors import InputError

SAMPLES = 20  # maximum number of test images to choose from
MEASURED = 100  # maximum number of test images from which the settings for drawings are measured
INK = 64  # pixels that differ from the paper by more than this many grey levels are ink
SHARE = 0.8  # longer side of a drawing / longer side of the image, if no test image shows it
# Ops that become the op `scale` of the page's JavaScript
CHANNEL_OPS = ("normalise", "preprocess", "standardise", "subtract_channel_mean")
# Ops with the same name and arguments in the page's JavaScript
SAME_OPS = ("resize", "resize_shorter", "centre_crop", "pad", "global_contrast")


def rows_for_page(view: Inspection, pack: Pack) -> list[dict[str, Any]]:
    """Return the preprocessing ops in the form that the page's JavaScript needs.

    Args:
        view: Preprocessing ops and their statistics.
        pack: Arrays of the page, to which those of the ops are added.

    Raises:
        InputError: If the page cannot apply an op, for example because it is random.
    """
    made = []
    for row in view.rows:
        name, given = row["op"], arguments_of(row, view.statistics)
        if name in CHANNEL_OPS:
            made.append(_by_channel(row, given))
        elif name == "subtract_pixel_mean":
            mean = np.asarray(given["pixel_mean"])
            made.append({"op": name, "mean": pack.add(mean), "shape": mean.shape})
        elif name == "zca":
            parts = {key: pack.add(given[f"zca_{key}"]) for key in ("mean", "matrix")}
            made.append({"op": name, **parts})
        elif name in SAME_OPS:
            made.append({key: value for key, value in row.items() if value is not None})
        else:
            raise InputError(
                f"the page cannot apply the test op {name}, because it is random or unknown to it; "
                "explain a run without this test op"
            )
    return made


def _by_channel(row: Row, given: dict[str, Any]) -> dict[str, Any]:
    """Return the op `scale`, which subtracts a mean from each channel and divides it by a std."""
    bgr = False
    if row["op"] == "preprocess":
        bgr, mean, std = MODES[row["mode"]]
    elif row["op"] == "normalise":
        mean, std = given["mean"], given["std"]
    else:
        mean, std = given["channel_mean"], given.get("channel_std", 1.0)
    values = {"mean": np.ravel(mean).tolist(), "std": np.ravel(std).tolist()}
    return {"op": "scale", "reverse": bgr, **values}


def leading(rows: Rows) -> int:
    """Return the number of leading ops: the geometric ops before the first op of another type."""
    return next((n for n, row in enumerate(rows) if row["op"] not in GEOMETRY), len(rows))


def samples(view: Inspection, room: int) -> list[dict[str, Any]]:
    """Return up to `SAMPLES` test images, spread over the classes, after the leading ops.

    Args:
        view: Test images.
        room: Maximum size of all images in bytes; further images are left out.

    Returns:
        For each image, `source`, its data URL, `label`, and `index`, its index in the split.
    """
    if view.split is None:
        return []
    indices = np.arange(len(view.split))
    if view.labelled:
        labels = view.split.labels
        ranks = np.zeros(len(labels), "int64")  # rank of each image within its class
        for label in np.unique(labels):
            ranks[labels == label] = np.arange((labels == label).sum())
        indices = np.lexsort((labels, ranks))
    before, made = view.rows[: leading(view.rows)], []
    for index in map(int, indices[:SAMPLES]):
        source = picture_url(np.asarray(apply_ops(view.raw(index), before, NO_SEED, {})))
        room -= len(source)
        if room < 0:
            break
        made.append({"source": source, "label": view.label(index), "index": index})
    return made


def raw_images(view: Inspection) -> list[np.ndarray]:
    """Return the first `MEASURED` unprocessed test images; none if they have different sizes."""
    count = 0 if view.split is None else min(MEASURED, len(view.split))
    found = [np.asarray(view.raw(index)) for index in range(count)]
    return found if len({image.shape for image in found}) == 1 else []


def drawing(images: Sequence[np.ndarray], size: Sequence[int]) -> dict[str, Any]:
    """Return the settings by which the page converts a drawing to an image like those of the run.

    Args:
        images: Grey test images of one size; empty if there are none.
        size: Height and width of the result if there are no images.

    Returns:
        `size`, the height and width of the result; `share`, the longer side of the ink as a
        fraction of the longer side of the image; `paper` and `ink`, their grey levels.
    """
    if not images:
        return {"size": size[:2], "share": SHARE, "paper": 255, "ink": 0}
    edges = [np.concatenate([x[0], x[-1], x[:, 0], x[:, -1]]) for x in images]
    paper = int(np.median(edges))
    inked = [abs(x[..., 0].astype(int) - paper) > INK for x in images]
    spans = [[np.flatnonzero(x.any(axis)) for axis in (0, 1)] for x in inked if x.any()]
    sides = [max(np.ptp(span) + 1 for span in pair) for pair in spans]
    share = float(np.median(sides)) / max(images[0].shape) if sides else SHARE
    return {
        "size": images[0].shape[:2],
        "share": round(share, 3),
        "paper": paper,
        "ink": 255 if paper < 128 else 0,
    }


def picture_url(pixels: np.ndarray, quality: int | None = None) -> str:
    """Return a uint8 image as a data URL: a PNG, or a JPEG if `quality` is given."""
    held, kind = io.BytesIO(), "png" if quality is None else "jpeg"
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image.save(held, kind, optimize=True, quality=quality or 0, subsampling=0)
    return data_url(held.getvalue(), f"image/{kind}")
