"""Tests of exports: other runtimes compute the same outputs, otherwise no file is written."""

import importlib.util
import os
import shutil

import keras
import numpy as np
import onnx
import pytest
from cases import each_of
from keras import layers
from layer_cases import CASES
from op_cases import arguments

from keras_ilsvrc import InputError, build, info
from keras_ilsvrc.data import ops as data_ops
from keras_ilsvrc.data.apply import NO_SEED, apply_ops
from keras_ilsvrc.data.preprocessing import Preprocessing
from keras_ilsvrc.nets import NETS
from keras_ilsvrc.weights.export import FORMATS, TOLERANCE, check_format, export

pytestmark = pytest.mark.tensorflow
CROP = {"op": "centre_crop", "size": 8}
# Ops of test images, in chains. The images of chains that begin with a crop have a fixed size.
CHAINS = (
    [
        {"op": "resize_shorter", "size": 9, "antialias": False},
        *(CROP, {"op": "pad", "size": 2}, {"op": "preprocess", "mode": "caffe"}),
        *({"op": "standardise"}, {"op": "subtract_channel_mean"}),
    ],
    [
        *({"op": "resize", "size": 8}, {"op": "subtract_pixel_mean"}),
        *({"op": "global_contrast", "scale": 55.0}, {"op": "zca", "epsilon": 0.1}),
    ],
    [CROP, {"op": "normalise", "mean": [1.0], "std": [9.0]}],
)
CHAINED = {row["op"] for rows in CHAINS for row in rows}
# Every op without random numbers: in one of the chains, or on its own.
OPS = (
    *CHAINS,
    *(
        [{"op": name, **arguments(name)}]
        for name in data_ops.OPS
        if name not in CHAINED | data_ops.RANDOM
    ),
)
STATISTICS = {
    "channel_mean": np.float32([120, 110, 100]),
    "channel_std": np.float32([60, 50, 40]),
    "pixel_mean": np.linspace(90, 140, 192, dtype="float32").reshape(8, 8, 3),
    "zca_mean": np.zeros(192, "float32"),
    "zca_matrix": np.eye(192, dtype="float32")[::-1],
    "zca_epsilon": np.float32(0.1),
}


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, "uint8")


def side_by_side(cases):
    """A model of layers, side by side."""
    image = keras.Input((7, 6, 4))
    parts = {(7, 6, 4): image, (3, 4): image[:, 0, :3], (4,): image[:, 0, 0]}
    parts[(3,)] = image[:, 0, 0, :3]
    made = []
    for number, case in enumerate(cases):
        # maps of its own for each layer, as in a net
        x = layers.Rescaling(1 + number / 64)(parts[case.shape[1:]])
        made.append(case.layer(**case.arguments)(x))
    return keras.Model(image, layers.Concatenate()([layers.Flatten()(x) for x in made]))


def scaled(model):
    """The model without its softmax, which hides differences, and outputs of at most about 1."""
    logits = model.layers[-1]
    assert logits.name == "predictions"
    batch = images(model)
    scale = float(abs(np.asarray(model(batch))).max())
    return keras.Model(model.input, layers.Rescaling(1 / scale)(model.output))


def images(model):
    return (noise(2, *model.inputs[0].shape[1:]) / np.float32(128) - 1).astype("float32")


def exported(model, path, name):
    """The largest difference of an export of a model, on two images and on one."""
    batch = images(model)
    given = [batch, batch[:1]]
    return export(model, path, name, given, [np.asarray(model(x)) for x in given])


# The first form of each layer.
FIRST = {case.layer: case for case in reversed(CASES.values())}.values()


@each_of("name", FORMATS)
def test_every_layer_computes_the_same_in_every_format(name, tmp_path):
    path = tmp_path / f"layers{FORMATS[name].suffix}"
    assert exported(side_by_side(FIRST), path, name) < 2e-5
    assert path.exists()


@pytest.mark.slow
@each_of("name", FORMATS)
def test_every_form_of_every_layer_computes_the_same_in_every_format(name, tmp_path):
    path = tmp_path / f"layers{FORMATS[name].suffix}"
    assert exported(side_by_side(CASES.values()), path, name) < 2e-5
    assert path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("net", NETS)
