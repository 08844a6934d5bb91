"""Tests of pictures with the boxes of detections, and of the kinds of detections."""

import numpy as np
import shapes

from keras_ilsvrc.data.annotations import open_boxes
from keras_ilsvrc.rcnn.detector import Detections
from keras_ilsvrc.rcnn.evaluate import best_of, error_kinds, kinds_of
from keras_ilsvrc.rcnn.pictures import boxes_on


def detections(*rows):
    labels, scores, boxes = zip(*rows)
    return Detections(np.array(labels), np.array(scores), np.array(boxes, float))


def test_each_kind_of_error_is_told_apart(tmp_path):
    shapes.write_voc(tmp_path / "voc")
    image = open_boxes(f"voc:{tmp_path}/voc").splits["test"][1]
    label, box = int(image.labels[0]), image.boxes[0]
    side = box[2] - box[0]
    near = box + np.array([0.6, 0, 0.6, 0]) * side
    far = [1, 1, 4, 4] if box[0] > 5 or box[1] > 5 else [120, 90, 127, 95]
    found = detections(
        (label, 5.0, box),
        (label, 4.0, box + np.array([1, 0, 1, 0])),
        (label, 3.0, near),
        (1 - label, 2.0, box),
        (label, 1.0, far),
    )
    own = image.labels == label
    assert own.sum() >= 1
    kinds = kinds_of(image, found)
    assert kinds[:3] == ["right", "duplicate", "localisation"]
    assert kinds[3] in ("other class", "right", "localisation")
    assert kinds[4] == "background"
    best = best_of(shapes.CLASSES, [image], [found])
    counts = error_kinds(shapes.CLASSES, [image], best)
    assert (best[0].labels == label).sum() == own.sum()
    assert counts[shapes.CLASSES[label]]["right"] == 1
    assert sum(counts[shapes.CLASSES[label]].values()) == own.sum()


def test_boxes_are_drawn_where_they_are():
    pixels = np.zeros((60, 80, 3), "uint8")
    found = detections((0, 1.0, [20, 30, 50, 55]), (1, -1.0, [0, 0, 5, 5]))
    drawn = np.asarray(boxes_on(pixels, found, ("disc", "square"), 0.0))
    assert drawn[54, 20:50].any(axis=1).all()  # the lower side
    assert not drawn[40, 25:45].any()
    assert not drawn[:5, :5].any()


def test_a_label_at_the_right_border_is_as_wide_as_one_at_the_left():
    def written(left):
        pixels = np.zeros((60, 200, 3), "uint8")
        box = [left, 30, left + 10, 55]
        drawn = np.asarray(boxes_on(pixels, detections((0, 1.0, box)), ("disc",)))
        return drawn[:28].any(axis=(0, 2)).sum()

    assert written(190) == written(0) > 20


def test_missed_objects_are_seen_on_a_white_image():
    pixels = np.full((60, 80, 3), 255, "uint8")
    none = Detections(np.zeros(0, int), np.zeros(0), np.zeros((0, 4)))
    missed = np.array([[20.0, 30, 50, 55]])
    drawn = np.asarray(boxes_on(pixels, none, ("disc",), missed=missed))
    dark = (drawn[40] < 99).all(axis=1)
    assert np.flatnonzero(dark).tolist() == [19, 21, 48, 50]
