"""Tests of Keras' VGG nets in ONNX files, with tf2onnx's names and layouts."""

import keras
import numpy as np
import pytest
from commands import said
from writers import write_onnx

from keras_ilsvrc import InputError, build, preprocess
from keras_ilsvrc.weights.load import assign
from keras_ilsvrc.weights.preprocessing import source_of

pytestmark = pytest.mark.tensorflow
NAMES = {f"conv{stage}_{n}": f"block{stage}_conv{n}" for stage in range(1, 6) for n in range(1, 4)}
NAMES |= {"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}
KERAS_3 = {
    4: "functional_1/{}_1/convolution/ReadVariableOp:0",
    2: "functional_1/{}_1/Cast/ReadVariableOp:0",
    1: "functional_1/{}_1/Squeeze:0",
}
KERAS_2 = {
    4: "vgg16/{}/Conv2D/ReadVariableOp:0",
    2: "vgg16/{}/MatMul/ReadVariableOp:0",
    1: "vgg16/{}/BiasAdd/ReadVariableOp:0",
}
OTHER = {  # another classifier
    "functional_1/dense_1_2/Cast/ReadVariableOp:0": (5, 4),
    "functional_1/dense_1_2/BiasAdd/ReadVariableOp:0": (4,),
    "functional_1/dense_1/Cast/ReadVariableOp:0": (25, 5),
    "functional_1/dense_1/BiasAdd/ReadVariableOp:0": (5,),
    "functional_1/batch_normalization_1/batchnorm/mul:0": (5,),
    "functional_1/batch_normalization_1/batchnorm/sub:0": (5,),
}


def exported(model, forms):
    """Random tensors for a model, as tf2onnx names and stores them: {name: array}."""
    random, tensors = np.random.default_rng(0), {}
    for weight in reversed(model.weights):
        layer, shape = NAMES[weight.path.partition("/")[0]], tuple(weight.shape)
        shape = (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape
        tensors[forms[len(shape)].format(layer)] = random.random(shape, "float32") - 0.5
    tensors["const_fold_opt__98"] = np.array([512, -1], "int64")
    return tensors


def check_values(model, tensors, forms):
    for weight in model.weights:
        found = np.array(weight)
        theirs = tensors[forms[found.ndim].format(NAMES[weight.path.partition("/")[0]])]
        theirs = theirs.transpose(2, 3, 1, 0) if found.ndim == 4 else theirs
        np.testing.assert_array_equal(found, theirs)


@pytest.mark.usefixtures("quick_values")
def test_a_net_with_another_classifier_is_recognised_and_loaded_without_it(tmp_path, caplog):
    path, shape = tmp_path / "tumours.onnx", (32, 32, 3)
    tensors = exported(build("vgg16", include_top=False, input_shape=shape), KERAS_3)
    others = {name: np.ones(size, "float32") for name, size in OTHER.items()}
    write_onnx(path, {**others, **tensors})
    caplog.set_level("INFO", "keras_ilsvrc")
    model = build("vgg16", weights=path, include_top=False, input_shape=shape)
    check_values(model, tensors, KERAS_3)
    assert source_of(model).name == "keras_onnx"
    line = "has the layout of the keras_onnx weights of vgg16; the preprocessing is not known"
    assert f"{path}: {line}" in caplog.text
    assert f"unused tensors of the file: {next(iter(OTHER))}, " in caplog.text
    assert "fits vgg16 as keras_onnx, without classifier" in said("weights", "inspect", path)
    with pytest.raises(InputError, match="has no fully connected layers"):
        build("vgg16", weights=path, classes=4)
    with pytest.raises(InputError, match="the preprocessing is not known"):
        preprocess(np.zeros((32, 32, 3), "uint8"), model)


@pytest.mark.parametrize("forms", [KERAS_2, KERAS_3], ids=["Keras 2", "Keras 3"])
def test_matrices_are_stored_as_in_keras(forms):
    image = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(4, 3, name="conv1_1")(image)
    for number in (6, 7, 8):
        x = keras.layers.Flatten()(x) if number == 6 else x
        x = keras.layers.Dense(number, name=f"fc{number}")(x)
    model = keras.Model(image, x)
    tensors = exported(model, forms)
    assert len(assign(model, tensors, "keras_onnx_vgg").rows) == len(model.weights)
    check_values(model, tensors, forms)
