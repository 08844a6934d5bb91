"""Tests of SVMs, box regression and detections, with generated features."""

import numpy as np
import pytest
from cases import each_of
from sklearn.svm import LinearSVC

from keras_ilsvrc import InputError
from keras_ilsvrc.data.annotated import Annotated
from keras_ilsvrc.rcnn import paper
from keras_ilsvrc.rcnn.detector import Detector, detect_all, train_detector
from keras_ilsvrc.rcnn.recipe import DetectionRecipe, DetectionTable, RegressionTable, SVMTable
from keras_ilsvrc.rcnn.regions import Regions
from keras_ilsvrc.rcnn.regression import moved, targets, train_regressor
from keras_ilsvrc.rcnn.svm import SVMs, train_svms

VALUES = 12


def annotated(boxes, labels):
    boxes, labels = np.array(boxes, float).reshape(-1, 4), np.array(labels, int)
    none = np.zeros(len(labels), bool)
    return Annotated(None, 100, 100, boxes, labels, none, none)


def regions(seed, count=40):
    """Objects of two classes whose features have a large first or second value."""
    random = np.random.default_rng(seed)
    image = annotated([[10, 10, 40, 40], [60, 50, 90, 90]], [0, 1])
    first = random.uniform(0, 60, (count, 2))
    boxes = np.concatenate([image.boxes, np.concatenate([first, first + 30], 1)])
    one = Regions(image, boxes, 2, {})
    values = random.normal(0, 1, (count + 2, VALUES)).astype("float32")
    values[:, :2] += 6 * one.overlaps(2)
    return Regions(image, boxes, 2, {"fc": values})


IMAGES = [regions(seed) for seed in range(12)]
POSITIVES = [np.stack([one.features["fc"][label] for one in IMAGES]) for label in (0, 1)]
EASY_SVM = SVMTable(c=1.0)


def test_overlaps_are_the_largest_of_each_class():
    image = annotated([[0, 0, 10, 10], [0, 0, 10, 20], [50, 50, 60, 60]], [0, 0, 1])
    found = Regions(image, np.array([[0.0, 0, 10, 10]]), 0, {}).overlaps(3)
    assert found.tolist() == [[1, 0, 0]]


def test_svms_find_the_boxes_that_overlap_objects():
    svms = train_svms(POSITIVES, IMAGES, "fc", 1.0, EASY_SVM, 0)
    one = regions(99)
    scores, shared = svms.scores(one.features["fc"]), one.overlaps(2)
    for label in (0, 1):
        assert scores[shared[:, label] == 1, label].min() > 0
        assert np.median(scores[shared[:, label] < 0.1, label]) < -1


def test_an_svm_that_keeps_all_negatives_is_that_of_scikit_learn():
    keep = SVMTable(c=0.1, hard=-1e9, easy=-1e9, retrain=10**6)
    svms = train_svms(POSITIVES, IMAGES, "fc", 2.0, keep, 0)
    negatives = np.concatenate(
        [one.features["fc"][one.overlaps(2)[:, 0] < paper.NEGATIVE_OVERLAP] for one in IMAGES]
    )
    # positives are given scaled
    examples = np.concatenate([POSITIVES[0], 2 * negatives])
    labels = [1] * 12 + [-1] * len(negatives)
    weights = {1: paper.POSITIVE_WEIGHT}
    given = {"loss": "hinge", "C": 0.1, "intercept_scaling": 10, "class_weight": weights}
    other = LinearSVC(**given, random_state=0, tol=0.1).fit(examples, labels)
    assert np.allclose(svms.weights[:, 0], other.coef_[0], atol=1e-4)
    assert svms.trained == [2, 2]  # on the first image, and at the end


def test_an_svm_is_trained_again_after_so_many_negatives():
    often = SVMTable(c=1.0, hard=-1e9, retrain=50)
    svms = train_svms(POSITIVES, IMAGES, "fc", 1.0, often, 0)
    assert min(svms.trained) >= 5


def test_a_class_without_negatives_scores_all_boxes_alike():
    image = annotated([[0, 0, 10, 10]], [0])
    one = Regions(image, image.boxes, 1, {"fc": np.ones((1, VALUES), "float32")})
    svms = train_svms([np.ones((1, VALUES))], [one], "fc", 1.0, EASY_SVM, 0)
    assert svms.scores(np.random.default_rng(0).normal(size=(3, VALUES))).tolist() == [[1.0]] * 3


