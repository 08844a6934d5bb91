"""Tests of names, types, shapes and initial values of the nets, and of `build`'s arguments."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_ilsvrc import build
from keras_ilsvrc.layers.graph import leaves

# One net of each family, small: what to call `build` with.
SMALL = {
    "alexnet": {"input_shape": (64, 64, 3), "width": 0.1},
    "vgg11": {"input_shape": (32, 32, 3)},
    "googlenet": {"input_shape": (33, 32, 3)},
    "resnet18": {"input_shape": (32, 32, 3), "width": 0.25},
    "resnet50": {"input_shape": (32, 33, 3), "width": 0.25},
    "resnet20_cifar": {"input_shape": (8, 8, 3)},
}
each_family = pytest.mark.parametrize("name", SMALL)
quick_values = pytest.mark.usefixtures("quick_values")


def image(*shape, dtype="float32"):
    return np.random.default_rng(0).uniform(size=shape).astype(dtype)


def numpy(x):
    return ops.convert_to_numpy(x)


def names(model):
    return [layer.name for layer in model.layers]


@pytest.mark.parametrize(("size", "maps"), [(64, 32), (66, 33)])
def test_pool1_of_resnet_takes_the_windows_of_caffe(size, maps):
    model = build("resnet18", input_shape=(size, size, 3), width=0.1, include_top=False)
    tensors = [model.get_layer(name).output for name in ("conv1_relu", "pool1")]
    before, after = (numpy(x) for x in keras.Model(model.input, tensors)(image(2, size, size, 3)))
    assert before.shape[1] == maps
    rows = math.ceil((maps - 3) / 2) + 1  # Caffe rounds up and pads nothing
    expected = np.zeros((2, rows, rows, before.shape[-1]))
    for i, j in np.ndindex(rows, rows):
        window = before[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]
        expected[:, i, j] = window.max((1, 2))
    np.testing.assert_array_equal(after, expected)


def under_policies():
    """Every family under one policy; under the others two by default, and the rest if slow."""
    for policy in ("mixed_float16", "mixed_bfloat16", "float64"):
        for name in SMALL:
            few = policy == "mixed_float16" or name in ("alexnet", "resnet20_cifar")
            marks = [] if few else [pytest.mark.slow]
            marks += [pytest.mark.tensorflow] if policy == "float64" else []
            yield pytest.param(policy, name, marks=marks)


@pytest.mark.parametrize(("policy", "name"), list(under_policies()))
@quick_values
def test_predictions_are_float32_under_every_policy(name, policy, set_policy):
    set_policy(policy)
    model = build(name, classes=5, **SMALL[name])
    inside = [layer for layer in leaves(model) if layer.name != "predictions"]
    compute = keras.DTypePolicy(policy).compute_dtype
    computing = [layer for layer in inside if not isinstance(layer, keras.layers.InputLayer)]
    assert {layer.compute_dtype for layer in computing} == {compute}
    result = model(image(2, *model.input_shape[1:]))
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    np.testing.assert_allclose(numpy(result).sum(-1), 1, rtol=1e-5)


@each_family
@quick_values
def test_classes_and_logits(name):
    model = build(name, classes=7, classifier_activation=None, **SMALL[name])
    probable = build(name, classes=7, **SMALL[name])
    probable.set_weights(model.get_weights())
    x = image(2, *model.input_shape[1:])
    logits = numpy(model(x))
    assert logits.shape == (2, 7)
    assert (logits < 0).any()
    np.testing.assert_allclose(numpy(probable(x)), numpy(ops.softmax(logits)), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "shape", "maps"),
    [
        ("alexnet", (227, 227, 3), (6, 6, 256)),
        ("vgg16", (64, 96, 3), (2, 3, 512)),
        ("googlenet", (64, 65, 3), (2, 2, 1024)),
        ("resnet50", (64, 67, 3), (2, 3, 2048)),
        ("resnet20_cifar", (32, 33, 3), (8, 9, 64)),
        ("alexnet", (None, None, 3), (None, None, 256)),
        ("vgg16", (None, None, 3), (None, None, 512)),
        ("googlenet", (None, None, 3), (None, None, 1024)),
        ("resnet50", (None, None, 3), (None, None, 2048)),
        ("resnet20_cifar", (None, None, 1), (None, None, 64)),
    ],
)
@pytest.mark.parametrize("pooling", [None, "avg", "max"])
def test_without_the_top_ends_in_maps_or_their_pool(name, shape, maps, pooling, unallocated):
    model = unallocated(name, include_top=False, input_shape=shape, pooling=pooling)
    assert model.output_shape == (None, *(maps[-1:] if pooling else maps))


@pytest.mark.parametrize(
    ("name", "width"),
    [
        *(("alexnet", 0.1), ("googlenet", None), ("resnet18", 0.1)),
        pytest.param("bn_inception", None, marks=pytest.mark.slow),
    ],
)
@quick_values
def test_unknown_size_gives_the_maps_of_the_known_one(name, width):
    options = {"include_top": False, **({"width": width} if width else {})}
    unknown = build(name, input_shape=(None, None, 3), **options)
    for size in (64, 67):
        known = build(name, input_shape=(size, size, 3), **options)
        known.set_weights(unknown.get_weights())
        x = image(1, size, size, 3)
        first, second = numpy(known(x)), numpy(unknown(x))
        np.testing.assert_allclose(second, first, rtol=1e-4, atol=1e-5 * abs(first).max())


@each_family
def test_input_tensor_becomes_the_input(name):
    arguments = dict(SMALL[name])
    tensor = keras.Input(arguments.pop("input_shape"), name="mine")
    with keras.StatelessScope(initialize_variables=False):
        model = build(name, input_tensor=tensor, classes=3, **arguments)
    assert len(model.inputs) == 1
    assert model.inputs[0] is tensor
    assert names(model)[0] == "mine"


def test_input_tensor_may_come_from_another_layer():
    source = keras.Input((16, 16, 3))
    model = build("resnet20_cifar", input_tensor=keras.layers.AveragePooling2D(2)(source))
    assert model.inputs[0] is source
    assert model(image(1, 16, 16, 3)).shape == (1, 10)  # one tensor, not a list: no warning


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("alexnet", {"input_shape": (64, 64, 3), "width": 0.5}),
        ("vgg11", {"input_shape": (32, 32, 3)}),
        ("googlenet", {"input_shape": (96, 96, 3), "auxiliary": True}),
        ("resnet18", {"input_shape": (32, 32, 3)}),
    ],
)
def test_kernels_start_he_normal_and_biases_at_zero(name, arguments):
    """He et al., arXiv:1502.01852, equation 10."""
    kernels = 0
    for layer in leaves(build(name, **arguments)):
        if hasattr(layer, "kernel"):
            kernel = numpy(layer.kernel)
            fan_in = math.prod(kernel.shape[:-1])
            assert kernel.std() == pytest.approx(math.sqrt(2 / fan_in), rel=0.05)
            assert abs(kernel.mean()) < 0.05 * math.sqrt(2 / fan_in)
            assert layer.bias is None or not numpy(layer.bias).any()
            kernels += 1
    assert kernels == {"alexnet": 8, "vgg11": 11, "googlenet": 64, "resnet18": 21}[name]


def test_overhang_of_alexnet_is_zeros():
    """At 224 the last windows reach 3 pixels beyond the crop, as in the code of 2012."""
    options = {"width": 0.1, "classes": 5, "classifier_activation": None}
    whole = build("alexnet", input_shape=(227, 227, 3), **options)
    crop = build("alexnet", **options)
    crop.set_weights(whole.get_weights())
    for model in (whole, crop):
        assert model.get_layer("conv1").output.shape[1:3] == (55, 55)
    x = image(2, 227, 227, 3)
    seen = numpy(whole(x))
    x[:, -3:] = 0
    x[:, :, -3:] = 0
    np.testing.assert_array_equal(numpy(crop(x[:, :224, :224])), numpy(whole(x)))
    assert (seen != numpy(whole(x))).any()
