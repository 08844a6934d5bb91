"""Average precision of detections: the two definitions of Pascal VOC, and that of COCO.

Precision is the fraction of detections that are right. Recall is the fraction of objects that are
found.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from keras_ilsvrc.evaluation.boxes import overlaps

COCO_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10))
COCO_MOST = 100  # maximum number of detections per image and class in COCO
RIGHT, WRONG, IGNORED = 1, 0, -1
Rule = Literal["voc", "coco"]


@dataclass(frozen=True)
class Objects:
    """Objects of one class in one image.

    Attributes:
        boxes: Boxes of the objects, (objects, 4), as in `evaluation.boxes`.
        ignored: Whether each object is ignored, (objects,), bool: difficult objects in VOC, groups
            of objects in COCO. A detection of an ignored object is neither right nor wrong.
        crowds: Whether each object is a group of objects, (objects,), bool.
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
    """Precision-recall curve: one point after each detection, in the order of falling scores.

    Attributes:
        precision: Precision after each detection, (detections,), from 0 to 1.
        recall: Recall after each detection, (detections,), from 0 to 1.
        scores: Score of each detection, (detections,).
        objects: Number of objects that are not ignored.
    """

    precision: np.ndarray
    recall: np.ndarray
    scores: np.ndarray
    objects: int


def judge(found: Found, objects: Objects, threshold: float, rule: Rule = "voc") -> np.ndarray:
    """Return whether each detection of an image is `RIGHT`, `WRONG` or `IGNORED`.

    Detections are compared with the objects in order of falling score. VOC compares a detection
    with the object that it overlaps most. If an earlier detection has found this object, the
    detection is wrong. COCO compares it with the object that it overlaps most among those that are
    not found yet; ignored objects come last.

    Args:
        found: Detections, in any order.
        objects: Objects of the same class and image.
        threshold: Minimum overlap of a detection with its object, from 0 to 1.
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
    """Return the index of the object with which COCO compares a detection, or None.

    This is the object with the largest overlap, or the last of several equal ones. Ignored objects
    are considered only if no other object overlaps enough.
    """
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
        threshold: Minimum overlap of a detection with its object, from 0 to 1.
        rule: Rule that matches detections and objects; see `judge`.
        most: Maximum number of detections per image, those of highest score; None for no limit.
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
    """Return VOC 2007's average precision, from 0 to 1; NaN if there are no objects.

    This is the mean, over the recalls 0, 0.1, ... 1, of the highest precision at this recall or a
    higher one.
    """
    return _sampled(found, np.arange(11) / 10)


def area(found: Curve) -> float:
    """Return VOC's average precision since 2010: the area under the curve; NaN without objects."""
    if not found.objects:
        return float("nan")
    recall = np.concatenate([[0.0], found.recall])
    return float(np.sum(np.diff(recall) * _falling(found.precision)))


def coco(
    found: Sequence[Found], objects: Sequence[Objects], thresholds: Sequence[float] = (0.5,)
) -> float:
    """Return COCO's average precision: the mean over 101 recalls and over overlap thresholds.

    It is NaN if there are no objects. `COCO_THRESHOLDS` are the ten thresholds of COCO's AP.
    """
    curves = [curve(found, objects, each, "coco", COCO_MOST) for each in thresholds]
    return float(np.mean([_sampled(each, np.linspace(0, 1, 101)) for each in curves]))


def _sampled(found: Curve, recalls: np.ndarray) -> float:
    """Return the mean, over `recalls`, of the highest precision at this recall or a higher one."""
    if not found.objects:
        return float("nan")
    places = np.searchsorted(found.recall, recalls, side="left")
    return float(np.mean(np.append(_falling(found.precision), 0.0)[places]))


def _falling(precision: np.ndarray) -> np.ndarray:
    """Return, for each point of a curve, the highest precision at this point or a later one."""
    return np.maximum.accumulate(precision[::-1])[::-1]