def test_targets_move_a_box_onto_its_object():
    boxes = np.array([[10.0, 10, 41, 51], [0, 0, 21, 21]])
    objects = np.array([[20.0, 5, 41, 101], [3, 4, 24, 15]])
    found = targets(boxes, objects)
    # the authors' widths lack 1: centre (25, 30) -> (30, 52.5), size (30, 40) -> (20, 95)
    assert found[0] == pytest.approx([5 / 30, 22.5 / 40, np.log(20 / 30), np.log(95 / 40)])
    assert np.allclose(moved(boxes, found), objects)


@each_of("count", [500, 20])  # more and fewer examples than values
def test_regression_is_the_authors_whitened_ridge_regression(count):
    random = np.random.default_rng(0)
    features = random.normal(size=(count, 60))
    wanted = features @ random.normal(0, 0.02, (60, 4)) + random.normal(0, 0.01, (count, 4)) + 0.1
    table = RegressionTable(ridge=10.0)
    ours = train_regressor(features, wanted, table)
    # rcnn_train_bbox_regressor.m
    mean = wanted.mean(0)
    values, vectors = np.linalg.eig((wanted - mean).T @ (wanted - mean) / count)
    whiten = vectors @ np.diag(1 / np.sqrt(values + 0.001)) @ vectors.T
    inputs = np.concatenate([features, np.ones((count, 1))], 1)
    beta = np.linalg.inv(inputs.T @ inputs + 10 * np.eye(61)) @ inputs.T @ (wanted - mean) @ whiten
    assert np.allclose(ours.weights, beta, atol=1e-8)
    back = vectors @ np.diag(np.sqrt(values + 0.001)) @ vectors.T
    boxes = np.tile([10.0, 10, 51, 51], (count, 1))
    expected = moved(boxes, (inputs @ beta) @ back + mean)
    assert np.allclose(ours(features, boxes), expected)


def recipe(**given):
    data = {"dataset": "voc:x", "train": "train", "test": "test"}
    table = {"seed": 0, "data": data, "features": {"net": "n", "weights": "w", "layer": "fc"}}
    return DetectionRecipe.model_validate(table | {"svm": {"c": 1.0}} | given)


def test_a_detector_finds_the_objects_and_survives_saving():
    made = train_detector(recipe(regression={"ridge": 1.0}), ("a", "b"), iter([IMAGES, IMAGES]))
    mean = np.mean([np.linalg.norm(x) for one in IMAGES for x in one.features["fc"]])
    assert made.scales["fc"] == pytest.approx(paper.NORM / mean, rel=1e-3)
    again = Detector.of(made.save())
    for detector in (made, again):
        found = detect_all(detector, [regions(50)], DetectionTable())
        assert set(found) == {False, True}
        best = found[False][0]
        for label, box in enumerate(IMAGES[0].image.boxes):
            assert best.boxes[best.labels == label][0] == pytest.approx(box)
    assert again.net_classes is None


def test_a_class_without_objects_is_named():
    with pytest.raises(InputError, match="no object of class 'c'"):
        train_detector(recipe(), ("a", "b", "c"), iter([IMAGES, IMAGES]))


def hand_made(scores):
    """A detector whose scores are the first value of the features."""
    weights = np.zeros((VALUES, 1))
    weights[0] = 1
    boxes = np.array([[0.0, 0, 30, 30], [1, 0, 31, 30], [50, 50, 80, 80], [90, 90, 130, 130]])
    values = np.zeros((4, VALUES))
    values[:, 0] = scores
    detector = Detector(("fc", "fc"), {"fc": 1.0}, SVMs(weights, np.zeros(1)))
    return detector, Regions(annotated([], []), boxes, 0, {"fc": values})


def test_detections_are_suppressed_cut_off_at_the_border_and_sorted():
    detector, one = hand_made([1, 4, 2, 3])
    found = detect_all(detector, [one], DetectionTable())[False][0]
    assert found.scores.tolist() == [4, 3, 2]
    assert found.boxes[1].tolist() == [90, 90, 100, 100]


def test_each_class_keeps_its_best_boxes_over_all_images():
    detector, one = hand_made([1, 4, 2, 3])
    _, other = hand_made([9, 8, 7, 6])
    table = DetectionTable(suppression=0.9, most=3, mean=2)
    first, second = detect_all(detector, [one, other], table)[False]
    assert first.scores.tolist() == [4]
    assert second.scores.tolist() == [9, 7]  # 8 overlaps 9; 6 is the fourth in its image


def test_an_image_without_proposals_has_no_detections():
    detector, one = hand_made([1, 4, 2, 3])
    none = Regions(one.image, np.zeros((0, 4)), 0, {})
    found = detect_all(detector, [none], DetectionTable())[False][0]
    assert (found.labels.shape, found.boxes.shape) == ((0,), (0, 4))
