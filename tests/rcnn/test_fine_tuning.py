"""Tests of fine-tuning on warped windows, and of detectors that use a network."""

import json
import re

import keras
import numpy as np
import pytest
import shapes
from commands import refused, said
from methods import METHODS

from keras_ilsvrc import InputError, build
from keras_ilsvrc.data.annotated import Annotated
from keras_ilsvrc.data.annotations import open_boxes
from keras_ilsvrc.rcnn import paper
from keras_ilsvrc.rcnn.files import DetectorFiles
from keras_ilsvrc.rcnn.fine_tuning import Crops, drawn, fine_tune, windows
from keras_ilsvrc.rcnn.network import network, rebuilt
from keras_ilsvrc.rcnn.recipe import (
    DetectionRecipe,
    DetectionTable,
    FineTuningTable,
    RegressionTable,
    SVMTable,
    find,
    load,
    recipes,
)

NET = "resnet_cifar[depth=8]"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    made = tmp_path_factory.mktemp("tuning")
    shapes.write_voc(made / "voc", 8, 2)
    net = build("resnet_cifar", depth=8, input_shape=(32, 32, 3), classes=10)
    net.save_weights(made / "small.weights.h5")
    return made


def table(home, **fine_tuning):
    return {
        "seed": 0,
        "data": {"dataset": f"voc:{home}/voc", "train": "train", "test": "test"},
        "proposals": {"most": 40},
        "features": {
            "net": NET,
            "weights": f"{home}/small.weights.h5",
            "layer": "conv4_1",
            "size": 32,
            "context": 4,
            "batch_size": 32,
            "ops": [{"op": "normalise", "mean": [110.0], "std": [60.0]}],
        },
        "regression": {"layer": "conv3_1"},
        "fine_tuning": {"steps": 3, "positives": 4, "background": 12} | fine_tuning,
    }


def annotated(boxes, labels):
    none = np.zeros(len(labels), bool)
    return Annotated(None, 100, 100, np.array(boxes, float), np.array(labels), none, none)


def test_windows_are_objects_and_proposals_with_the_class_they_overlap_by_half():
    image = annotated([[0, 0, 20, 20], [50, 50, 90, 90]], [1, 0])
    proposals = np.array([[0.0, 0, 20, 12], [0, 0, 20, 9], [50, 50, 85, 90], [95, 95, 99, 99]])
    found = windows([image, annotated(np.zeros((0, 4)), [])], [proposals, proposals[:1]], 0.5)
    assert found.labels.tolist() == [2, 1, 2, 0, 1, 0, 0]
    assert found.images.tolist() == [0] * 6 + [1]
    assert found.boxes[2].tolist() == [0, 0, 20, 12]


def test_a_batch_has_32_windows_of_objects_and_96_of_background_and_repeats_itself():
    every = windows([annotated([[0, 0, 20, 20]], [0])], [np.array([[50.0, 50, 60, 60]])], 0.5)
    chosen = drawn(every, FineTuningTable(), 0, 7)
    assert np.bincount(every.labels[chosen]).tolist() == [96, 32]
    assert (paper.POSITIVES, paper.BACKGROUND) == (32, 96)
    far = np.tile([60.0, 60, 69, 69], (50, 1))
    many = windows([annotated([[0, 0, 20, 20]] * 9, [0] * 9)], [far], 0.5)
    steps = [drawn(many, FineTuningTable(), 0, step) for step in (1, 1, 2)]
    assert np.array_equal(steps[0], steps[1])
    assert not np.array_equal(steps[0], steps[2])


def test_crops_are_those_of_the_windows_half_of_them_mirrored(home):
    recipe = DetectionRecipe.model_validate(table(home, positives=30, background=30))
    images = open_boxes(recipe.data.dataset).splits["train"]
    every = windows(images, [np.array([[3.0, 3, 25, 25]])] * len(images), 0.5)
    crops, inside, labels = Crops(images, every, recipe).batch(0)
    again = Crops(images, every, recipe).batch(0)
    assert crops.shape == (60, 32, 32, 3)
    assert inside.shape == (60, 32, 32)
    assert np.array_equal(crops, again[0])
    assert sorted(set(labels)) == [0, 1, 2]
    red = crops[labels == 2].mean((0, 1, 2))  # squares are red
    assert red[0] > 150 > red[2]


