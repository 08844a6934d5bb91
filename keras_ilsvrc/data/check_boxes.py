"""Check of a data set with boxes: counts of its images, boxes and classes, and all faults."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from keras_ilsvrc.data.annotations import open_boxes
from keras_ilsvrc.data.headers import Fault

# Prefixes of the names of training splits, such as train and trainval, and of test splits.
TRAINING, TEST = "train", "test"


@dataclass
class BoxFindings:
    """Results of checking a data set with boxes.

    Attributes:
        source: Name of the data set.
        images: Number of images of each split.
        without_boxes: Number of images of each split that have no boxes.
        counts: Number of boxes of each class, as {class: {split: boxes}}.
        sides: Minimum, median and maximum of the square root of a box's area, in pixels; None if
            there are no boxes.
        shared: For each pair of splits that share image files, such as `train, test`, the number
            of these files. Pairs in which one split contains the other are left out, unless the
            name of one of them begins with `test`.
        bad: Every image and box that cannot be used as it is, and every class whose boxes are all
            outside the training splits.
        notes: Remarks, one line each.
    """

    source: str
    images: dict[str, int]
    without_boxes: dict[str, int]
    counts: dict[str, dict[str, int]]
    sides: tuple[float, float, float] | None
    shared: dict[str, int]
    bad: list[Fault]
    notes: list[str]


def check_boxes(name: str) -> BoxFindings:
    """Read the annotations and image headers of a data set with boxes, and return the findings.

    Args:
        name: Name of the data set, as for `open_boxes`.

    Raises:
        InputError: If the data set cannot be opened.
    """
    bad: list[Fault] = []
    source = open_boxes(name, on_fault=bad.append)
    splits = source.splits
    counts: dict[str, dict[str, int]] = {kind: {} for kind in source.classes}
    for title, images in splits.items():
        for kind, count in source.counts(images).items():
            counts[kind][title] = count
    trained = [title for title in splits if title.startswith(TRAINING)]
    for kind, row in counts.items():
        if trained and sum(row.values()) and not any(row[title] for title in trained):
            listed = ", ".join(f"{count:,} in {title}" for title, count in row.items() if count)
            bad.append(Fault(f"class {kind!r}", None, f"no boxes for training, but {listed}"))
    every = [one.boxes for images in splits.values() for one in images]
    boxes = np.concatenate([np.zeros((0, 4)), *every])
    sides = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    files = {title: {one.path for one in images} for title, images in splits.items()}
    shared = {}
    for (one, own), (other, its) in combinations(files.items(), 2):
        both = len(own & its)
        inside = both == min(len(own), len(its))
        if both and (not inside or TEST in (one[: len(TEST)], other[: len(TEST)])):
            shared[f"{one}, {other}"] = both
    return BoxFindings(
        source=source.name,
        images={title: len(images) for title, images in splits.items()},
        without_boxes={key: sum(not len(x.boxes) for x in own) for key, own in splits.items()},
        counts=counts,
        sides=(float(sides.min()), float(np.median(sides)), float(sides.max()))
        if len(sides)
        else None,
        shared=shared,
        bad=bad,
        notes=list(source.notes),
    )
