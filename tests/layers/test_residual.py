"""Tests of the residual unit (He et al., arXiv:1512.03385 and arXiv:1603.05027)."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_ilsvrc.layers import ResidualUnit

BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}
SHORTCUTS = ("none", "A", "B", "C")
SAME, CHANGING = "conv3-4 conv3-4", "conv3/2-8 conv3-8"
# arXiv:1603.05027, figure 4, (a) to (e): what stands in the unit, from top to bottom.
FIGURE_4 = {
    "original": "conv_1 bn_1 relu_1 conv_2 bn_2 add relu_out",
    "bn_after_add": "conv_1 bn_1 relu_1 conv_2 add bn_out relu_out",
    "relu_before_add": "conv_1 bn_1 relu_1 conv_2 bn_2 relu_2 add",
    "relu_preact": "relu_1 conv_1 bn_1 relu_2 conv_2 bn_2 add",
    "full_preact": "bn_1 relu_1 conv_1 bn_2 relu_2 conv_2 add",
}
every_order = pytest.mark.parametrize("order", FIGURE_4)


def image(dtype="float32"):
    return np.random.default_rng(0).normal(size=(2, 6, 7, 4)).astype(dtype)


def built(*arguments, batch_norm=BATCH_NORM, **options):
    """A unit on images of 4 maps, every weight away from where it starts."""
    unit = ResidualUnit(*arguments, batch_norm=batch_norm, **options)
    unit.build((None, 6, 7, 4))
    random = np.random.default_rng(1)
    for weight in unit.weights:
        value = random.normal(size=weight.shape) / 4
        positive = weight.name in ("gamma", "moving_variance")
        weight.assign(abs(value) + 0.5 if positive else value)
    return unit


def names(unit):
    """The layers inside a unit, without its input and the zeros around strided convolutions."""
    return [layer.name for layer in unit.body.layers[1:] if not layer.name.endswith("_pad")]


def numpy(x):
    return ops.convert_to_numpy(x).astype("float64")


def apply(layer, x):
    """One inner layer in NumPy, in float64."""
    if layer.name.startswith("relu"):
        return np.maximum(x, 0)
    values = {weight.name: numpy(weight) for weight in layer.weights}
    if layer.name.startswith("bn"):
        scale = values["gamma"] / np.sqrt(values["moving_variance"] + 1e-5)
        return (x - values["moving_mean"]) * scale + values["beta"]
    kernel = values["kernel"]
    half, stride = len(kernel) // 2, layer.strides[0]
    x = np.pad(x, [(0, 0), (half, half), (half, half), (0, 0)])
    seen = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], (1, 2))
    y = np.einsum("nhwcij,ijcf->nhwf", seen[:, ::stride, ::stride], kernel)
    return y + values.get("bias", 0)


def figure(unit, x):
    """What figure 4 computes with the weights of a unit."""
    inner = {layer.name: layer for layer in unit.body.layers}
    y, before = x, x
    for name in FIGURE_4[unit.order].split():
        if name == "conv_1" and unit.convolutions == CHANGING:
            before = y  # the shortcut sees the first activation too
        if name != "add":
            y = apply(inner[name], y)
        elif "conv_shortcut" in inner:
            h = apply(inner["conv_shortcut"], before)
            y = y + (apply(inner["bn_shortcut"], h) if "bn_shortcut" in inner else h)
        elif "add" in inner:
            stride = before.shape[1] // y.shape[1]
            h = before[:, ::stride, ::stride]
            y = y + np.pad(h, [(0, 0)] * 3 + [(0, y.shape[-1] - h.shape[-1])])
    return y


@every_order
def test_layers_are_those_of_figure_4(order):
    assert names(built(SAME, "B", order)) == FIGURE_4[order].split()


@every_order
def test_projection_has_bn_unless_the_unit_begins_with_one(order):
    """arXiv:1603.05027, appendix."""
    found = names(built(CHANGING, "B", order))
    assert [name for name in found if "shortcut" not in name] == FIGURE_4[order].split()
    shortcut = {name for name in found if "shortcut" in name}
    plain = {"conv_shortcut"} if order == "full_preact" else {"conv_shortcut", "bn_shortcut"}
    assert shortcut == plain


def in_both_precisions():
    """Every unit in float64, where the backend has it; of those in float32 one of each order."""
    for unit in itertools.product((SAME, CHANGING), SHORTCUTS, FIGURE_4):
        few = unit[:2] == (CHANGING, "B")
        yield pytest.param(*unit, "float32", 1e-5, marks=[] if few else [pytest.mark.slow])
        yield pytest.param(*unit, "float64", 1e-12, marks=pytest.mark.tensorflow)


@pytest.mark.parametrize(
    ("convolutions", "shortcut", "order", "dtype", "tolerance"), list(in_both_precisions())
)
def test_computes_figure_4(convolutions, shortcut, order, dtype, tolerance):
    unit = built(convolutions, shortcut, order, dtype=dtype)
    y, expected = numpy(unit(image(dtype))), figure(unit, image("float64"))
    np.testing.assert_allclose(y, expected, rtol=tolerance, atol=10 * tolerance)


@pytest.mark.parametrize(
    ("shortcut", "order"),
    [
        pytest.param(*unit, marks=[pytest.mark.slow] * (unit[0] != "B" and unit[1] != "original"))
        for unit in itertools.product(SHORTCUTS, FIGURE_4)
    ],
)
def test_file_gives_the_same_unit(shortcut, order, tmp_path):
    unit = built(CHANGING, shortcut, order, name="conv3_1")
    model = keras.Sequential([keras.Input((6, 7, 4)), unit])
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert names(again.get_layer("conv3_1")) == names(unit)
    np.testing.assert_array_equal(numpy(again(image())), numpy(model(image())))


@pytest.mark.parametrize("order", ["original", "relu_before_add", "relu_preact"])
def test_option_a_is_every_second_pixel_with_zero_maps_appended(order):
    unit = built(CHANGING, "A", order, batch_norm=None)
    for weight in unit.weights:
        weight.assign(np.zeros(weight.shape))  # F(x) is zero, what remains is h(x)
    y = numpy(unit(image()))
    x = image()[:, ::2, ::2]
    seen = x if order == "relu_before_add" else np.maximum(x, 0)
    np.testing.assert_array_equal(y[..., :4], seen)
    np.testing.assert_array_equal(y[..., 4:], 0)


@every_order
def test_identity_passes_the_input_on(order):
    unit = built(SAME, "B", order, batch_norm=None)
    for weight in unit.weights:
        weight.assign(np.zeros(weight.shape))
    activated = order in ("original", "bn_after_add")  # by the ReLU after the addition
    expected = np.maximum(image(), 0) if activated else image()
    np.testing.assert_array_equal(numpy(unit(image())), expected)


@pytest.mark.parametrize("training", [False, True])
def test_original_unit_equals_a_plain_graph(training):
    unit = built(CHANGING, "B")
    x = keras.Input((6, 7, 4))

    def convolution(y, name, size, stride):
        y = layers.ZeroPadding2D(size // 2)(y)
        y = layers.Conv2D(8, size, stride, use_bias=False, name=f"conv_{name}")(y)
        return layers.BatchNormalization(**BATCH_NORM, name=f"bn_{name}")(y)

    y = layers.ReLU()(convolution(x, "1", 3, 2))
    y = layers.Add()([convolution(y, "2", 3, 1), convolution(x, "shortcut", 1, 2)])
    plain = keras.Model(x, layers.ReLU()(y))
    weighted = [layer for layer in plain.layers if layer.weights]
    for layer in weighted:
        layer.set_weights(unit.body.get_layer(layer.name).get_weights())
    results = [numpy(each(image(), training=training)) for each in (unit, plain)]
    np.testing.assert_allclose(*results, rtol=1e-5, atol=1e-5)
    for layer in weighted:  # the moving statistics have moved alike
        ours = unit.body.get_layer(layer.name).get_weights()
        for mine, theirs in zip(ours, layer.get_weights(), strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("convolutions", [SAME, CHANGING])
def test_moving_statistics_move_in_training_alone(convolutions):
    unit = built(convolutions, "C")
    assert len(unit.non_trainable_weights) == 6
    before = [numpy(weight) for weight in unit.non_trainable_weights]
    for training in (False, None):
        unit(image(), training=training)
        for old, weight in zip(before, unit.non_trainable_weights, strict=True):
            np.testing.assert_array_equal(numpy(weight), old)
    unit(image(), training=True)
    for old, weight in zip(before, unit.non_trainable_weights, strict=True):
        assert (numpy(weight) != old).all()


@pytest.mark.parametrize(
    "policy",
    ["float16", "mixed_bfloat16", pytest.param("float64", marks=pytest.mark.tensorflow)],
)
@pytest.mark.parametrize("shortcut", ["A", "B"])
def test_policy_reaches_every_inner_layer(policy, shortcut):
    policy = keras.DTypePolicy(policy)
    unit = built(CHANGING, shortcut, dtype=policy)
    y = unit(image())
    assert keras.backend.standardize_dtype(y.dtype) == policy.compute_dtype
    inner = [layer for layer in unit.body.layers if not isinstance(layer, layers.InputLayer)]
    assert {layer.dtype_policy.name for layer in inner} == {policy.name}
    assert {weight.dtype for weight in unit.weights} == {policy.variable_dtype}
    tolerance = {"float16": 0.02, "bfloat16": 0.1}.get(policy.compute_dtype, 1e-6)
    expected = figure(unit, image("float64"))
    np.testing.assert_allclose(numpy(y), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("convolutions", [SAME, CHANGING])
@every_order
def test_plain_unit_adds_nothing(order, convolutions):
    found = names(built(convolutions, "none", order))
    assert found == [name for name in FIGURE_4[order].split() if name != "add"]


@pytest.mark.parametrize("order", ["relu_preact", "full_preact"])
def test_activated_input_is_not_activated_again(order):
    found = names(built(SAME, "B", order, activated=True))
    sequence = FIGURE_4[order].split()
    assert found == sequence[sequence.index("conv_1") :]


@every_order
def test_without_batch_norm_convolutions_have_biases(order):
    unit = built(CHANGING, "B", order, batch_norm=None)
    assert not any("bn" in name for name in names(unit))
    convolutions = [layer for layer in unit.body.layers if layer.name in names(unit)]
    biases = {layer.name: layer.bias.shape for layer in convolutions if layer.weights}
    assert biases == {"conv_1": (8,), "conv_2": (8,), "conv_shortcut": (8,)}


def test_batch_norm_has_the_constants_that_were_given():
    unit = built(CHANGING, "B", batch_norm={"momentum": 0.7, "epsilon": 1e-2})
    norms = [layer for layer in unit.body.layers if layer.name.startswith("bn")]
    assert [(norm.momentum, norm.epsilon) for norm in norms] == [(0.7, 1e-2)] * 3


def test_bottleneck_has_its_stride_where_it_is_written():
    unit = built("conv1/2-2 conv3-2 conv1-8", "B")
    strides = {name: unit.body.get_layer(name).strides for name in ("conv_1", "conv_shortcut")}
    assert strides == {"conv_1": (2, 2), "conv_shortcut": (2, 2)}
    assert unit.body.get_layer("conv_2").strides == (1, 1)
    assert unit(image()).shape == (2, 3, 4, 8)
    assert unit(keras.Input((6, 7, 4))).shape == (None, 3, 4, 8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((SAME, "D"), "shortcut is 'D'; expected one of none, A, B, C"),
        ((SAME, None), "shortcut is None; expected one of none, A, B, C"),
        ((SAME, "A", "v2"), "order is 'v2'; expected one of " + ", ".join(FIGURE_4)),
        (("conv3-4 3x3",), "convolutions is 'conv3-4 3x3'; expected convolutions with odd kernels"),
    ],
)
def test_message_names_what_is_allowed(arguments, message):
    with pytest.raises(ValueError, match=message):
        ResidualUnit(*arguments)


def test_option_a_cannot_remove_maps():
    with pytest.raises(ValueError, match="cannot reduce 4 maps to 2"):
        ResidualUnit("conv3-2 conv3-2", "A").build((None, 6, 7, 4))
