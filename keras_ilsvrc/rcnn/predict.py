"""Detections of a finished detector in image files, with pictures of their boxes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_ilsvrc.data.annotated import Annotated
from keras_ilsvrc.data.decode import read_image
from keras_ilsvrc.data.headers import own_limit
from keras_ilsvrc.rcnn.detector import Detections, detect_all
from keras_ilsvrc.rcnn.features import features
from keras_ilsvrc.rcnn.pictures import boxes_on, save_picture
from keras_ilsvrc.rcnn.proposals import Proposer
from keras_ilsvrc.rcnn.regions import Regions
from keras_ilsvrc.rcnn.train import Restored, proposer_of, restore
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.utils.files import whole


class Answer(NamedTuple):
    """Objects that a detector finds in an image.

    Attributes:
        path: Path of the image file.
        objects: Dicts with keys "class", "score" and "box", from the best score on.
        fault: Reason why the file cannot be used; None if it can be used.
        left_out: Best object below the minimum score; None if there is none.
    """

    path: Path
    objects: list[dict[str, Any]]
    fault: str | None = None
    left_out: dict[str, Any] | None = None


def detect(
    run: Path, paths: Sequence[Path], folder: Path | None, least: float = 0.0
) -> Iterator[Answer]:
    """Yield an `Answer` for each image file, in order, from a finished detector.

    Args:
        run: Directory of the run.
        paths: Image files.
        folder: Folder for a picture of each image with its boxes, named after the image; None for
            no pictures.
        least: Minimum score of a detection.

    Raises:
        InputError: If the run is not finished or damaged, or as in `check_pictures`.
    """
    names = [_picture_name(path) for path in paths]
    if folder is not None:
        check_pictures(paths, folder)
    restored = restore(run)
    proposer = proposer_of(restored.recipe)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    for path, name in zip(paths, names):
        try:
            with own_limit():
                pixels = np.asarray(read_image(path, 3))
            found = in_image(restored, proposer, pixels, path)
        except InputError as error:
            yield Answer(path, [], str(error))
            continue
        if folder is not None:
            with whole(folder / name) as part:
                drawn = boxes_on(pixels, found, restored.classes, least)
                save_picture(drawn, part)
        objects = _objects(found, restored.classes)
        left_out = next((one for one in objects if one["score"] < least), None)
        kept = [one for one in objects if one["score"] >= least]
        yield Answer(path, kept, None, left_out)


def in_image(restored: Restored, proposer: Proposer, pixels: np.ndarray, path: Path) -> Detections:
    """Return the detections in an RGB image (height, width, 3), uint8, that was read from `path`.

    Without proposals, there are no detections.
    """
    table = restored.recipe.features
    boxes = proposer(pixels, path.name)
    values: dict[str, np.ndarray] = {}
    if len(boxes):
        found = features(
            restored.extractor, pixels, boxes, table.size, table.context, table.batch_size
        )
        values = {name: each.astype("float32") for name, each in found.items()}
    none = np.zeros(0, int)
    height, width = pixels.shape[:2]
    image = Annotated(path, height, width, np.zeros((0, 4)), none, none == 1, none == 1)
    regions = Regions(image, boxes, 0, values)
    made = detect_all(restored.detector, [regions], restored.recipe.detection)
    return made[max(made)][0]


def check_pictures(paths: Sequence[Path], folder: Path) -> None:
    """Raise an InputError if a picture would replace an image, or the picture of another image."""
    names, images = [_picture_name(path) for path in paths], {path.resolve() for path in paths}
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice:
        raise InputError(f"--out: two pictures would be written to {twice}; rename one image")
    for name in names:
        if (folder / name).resolve() in images:
            raise InputError(
                f"--out: the picture would replace the image {folder / name}; choose another folder"
            )


def _objects(found: Detections, classes: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"class": classes[label], "score": float(score), "box": [round(float(x), 2) for x in box]}
        for label, score, box in zip(found.labels, found.scores, found.boxes)
    ]


def _picture_name(path: Path) -> str:
    return path.name if path.suffix.lower() in (".jpg", ".jpeg", ".png") else f"{path.name}.png"
