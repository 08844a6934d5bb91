"""Average precision of detections: Pascal VOC's two, and COCO's.

Precision is the share of detections that are right, recall the share of objects that are found.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from keras_ilsvrc.evaluation.boxes import overlaps

COCO_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10))
COCO_MOST = 100  # detections of an image and class that count in COCO
RIGHT, WRONG, IGNORED = 1, 0, -1
Rule = Literal["voc", "coco"]


@dataclass(frozen=True)
class Objects:
    """Objects of one class in one image.

    Attributes:
        boxes: Their boxes, (objects, 4), as in `evaluation.boxes`.
        ignored: Which need not be found, (objects,), bool: difficult objects of VOC, and groups of
            COCO. A detection of one of them is neither right nor wrong.
        crowds: Which are groups of objects, (objects,), bool.
    """

    boxes: np.ndarray
    ignored: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    crowds: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))

    def __post_init__(self) -> None:
        for name in ("ignored", "crowds"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.zeros(len(self.boxes), bool))


class Found(NamedTuple):
    """Detections of one class in one image: boxes (n, 4) and scores (n,)."""

    boxes: np.ndarray
    scores: np.ndarray


class Curve(NamedTuple):
    """Precision and recall after each detection, the best score first, from 0 to 1.

    Attributes:
        precision: Precision, (detections,).
        recall: Recall, (detections,).
        scores: Scores, (detections,).
        objects: Number of objects to find.
    """

    precision: np.ndarray
    recall: np.ndarray
    scores: np.ndarray
    objects: int


def judge(found: Found, objects: Objects, threshold: float, rule: Rule = "voc") -> np.ndarray:
    """Return whether each detection of an image is `RIGHT`, `WRONG` or `IGNORED`.

    By VOC's rule, a detection is compared with the object that it overlaps most, and is wrong if
    an earlier detection has found that object. By COCO's rule, it is compared with the object that
    it overlaps most of those that are not found yet, and with ignored objects last.

    Args:
        found: Detections, in any order; the best score goes first.
        objects: Objects of the same class and image.
        threshold: Least overlap, from 0 to 1.
        rule: `"voc"` or `"coco"`.
    """
    verdicts = np.full(len(found.scores), WRONG)
    if not len(objects.boxes):
        return verdicts
    crowds = objects.crowds if rule == "coco" else None
    shared = overlaps(found.boxes, objects.boxes, crowds)
    taken = np.zeros(len(objects.boxes), bool)
    for index in np.argsort(-found.scores, kind="stable"):
        match = (_voc if rule == "voc" else _coco)(shared[index], taken, objects, threshold)
        if match is None:
            continue
        verdicts[index] = IGNORED if objects.ignored[match] else WRONG if taken[match] else RIGHT
        taken[match] |= not objects.ignored[match] or rule == "coco"
    return verdicts


def _voc(shared: np.ndarray, taken: np.ndarray, objects: Objects, least: float) -> int | None:
    best = int(np.argmax(shared))
    return best if shared[best] >= least else None


def _coco(shared: np.ndarray, taken: np.ndarray, objects: Objects, least: float) -> int | None:
    """Return COCO's match: the largest overlap, of equal ones the last, ignored objects last."""
    for ignored in (False, True):
        free = (objects.ignored == ignored) & (~taken | objects.crowds)
        values = np.where(free & (shared >= min(least, 1 - 1e-10)), shared, -1)
        best = len(values) - 1 - int(np.argmax(values[::-1]))
        if values[best] >= 0:
            return best
    return None


def curve(
    found: Sequence[Found],
    objects: Sequence[Objects],
    threshold: float = 0.5,
    rule: Rule = "voc",
    most: int | None = None,
) -> Curve:
    """Return the precision-recall curve of one class over all images.

    Args:
        found: Detections of each image.
        objects: Objects of each image, in the same order.
        threshold: Least overlap of a detection with its object.
        rule: Rule by which detections and objects are matched; see `judge`.
        most: Number of the best detections of each image that count; None for all.
    """
    count = sum(int(np.sum(~one.ignored)) for one in objects)
    scores, verdicts = [np.zeros(0)], [np.zeros(0, int)]
    for own, truth in zip(found, objects, strict=True):
        best = np.argsort(-own.scores, kind="stable")[:most]
        own = Found(own.boxes[best], own.scores[best])
        scores.append(own.scores)
        verdicts.append(judge(own, truth, threshold, rule))
    values, judged = np.concatenate(scores), np.concatenate(verdicts)
    order = np.argsort(-values, kind="stable")
    order = order[judged[order] != IGNORED]
    right = np.cumsum(judged[order] == RIGHT)
    precision = right / np.arange(1, len(order) + 1)
    return Curve(precision, right / max(count, 1), values[order], count)


def eleven_points(found: Curve) -> float:
    """Return VOC 2007's average precision: mean of the best precisions at recalls 0, 0.1, ... 1.

    It is NaN if there are no objects.
    """
    return _sampled(found, np.arange(11) / 10)


def area(found: Curve) -> float:
    """Return the area under the curve, as in VOC since 2010; NaN if there are no objects."""
    if not found.objects:
        return float("nan")
    recall = np.concatenate([[0.0], found.recall])
    return float(np.sum(np.diff(recall) * _falling(found.precision)))


def coco(
    found: Sequence[Found], objects: Sequence[Objects], thresholds: Sequence[float] = (0.5,)
) -> float:
    """Return COCO's average precision: the mean over 101 recalls, and over thresholds.

    It is NaN if there are no objects. `COCO_THRESHOLDS` are the ten thresholds of COCO's AP.
    """
    curves = [curve(found, objects, each, "coco", COCO_MOST) for each in thresholds]
    return float(np.mean([_sampled(each, np.linspace(0, 1, 101)) for each in curves]))


def _sampled(found: Curve, recalls: np.ndarray) -> float:
    """Return the mean over some recalls of the best precision at this recall or a higher one."""
    if not found.objects:
        return float("nan")
    places = np.searchsorted(found.recall, recalls, side="left")
    return float(np.mean(np.append(_falling(found.precision), 0.0)[places]))


def _falling(precision: np.ndarray) -> np.ndarray:
    """Return the best precision at each place of a curve or behind it."""
    return np.maximum.accumulate(precision[::-1])[::-1]
