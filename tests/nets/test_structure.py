"""Names, types, shapes and first values of the nets, and what `build` makes of its arguments."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_ilsvrc import InputError, available, build, info
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


def image(*shape, dtype="float32"):
    return np.random.default_rng(0).uniform(size=shape).astype(dtype)


def numpy(x):
    return ops.convert_to_numpy(x)


def names(model):
    return [layer.name for layer in model.layers]


def words(text):
    return text.split()


def unallocated(name, **arguments):
    """A net whose weights have shapes and no values."""
    with keras.StatelessScope(initialize_variables=False):
        return build(name, **arguments)


def test_names_of_alexnet():
    assert names(unallocated("alexnet")) == words(
        "image conv1_pad conv1 norm1 pool1 conv2 norm2 pool2 conv3 conv4 conv5 pool5 "
        "flatten fc6 drop6 fc7 drop7 fc8 predictions"
    )


def test_names_of_vgg19():
    assert names(unallocated("vgg19")) == words(
        "image conv1_1 conv1_2 pool1 conv2_1 conv2_2 pool2 "
        "conv3_1 conv3_2 conv3_3 conv3_4 pool3 conv4_1 conv4_2 conv4_3 conv4_4 pool4 "
        "conv5_1 conv5_2 conv5_3 conv5_4 pool5 flatten fc6 drop6 fc7 drop7 fc8 predictions"
    )


def test_names_of_googlenet():
    model = unallocated("googlenet", auxiliary=True)
    module = words("1x1 3x3_reduce 3x3 5x5_reduce 5x5 pool pool_proj")
    found = [name for name in names(model) if name.startswith("inception_4a")]
    assert sorted(found) == sorted(["inception_4a", *(f"inception_4a_{key}" for key in module)])
    modules = [name for name in names(model) if name.count("_") == 1 and "inception" in name]
    assert modules == [f"inception_{row}" for row in words("3a 3b 4a 4b 4c 4d 4e 5a 5b")]
    branch = words("pool conv flatten fc drop logits")
    for aux in ("aux1", "aux2"):
        found = [name for name in names(model) if name.startswith(aux)]
        assert found == [*(f"{aux}_{key}" for key in branch), aux]
    rest = [name for name in names(model) if not name.startswith(("inception", "aux"))]
    assert rest == words(
        "image conv1_pad conv1 pool1 norm1 conv2_reduce conv2 norm2 pool2 pool3 pool4 "
        "average drop logits predictions"
    )


def test_names_of_resnet50():
    units = [
        f"conv{stage}_{number}"
        for stage, count in ((2, 3), (3, 4), (4, 6), (5, 3))
        for number in range(1, count + 1)
    ]
    stem = words("image conv1_pad conv1 conv1_bn conv1_relu pool1")
    model = unallocated("resnet50")
    assert names(model) == [*stem, *units, "average", "logits", "predictions"]
    inner = [layer.name for layer in model.get_layer("conv2_1").body.layers[1:]]
    assert set(inner) == set(
        words("conv_1 bn_1 relu_1 conv_2 bn_2 relu_2 conv_3 bn_3 conv_shortcut bn_shortcut")
        + words("add relu_out")
    )


def test_full_preactivation_ends_in_one_more_activation():
    """arXiv:1603.05027, appendix."""
    model = unallocated("resnet20_cifar", order="full_preact")
    assert names(model)[-5:] == ["last_bn", "last_relu", "average", "logits", "predictions"]
    first = [layer.name for layer in model.get_layer("conv2_1").body.layers[1:]]
    assert first[0] == "conv_1"  # behind the stem's BN and ReLU


def test_strides_of_resnet50_stand_in_the_first_1x1():
    """The authors' release; torchvision's stand in the 3x3."""
    model = unallocated("resnet50")
    for unit in ("conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv4_1", "conv5_1", "conv5_3"):
        stride = 2 if unit in ("conv3_1", "conv4_1", "conv5_1") else 1
        inner = {layer.name: layer for layer in model.get_layer(unit).body.layers}
        found = [inner[f"conv_{number}"].strides[0] for number in (1, 2, 3)]
        assert found == [stride, 1, 1]
        assert [inner[f"conv_{number}"].kernel_size[0] for number in (1, 2, 3)] == [1, 3, 1]
        if unit.endswith("_1"):
            assert inner["conv_shortcut"].strides == (stride, stride)


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


@pytest.mark.parametrize(
    "policy",
    ["mixed_float16", "mixed_bfloat16", pytest.param("float64", marks=pytest.mark.tensorflow)],
)
@each_family
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
def test_without_the_top_ends_in_maps_or_their_pool(name, shape, maps, pooling):
    model = unallocated(name, include_top=False, input_shape=shape, pooling=pooling)
    assert model.output_shape == (None, *(maps[-1:] if pooling else maps))


@pytest.mark.parametrize(
    ("name", "width"), [("alexnet", 0.1), ("googlenet", None), ("resnet18", 0.1)]
)
@pytest.mark.parametrize("size", [64, 67, 78])
def test_unknown_size_gives_the_maps_of_the_known_one(name, width, size):
    options = {"include_top": False, **({"width": width} if width else {})}
    known = build(name, input_shape=(size, size, 3), **options)
    unknown = build(name, input_shape=(None, None, 3), **options)
    unknown.set_weights(known.get_weights())
    x = image(1, size, size, 3)
    first, second = numpy(known(x)), numpy(unknown(x))
    np.testing.assert_allclose(second, first, rtol=1e-4, atol=1e-5 * abs(first).max())


@each_family
def test_input_tensor_becomes_the_input(name):
    arguments = dict(SMALL[name])
    tensor = keras.Input(arguments.pop("input_shape"), name="mine")
    model = build(name, input_tensor=tensor, classes=3, **arguments)
    assert len(model.inputs) == 1
    assert model.inputs[0] is tensor
    assert names(model)[0] == "mine"


def test_input_tensor_may_come_from_another_layer():
    source = keras.Input((16, 16, 3))
    model = build("resnet20_cifar", input_tensor=keras.layers.AveragePooling2D(2)(source))
    assert model.inputs[0] is source
    assert model(image(1, 16, 16, 3)).shape == (1, 10)  # one tensor, not a list: no warning


def test_auxiliary_outputs_share_the_weights_of_inference():
    model = build("googlenet", auxiliary=True, input_shape=(96, 96, 3), classes=4)
    x = image(2, 96, 96, 3)
    results = model(x)
    assert list(results) == ["predictions", "aux1", "aux2"]
    for result in results.values():
        assert result.shape == (2, 4)
        np.testing.assert_allclose(numpy(result).sum(-1), 1, rtol=1e-5)
    inference = keras.Model(model.input, model.get_layer("predictions").output)
    kept = {id(weight) for weight in inference.weights}
    assert kept < {id(weight) for weight in model.weights}
    np.testing.assert_allclose(numpy(inference(x)), numpy(results["predictions"]), rtol=1e-5)
    alone = build("googlenet", input_shape=(96, 96, 3), classes=4)
    alone.set_weights([numpy(weight) for weight in inference.weights])
    np.testing.assert_allclose(numpy(alone(x)), numpy(results["predictions"]), rtol=1e-5)


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


def arguments_of(name):
    return {"depth": 8} if name == "resnet_cifar" else {}


@pytest.mark.parametrize("name", available())
def test_every_net_builds_at_its_minimum(name):
    least = info(name, **arguments_of(name)).minimum
    model = unallocated(name, input_shape=(least, least, 3), **arguments_of(name))
    assert model.input_shape == (None, least, least, 3)
    assert min(size for layer in model.layers for size in layer.output.shape[1:]) >= 1


@pytest.mark.parametrize("name", available())
@pytest.mark.parametrize("change", [(-1, 0), (0, -1)], ids=str)
def test_one_pixel_less_than_the_minimum_names_it(name, change):
    least = info(name, **arguments_of(name)).minimum
    shape = (least + change[0], least + change[1], 3)
    with pytest.raises(InputError, match=f"at least {least}x{least}"):
        build(name, input_shape=shape, **arguments_of(name))
