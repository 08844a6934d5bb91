"""Average precision of a detector's detections, and the kinds of its errors."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from keras_ilsvrc.data.annotated import Annotated
from keras_ilsvrc.evaluation import detection
from keras_ilsvrc.evaluation.boxes import overlaps
from keras_ilsvrc.evaluation.detection import Curve, Found, Objects
from keras_ilsvrc.rcnn.detector import Detections
from keras_ilsvrc.rcnn.files import Scores

OVERLAP = 0.5
NEAR = 0.1  # minimum overlap of a badly localised detection (Hoiem et al. 2012, section 3)
KINDS = ("right", "duplicate", "localisation", "other class", "background")


def of_class(
    label: int, images: Sequence[Annotated], found: Sequence[Detections]
) -> tuple[list[Found], list[Objects]]:
    """Return the detections and the objects of one class in each image."""
    detections = [
        Found(one.boxes[own], one.scores[own]) for one in found for own in [one.labels == label]
    ]
    objects = [
        Objects(one.boxes[own], one.ignored[own], one.crowds[own])
        for one in images
        for own in [one.labels == label]
    ]
    return detections, objects


def curves(
    classes: Sequence[str], images: Sequence[Annotated], found: Sequence[Detections]
) -> dict[str, Curve]:
    """Return the precision-recall curve of each class at an overlap of 0.5, by VOC's rule."""
    return {
        name: detection.curve(*of_class(label, images, found), OVERLAP)
        for label, name in enumerate(classes)
    }


def scores_of(
    classes: Sequence[str], images: Sequence[Annotated], found: Sequence[Detections]
) -> Scores:
    """Return the average precisions of all classes, and their means over the classes, in %.

    Classes without objects are left out of the means.
    """
    rows: dict[str, dict[str, float | None]] = {}
    for label, (name, curve) in enumerate(curves(classes, images, found).items()):
        own = of_class(label, images, found)
        values = {
            "voc07_map": detection.eleven_points(curve),
            "voc_map": detection.area(curve),
            "coco_ap": detection.coco(*own, detection.COCO_THRESHOLDS),
            "coco_ap50": detection.coco(*own, (0.5,)),
            "coco_ap75": detection.coco(*own, (0.75,)),
        }
        rows[name] = {
            key: None if np.isnan(value) else round(100 * value, 4) for key, value in values.items()
        }
    means = {}
    for key in Scores.model_fields.keys() - {"classes"}:
        own_values = [value for row in rows.values() if (value := row[key]) is not None]
        means[key] = round(float(np.mean(own_values or [0.0])), 4)
    return Scores(classes=rows, **means)


def kinds_of(image: Annotated, found: Detections) -> list[str]:
    """Return the kind of each detection in an image: one of `KINDS`, or "ignored".

    A detection that is not right has the first kind that applies (after Hoiem et al. 2012):
    "duplicate" if it overlaps an object of its class by at least 0.5, "localisation" if it overlaps
    one by at least 0.1, "other class" if it overlaps an object of another class by at least 0.1, or
    else "background".
    """
    kinds = np.full(len(found.scores), "background", object)
    for label in np.unique(found.labels):
        own, same = np.flatnonzero(found.labels == label), image.labels == label
        objects = Objects(image.boxes[same], image.ignored[same], image.crowds[same])
        verdicts = detection.judge(Found(found.boxes[own], found.scores[own]), objects, OVERLAP)
        near = overlaps(found.boxes[own], image.boxes[same]).max(axis=1, initial=0)
        others = overlaps(found.boxes[own], image.boxes[~same]).max(axis=1, initial=0)
        kinds[own[others >= NEAR]] = "other class"
        kinds[own[near >= NEAR]] = "localisation"
        kinds[own[near >= OVERLAP]] = "duplicate"
        kinds[own[verdicts == detection.RIGHT]] = "right"
        kinds[own[verdicts == detection.IGNORED]] = "ignored"
    return kinds.tolist()


def best_of(
    classes: Sequence[str], images: Sequence[Annotated], found: Sequence[Detections]
) -> list[Detections]:
    """Return the best n detections of each class over all images, if the class has n objects.

    Ignored detections are left out.
    """
    counted = [np.array(kinds_of(*pair), object) != "ignored" for pair in zip(images, found)]
    kept = [np.zeros(len(one.scores), bool) for one in found]
    for label in range(len(classes)):
        count = sum(int(np.sum((one.labels == label) & ~one.ignored)) for one in images)
        places = [
            (-one.scores[index], number, index)
            for number, one in enumerate(found)
            for index in np.flatnonzero((one.labels == label) & counted[number])
        ]
        for _, number, index in sorted(places)[:count]:
            kept[number][index] = True
    return [Detections(*(part[own] for part in one)) for one, own in zip(found, kept)]


def error_kinds(
    classes: Sequence[str], images: Sequence[Annotated], best: Sequence[Detections]
) -> dict[str, dict[str, int]]:
    """Return the number of detections of each kind, by class, as {class: {kind: number}}."""
    totals = {name: Counter[str]() for name in classes}
    for image, one in zip(images, best, strict=True):
        for label, kind in zip(one.labels, kinds_of(image, one)):
            totals[classes[label]][kind] += 1
    return {name: {kind: own[kind] for kind in KINDS} for name, own in totals.items()}