def test_a_fine_tuned_detector_is_trained_stopped_nowhere_and_predicts_alone(home, tmp_path):
    path = tmp_path / "tuned.toml"
    path.write_text(DetectionRecipe.model_validate(table(home)).toml())
    words = ("--out", tmp_path / "run", "--cache", tmp_path / "cache", "--json")
    result = json.loads(said("detect", "train", path, *words))
    assert result["net"] == NET
    run = DetectorFiles(tmp_path / "run")
    assert run.detector().net_classes == 3
    assert run.detector().layers == ("conv4_1", "conv3_1")
    names = {x.name for x in run.path.iterdir()}
    assert {"final.weights.h5", "history.csv", "statistics.npz"} <= names
    assert "checkpoints" not in names
    (home / "small.weights.h5").rename(home / "gone.weights.h5")
    try:
        image = home / "voc/JPEGImages/001.png"
        found = json.loads(said("detect", "predict", run.path, image, "--json", "--least", "-99"))
        assert found[0]["objects"]
        again = said("detect", "evaluate", run.path, "--cache", tmp_path / "cache", "--json")
        assert json.loads(again)["scores"] == result["scores"]
    finally:
        (home / "gone.weights.h5").rename(home / "small.weights.h5")
    features = run.recipe().features.model_copy(update={"weights": str(run.path), "ops": None})
    for layers in (["conv4_1"], ["logits"]):  # without and with the classifier
        net = network(features, layers)
        kept = rebuilt(features, 3 if layers == ["logits"] else None, run.weights())
        assert net.classes == (3 if layers == ["logits"] else None)
        assert list(net.rows) == run.identity.eval_ops
        assert all(map(np.array_equal, net.model.get_weights(), kept.get_weights()))
    with pytest.raises(InputError, match=r"is a run of resnet_cifar.*; expected a run of vgg16"):
        network(features.model_copy(update={"net": "vgg16"}), ["pool5"])


def test_windows_without_background_are_refused(home):
    recipe = DetectionRecipe.model_validate(table(home))
    images = open_boxes(recipe.data.dataset).splits["train"]
    every = windows(images, [np.zeros((0, 4))] * len(images), 0.5)
    with pytest.raises(InputError, match="no window shows the background; use more proposals"):
        fine_tune(None, [], {}, Crops(images, every, recipe), None, None)


def test_every_recipe_is_valid_found_by_its_name_and_expects_what_is_published():
    known, published = recipes(), dict(METHODS["detection"]["voc07"])
    assert "arXiv:1311.2524" in published.pop("source")
    assert {name for name in known if name.startswith("voc07")} == set(published)
    for name, path in known.items():
        recipe = load(find(name))
        assert path.read_text().startswith(f"# keras-ilsvrc detect train {name}\n")
        assert (recipe.expect and recipe.expect.voc07_map) == published.get(name)
        assert recipe.departs
        if name in published:
            assert recipe.svm == SVMTable()
            assert recipe.detection == DetectionTable()
            assert recipe.regression in (None, RegressionTable(layer="pool5"))
            assert recipe.fine_tuning in (None, FineTuningTable())
            assert (recipe.features.context, recipe.features.norm) == (16, 20.0)
            assert len(recipe.data.classes or ()) == 20


def test_the_examples_in_the_help_work_for_detectors():
    shown = said("detect", "train", "--help")
    (example,) = re.findall(r"example (\S+=[\d.]+);", re.sub(r"[\s│]+", " ", shown))
    assert load(find("raccoons_hog"), [example]) != load(find("raccoons_hog"))
    assert "voc:PATH" in said("detect", "evaluate", "--help")


def test_a_missing_data_set_is_asked_for_with_its_key(tmp_path):
    dataset = f"voc:{tmp_path}/VOC2007"
    words = ("--out", tmp_path / "run", "--set", f"data.dataset={dataset}")
    line = refused("detect", "train", "raccoons_hog", *words)
    assert line.endswith(
        "VOC2007: cannot be read: No such file or directory; set data.dataset to voc:PATH"
    )
    line = refused("detect", "train", "raccoons_hog", *words[:3], "data.dataset=cooc:PATH")
    assert line.endswith("known: voc:PATH, coco:PATH, boxes:FILE.csv")


def test_the_layers_of_the_recipes_exist():
    for name in recipes():
        recipe = load(find(name))
        if recipe.features.net == "vgg16" or name == "voc07_caffenet_pool5":
            with keras.StatelessScope(initialize_variables=False):
                model = build(recipe.features.net, input_shape=(recipe.features.size,) * 2 + (3,))
            names = {layer.name for layer in model.layers}
            assert {*recipe.layers, "pool5", "fc6", "fc7"} <= names
