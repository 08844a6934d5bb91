"""Tests of the nets: same outputs as keras.applications with the same weights."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_ilsvrc import build
from keras_ilsvrc.layers.graph import batch_norms
from keras_ilsvrc.nets.deferred import Deferred
from keras_ilsvrc.weights.check import check
from keras_ilsvrc.weights.layouts import LAYOUTS
from keras_ilsvrc.weights.load import assign
from keras_ilsvrc.weights.recognise import recognise
from keras_ilsvrc.weights.sources import sources_of

pytestmark = pytest.mark.tensorflow

TOLERANCE = 1e-5  # of the scale of what differs between the logits of images
slow = pytest.mark.slow


def randomise(net, x):
    """Other biases, gammas and statistics, near those of the images."""
    random = np.random.default_rng(0)
    norms = [x for x in net.layers if isinstance(x, layers.BatchNormalization)]
    for layer in net.layers:
        for weight in layer.weights:
            if weight.name in ("bias", "beta"):
                weight.assign(random.normal(0, 0.2, weight.shape))
            elif weight.name == "gamma":
                weight.assign(random.uniform(0.5, 1.5, weight.shape))
    for norm in norms:
        norm.momentum = 0.0  # the statistics of the batch become those of the layer
    net(x, training=True)
    for norm in norms:
        deviation = np.sqrt(ops.convert_to_numpy(norm.moving_variance))
        norm.moving_mean.assign_add(random.normal(0, 0.3, deviation.shape) * deviation)
        norm.moving_variance.assign(deviation**2 * random.uniform(0.5, 1.5, deviation.shape))


def as_legacy(net):
    """The weights of a model under the names of datasets in a legacy .h5 file."""
    named = [(layer.name, weight) for layer in net.layers for weight in layer.weights]
    return {f"{layer}/{layer}/{weight.name}:0": weight for layer, weight in named}


VGG = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


@pytest.mark.parametrize("net", VGG)
def test_files_of_vgg_are_recognised_by_their_old_names(net):
    shapes, inner = {}, 3
    for block, (count, maps) in enumerate(zip(VGG[net], (64, 128, 256, 512, 512)), 1):
        for number in range(1, count + 1):
            shapes[f"block{block}_conv{number}"] = (3, 3, inner, maps)
            inner = maps
    dense = {"fc1": (25088, 4096), "fc2": (4096, 4096), "predictions": (4096, 1000)}
    source = sources_of(net)["keras"]
    for classes, kernels in ((1000, {**shapes, **dense}), (None, shapes)):
        tensors = {}
        for layer, shape in kernels.items():
            tensors[f"{layer}/{layer}_W_1:0"] = np.broadcast_to(np.float32(0), shape)
            tensors[f"{layer}/{layer}_b_1:0"] = np.broadcast_to(np.float32(0), shape[-1:])
        assert recognise(tensors) == [(source, classes)]


@pytest.fixture
def double():
    """Nets compute in float64: in float32, processors that sum in other orders differ too much."""
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize(
    ("name", "theirs", "size"),
    [
        pytest.param("vgg16", "VGG16", 64, marks=slow),
        pytest.param("vgg19", "VGG19", 64, marks=slow),
        ("resnet50_keras", "ResNet50", 61),
        ("resnet50_v2_keras", "ResNet50V2", 61),
        ("inception_v3", "InceptionV3", 96),
        pytest.param("resnet101_keras", "ResNet101", 64, marks=slow),
        pytest.param("resnet152_keras", "ResNet152", 64, marks=slow),
        pytest.param("resnet50_keras", "ResNet50", 224, marks=slow),
        pytest.param("resnet50_v2_keras", "ResNet50V2", 224, marks=slow),
        pytest.param("inception_v3", "InceptionV3", 299, marks=slow),
    ],
)
def test_equals_keras_applications(name, theirs, size, double):
    options = {"input_shape": (size, size, 3), "classes": 10, "classifier_activation": None}
    net = getattr(keras.applications, theirs)(weights=None, **options)
    norms = [x for x in net.layers if isinstance(x, layers.BatchNormalization)]
    constants = {(norm.momentum, norm.epsilon) for norm in norms}
    x = np.random.default_rng(0).normal(0, 50, (4, size, size, 3)).astype("float32")
    x *= np.array([0.3, 1, 2, 1], "float32").reshape(4, 1, 1, 1)
    randomise(net, x)
    source = sources_of(name)["keras"]
    layout, legacy = source.layout, as_legacy(net)
    if not name.startswith("vgg"):  # at this size, their dense layers are smaller
        assert recognise(legacy) == [(source, 10)]
    with Deferred():
        model = build(name, **options)
        assign(model, legacy, layout)
    assert {(norm.momentum, norm.epsilon) for norm in batch_norms(model)} == constants
    given = {weight.path: weight for weight in net.weights}
    assert [*LAYOUTS[layout].paths(given).values()] == [*LAYOUTS[layout].paths(legacy).values()]
    bgr = layout in ("keras_vgg", "keras_resnet")  # ours takes RGB
    expected = ops.convert_to_numpy(net(x[..., ::-1] if bgr else x, training=False))
    ground, what = expected.mean(0), f"logits of {name} at {size}"
    deviation = check(model(x, training=False) - ground, expected - ground, TOLERANCE, what)
    print(f"{what}: {deviation:.1e}")  # pytest -rP shows it
