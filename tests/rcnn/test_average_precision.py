"""Tests of overlaps, suppression and average precision: by hand, and against pycocotools."""

import contextlib
import io

import numpy as np
import pytest
from cases import each_of
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from keras_ilsvrc.evaluation import detection
from keras_ilsvrc.evaluation.boxes import overlaps, suppress
from keras_ilsvrc.evaluation.detection import IGNORED, RIGHT, WRONG, Found, Objects, judge


def array(*rows):
    return np.array(rows, float).reshape(-1, 4)


def test_overlap_is_that_of_vocs_inclusive_coordinates():
    """Pixels 1..10 and 6..15 share 5 x 10 of 150, by VOC's formula with + 1."""
    ours = overlaps(array([0, 0, 10, 10]), array([5, 0, 15, 10], [10, 10, 20, 20], [2, 2, 2, 9]))
    assert np.allclose(ours, [[50 / 150, 0, 0]])
    inside = overlaps(array([0, 0, 10, 10]), array([5, 0, 25, 10]), np.array([True]))
    assert np.allclose(inside, 0.5)


def test_suppression_keeps_the_best_of_each_group():
    boxes = array([0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10], [0, 0, 10, 9.5])
    kept = suppress(boxes, np.array([0.5, 0.9, 0.1, 0.7]), 0.3)
    assert kept.tolist() == [1, 2]
    assert suppress(boxes, np.array([0.5, 0.9, 0.1, 0.7]), 0.95).tolist() == [1, 3, 0, 2]
    assert suppress(boxes[:0], np.zeros(0), 0.3).tolist() == []


def test_a_second_detection_of_an_object_is_wrong_and_a_difficult_object_counts_for_nothing():
    objects = Objects(array([0, 0, 10, 10], [20, 0, 30, 10]), np.array([False, True]))
    boxes = array([0, 0, 10, 10], [0, 0, 10, 9], [20, 0, 30, 10], [20, 0, 30, 9], [50, 0, 60, 9])
    found = Found(boxes, np.array([0.9, 0.8, 0.7, 0.6, 0.5]))
    assert judge(found, objects, 0.5).tolist() == [RIGHT, WRONG, IGNORED, IGNORED, WRONG]
    curve = detection.curve([found], [objects])
    assert curve.objects == 1
    assert curve.precision.tolist() == [1, 1 / 2, 1 / 3]
    assert curve.recall.tolist() == [1, 1, 1]


def test_the_two_average_precisions_of_voc_by_hand():
    """Right, wrong, right of four objects: precisions 1, 1/2, 2/3 at recalls 1/4, 1/4, 1/2."""
    objects = [Objects(array([0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [60, 0, 70, 10]))]
    boxes = array([0, 0, 10, 10], [90, 0, 99, 9], [20, 0, 30, 10])
    curve = detection.curve([Found(boxes, np.array([3.0, 2.0, 1.0]))], objects)
    assert detection.area(curve) == pytest.approx(1 / 4 + 2 / 3 / 4)
    # recalls 0, 0.1, 0.2 have precision 1; 0.3, 0.4, 0.5 have 2/3; the other five have 0
    assert detection.eleven_points(curve) == pytest.approx((3 + 3 * 2 / 3) / 11)


def test_a_class_without_objects_has_no_average_precision_and_without_detections_0():
    nothing, objects = Found(array(), np.zeros(0)), Objects(array([0, 0, 10, 10]))
    for measure in (detection.area, detection.eleven_points):
        assert np.isnan(measure(detection.curve([nothing], [Objects(array())])))
        assert measure(detection.curve([nothing], [objects])) == 0
    assert np.isnan(detection.coco([nothing], [Objects(array())]))
    assert detection.coco([nothing], [objects]) == 0


def made(seed):
    """Objects and detections of 4 images: near objects, far from them, in groups, with ties."""
    random = np.random.default_rng(seed)
    objects, found = [], []
    for _ in range(4):
        count = random.integers(0, 7)
        first = random.uniform(0, 60, (count, 2)).round()
        boxes = np.concatenate([first, first + random.uniform(2, 40, (count, 2)).round()], 1)
        crowds = random.random(count) < 0.2
        objects.append(Objects(boxes, crowds, crowds))
        near = np.repeat(boxes, random.integers(0, 4, count), 0)
        near = near + random.normal(0, 2, near.shape)
        far = random.uniform(0, 60, (random.integers(0, 130), 2))
        rest = np.concatenate([far, far + random.uniform(2, 40, far.shape)], 1)
        every = np.concatenate([near, rest])
        every[:, 2:] = np.maximum(every[:, 2:], every[:, :2] + 0.5)
        scores = random.random(len(every)).round(1 + seed % 3)  # with many ties, or few
        found.append(Found(every, scores))
    return objects, found


def official(objects, found):
    """AP, AP50 and AP75 of pycocotools."""
    truth, results = COCO(), []
    images = [{"id": n} for n in range(len(objects))]
    truth.dataset = {"images": images, "categories": [{"id": 1}], "annotations": []}
    for image, each in enumerate(objects):
        for box, crowd in zip(each.boxes, each.crowds):
            size = box[2:] - box[:2]
            truth.dataset["annotations"].append(
                {
                    "id": len(truth.dataset["annotations"]) + 1,
                    "image_id": image,
                    "category_id": 1,
                    "bbox": [*box[:2], *size],
                    "area": size.prod(),
                    "iscrowd": int(crowd),
                }
            )
    for image, each in enumerate(found):
        for box, score in zip(each.boxes, each.scores):
            bbox = [*box[:2], *(box[2:] - box[:2])]
            results.append({"image_id": image, "category_id": 1, "bbox": bbox, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        judged = COCOeval(truth, truth.loadRes(results), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return judged.stats[:3]


@each_of("seed", range(6))
def test_coco_average_precision_is_that_of_pycocotools(seed):
    objects, found = made(seed)
    ours = [
        detection.coco(found, objects, thresholds)
        for thresholds in (detection.COCO_THRESHOLDS, (0.5,), (0.75,))
    ]
    assert np.allclose(ours, official(objects, found), rtol=0, atol=1e-12), ours