def test_every_net_can_be_exported(net, format, tmp_path):
    row = info(net)
    side = min(row.minimum, row.input_shape[0])
    depth = {"depth": 20} if net in ("resnet_cifar", "resnet_v2_cifar") else {}
    shape = (side, side, row.input_shape[2])
    model = build(net, input_shape=shape, classes=10, classifier_activation=None, **depth)
    path = tmp_path / f"net{FORMATS[format].suffix}"
    assert exported(scaled(model), path, format) <= TOLERANCE
    (shutil.rmtree if path.is_dir() else os.unlink)(path)  # of up to 150 MB


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_ops_give_the_same_pixels_in_other_runtimes(name, tmp_path):
    for number, rows in enumerate(OPS):
        size = (8, 8) if rows[0] == CROP else (None, None)
        image = keras.Input((*size, 3), 1, dtype="uint8")
        model = keras.Model(image, Preprocessing(rows, STATISTICS, portable=True)(image))
        sizes = [(13, 29), (60, 8)] if None in size else [size]
        given = [noise(1, *one, 3) for one in sizes]
        expected = [np.asarray(apply_ops(one[0], rows, NO_SEED, STATISTICS))[None] for one in given]
        path = tmp_path / f"{number}{FORMATS[name].suffix}"
        assert export(model, path, name, given, expected) <= 2e-5


def test_all_formats_but_keras_have_batch_normalisation_in_the_kernels(tmp_path):
    image = keras.Input((6, 6, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(image))
    model = keras.Model(image, layers.Flatten()(x))
    for weight in model.weights:
        weight.assign(np.random.default_rng(0).uniform(0.5, 1.5, weight.shape))
    exported(model, tmp_path / "a.onnx", "onnx")
    nodes = [node.op_type for node in onnx.load(tmp_path / "a.onnx").graph.node]
    assert "Conv" in nodes
    assert not {"BatchNormalization", "Mul", "Sub"} & set(nodes)
    exported(model, tmp_path / "a.keras", "keras")
    kept = keras.saving.load_model(tmp_path / "a.keras")
    assert [type(x).__name__ for x in kept.layers] == [type(x).__name__ for x in model.layers]


def test_a_wrong_export_leaves_the_old_file(tmp_path):
    path = tmp_path / "model.keras"
    path.write_text("old")
    model = keras.Sequential([keras.Input((2, 2, 3)), layers.Flatten(), layers.Softmax()])
    batch = images(model)
    expected = np.asarray(model(batch))
    with pytest.raises(InputError, match=r"differs by 2\.0e-04 .* at most 0\.0001"):
        export(model, path, "keras", [batch], [expected + np.float32(2e-4)])
    with pytest.raises(InputError, match="differs by nan"):
        export(model, path, "keras", [batch] * 2, [expected, expected * np.float32("nan")])
    assert [one.name for one in tmp_path.iterdir()] == ["model.keras"]
    assert path.read_text() == "old"


def test_a_folder_is_not_replaced_and_a_failed_one_is_removed(tmp_path):
    model = keras.Sequential([keras.Input((2, 2, 3)), layers.Flatten()])
    path = tmp_path / "model.saved_model"
    batch = images(model)
    with pytest.raises(InputError, match="differs"):
        export(model, path, "saved_model", [batch], [np.asarray(model(batch)) + 1])
    assert not list(tmp_path.iterdir())
    assert exported(model, path, "saved_model") == 0
    with pytest.raises(InputError, match=f"{path.name} is an existing folder"):
        exported(model, path, "saved_model")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_an_operation_that_a_runtime_lacks_is_one_line(tmp_path):
    image = keras.Input((None, None, 3), 1, dtype="uint8")
    model = keras.Model(image, Preprocessing([{"op": "resize", "size": 8}], {})(image))
    given = [noise(1, 9, 7, 3)]
    expected = [np.asarray(model(given[0]))]
    for name in ("onnx", "litert"):
        path = tmp_path / f"model{FORMATS[name].suffix}"
        with pytest.raises(InputError, match=f"{path.name}: {name} export failed: .*") as error:
            export(model, path, name, given, expected)
        assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_a_format_is_known_and_its_packages_are_installed(monkeypatch):
    with pytest.raises(InputError, match="format is 'tflite'; did you mean 'litert'"):
        check_format("tflite")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda x: find(x) if x != "tf2onnx" else None)
    with pytest.raises(InputError, match=r"onnx needs the package tf2onnx; .*'\.\[export\]'"):
        check_format("onnx")
    assert check_format("litert").suffix == ".tflite"
