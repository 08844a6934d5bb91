"""Tests that layers refuse arguments and inputs that they cannot use."""

import keras
import numpy as np
import pytest
from keras import ops
from layer_cases import CASES, built, each_case, numpy, values

from keras_ilsvrc.layers import (
    BatchNormalization,
    CeilAveragePooling2D,
    GroupedConv2D,
    LocalResponseNormalization,
    RadialBasis,
    ResidualUnit,
    Subsampling2D,
    TableConv2D,
)

NAN, INF = float("nan"), float("inf")
TABLE = [[0], [1]]
FORMAT_OF_KERAS = (BatchNormalization, GroupedConv2D)
BN = ("momentum", "epsilon")
# A layer, one argument, values of it that cannot be honoured, and what else is given.
REFUSED = [
    (LocalResponseNormalization, "size", (0, 2, -1, 2.5, 3.0, "5", None, True, NAN), {}),
    (LocalResponseNormalization, "k", (0, -1, "2", None, NAN, INF, True), {}),
    (LocalResponseNormalization, "alpha", (-1e-4, "1", None, NAN, INF), {}),
    (LocalResponseNormalization, "beta", (-0.5, "1", None, NAN, INF), {}),
    (LocalResponseNormalization, "groups", (0, -2, 1.5, None, "2", True), {}),
    (CeilAveragePooling2D, "padding", ("same", "ceil", None), {"pool_size": 2}),
    (CeilAveragePooling2D, "data_format", ("channels_first", "nhwc"), {"pool_size": 2}),
    (CeilAveragePooling2D, "strides", (3, (1, 3), (3, 1), 0, -1), {"pool_size": 2}),
    (CeilAveragePooling2D, "pool_size", (0, -1, (1, 2, 3), "2", 2.5), {}),
    (GroupedConv2D, "groups", (0, -1, 3), {"filters": 4, "kernel_size": 3}),
    (GroupedConv2D, "padding", ("causal", "half"), {"filters": 4, "kernel_size": 3}),
    (GroupedConv2D, "dilation_rate", (2,), {"filters": 4, "kernel_size": 3, "strides": 2}),
    (TableConv2D, "table", ([], None, [[0], []], [[0, 0]], [[-1]], "01"), {"kernel_size": 3}),
    (TableConv2D, "kernel_size", (0, 2.5, (3, 3), None, True), {"table": TABLE}),
    (TableConv2D, "kernel_initializer", ("none",), {"table": TABLE, "kernel_size": 3}),
    (TableConv2D, "bias_initializer", ("none",), {"table": TABLE, "kernel_size": 3}),
    (TableConv2D, "activation", ("none",), {"table": TABLE, "kernel_size": 3}),
    (Subsampling2D, "coefficient_initializer", ("none",), {}),
    (Subsampling2D, "bias_initializer", ("none",), {}),
    (RadialBasis, "codes", ([], [[NAN]], [[INF]], [["1"]], [[1], [1, 2]], None, [[True]]), {}),
]
UNIT = {
    "convolutions": (
        *("", " ", None, 3, [], "conv3", "maxpool3/2", "conv3-8 avgpool2/2", "conv2-8"),
        *("conv2x3-8", "conv0-8", "conv3/0-8", "conv3-0", "3x3-8"),
    ),
    "shortcut": ("D", None, [], 1, "a"),
    "order": ("v2", None, [], 1),
    "activated": (None, "yes", 2),
    "batch_norm": (
        *(True, {}, 0.9, [0.9, 1e-5], {"momentum": 0.9, "eps": 1e-5}),
        *({"momentum": "high", "epsilon": 1e-5}, {"momentum": NAN, "epsilon": 1e-5}),
    ),
    "use_bias": (False, "all", 2, []),
    "gate_bias": (NAN, None, "-6", -1),  # -1 without a gate
    "synchronized": (None, "yes"),
    "seed": (1.5, "1", -1, 3),  # 3 without a dropout
    "layer_configs": ([], "bn_1", {"bn_1": False}),
}
REFUSED += [
    (ResidualUnit, key, bad, {} if key == "convolutions" else {"convolutions": "conv3-8"})
    for key, bad in UNIT.items()
]


def message(call, *arguments, **keywords):
    """What a ValueError says; None if there is none, or another error's name."""
    try:
        call(*arguments, **keywords)
    except ValueError as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}"
    return None


def test_every_argument_that_cannot_be_honoured_is_named():
    failures = []
    for kind, argument, refused, others in REFUSED:
        for value in refused:
            found = message(kind, **{**others, argument: value})
            named = found and argument.split("_")[-1] in found
            if not named or (kind in (ResidualUnit, CeilAveragePooling2D) and "\n" in found):
                failures.append((kind.__name__, argument, value, found))
    assert not failures


def test_no_initializer_is_the_usual_one():
    layer = TableConv2D(TABLE, 3, kernel_initializer=None, bias_initializer=None)
    assert layer.get_config() == TableConv2D(TABLE, 3, name=layer.name).get_config()
    layer = Subsampling2D(coefficient_initializer=None, bias_initializer=None)
    assert layer.get_config() == Subsampling2D(name=layer.name).get_config()


def test_numbers_of_numpy_are_honoured():
    for kind, arguments in (
        (LocalResponseNormalization, {"size": np.int64(3), "k": np.float32(1), "alpha": 1}),
        (TableConv2D, {"table": [[np.int32(0)]], "kernel_size": np.int64(3)}),
        (ResidualUnit, {"convolutions": "conv3-4", "batch_norm": dict.fromkeys(BN, np.float64(1))}),
    ):
        layer = kind(**arguments)
        assert (
            keras.saving.deserialize_keras_object(
                keras.saving.serialize_keras_object(layer)
            ).get_config()
            == layer.get_config()
        )


SMALL = [
    (CeilAveragePooling2D(3, 2), (1, 1, 6, 4), "2x2 pixels"),
    (CeilAveragePooling2D((2, 7), 1), (1, 6, 6, 4), "2x7 pixels"),
    (TableConv2D(TABLE, 3), (1, 6, 2, 4), "3x3 pixels"),
    (Subsampling2D(), (1, 1, 6, 4), "2x2 pixels"),
]


def test_an_image_smaller_than_a_window_is_refused_wherever_it_comes():
    failures = []
    for layer, shape, words in SMALL:
        fresh = type(layer).from_config(layer.get_config())
        layer(np.zeros((1, 8, 8, 4), "float32"))
        for call in (layer, fresh):
            for found in (
                message(call, np.zeros(shape, "float32")),
                message(call, keras.KerasTensor(shape)),
                message(call.compute_output_shape, shape),
                message(call.compute_output_spec, keras.KerasTensor(shape)),
            ):
                failures += [] if found and words in found else [(call.name, shape, found)]
    assert not failures


@pytest.mark.tensorflow
def test_a_window_larger_than_an_image_of_unknown_size_averages_all_of_it():
    import tensorflow as tf

    x = values((1, 2, 3, 4))
    pool = tf.function(
        CeilAveragePooling2D(5, 2), input_signature=[tf.TensorSpec((None, None, None, 4))]
    )
    np.testing.assert_allclose(pool(x), x.mean((1, 2), keepdims=True), rtol=1e-5, atol=1e-6)


@each_case
def test_another_number_of_channels_is_refused(case):
    if case.layer is CeilAveragePooling2D:  # has nothing that depends on it
        return
    layer = built(case)
    for channels in (1, 2 * case.shape[-1]):
        assert message(layer, values((*case.shape[:-1], channels))), channels
    if case.layer in FORMAT_OF_KERAS:  # whose own convolution says TypeError
        return
    unknown = keras.KerasTensor((*case.shape[:-1], None))
    assert message(case.layer(**case.arguments), unknown) not in (None, "TypeError")


def test_a_shortcut_without_weights_removes_no_maps():
    for shortcut in ("A", "constant_0.5", "dropout", "exclusive_gating"):
        unit = ResidualUnit("conv3-2", shortcut)
        for call in (unit.build, unit.compute_output_shape):
            assert "cannot reduce 4 maps to 2" in message(call, (None, 6, 7, 4))


def test_channels_first_as_the_default_changes_nothing_or_is_refused():
    """LeNet-5's layers, LRN and units have no argument for it: they are channels last."""
    failures = []
    for name, case in CASES.items():
        last = built(case, name="layer")
        keras.config.set_image_data_format("channels_first")
        try:
            if case.layer is CeilAveragePooling2D:
                found = message(case.layer, **case.arguments)
                failures += [] if found and "data_format" in found else [(name, found)]
            elif case.layer not in FORMAT_OF_KERAS:
                layer = built(case, name="layer")
                layer.set_weights(last.get_weights())
                x = values(case.shape)
                same = np.allclose(numpy(layer(x)), numpy(last(x)), atol=1e-6)
                failures += [] if same else [(name, "differs")]
        finally:
            keras.config.set_image_data_format("channels_last")
    assert not failures


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("group")])
def test_channels_first_is_that_of_keras(name):
    case = CASES[name]
    last, first = built(case), case.layer(**case.arguments, data_format="channels_first")
    first.build((2, 4, 7, 6))
    first.set_weights(last.get_weights())
    x = values(case.shape)
    y = ops.transpose(first(ops.transpose(x, (0, 3, 1, 2))), (0, 2, 3, 1))
    np.testing.assert_allclose(numpy(y), numpy(last(x)), rtol=1e-4, atol=1e-4)


def test_masks_pass_through_layers_that_keep_positions():
    x = np.ones((1, 3, 3), "float32")
    x[0, 1] = 0
    for layer in (LocalResponseNormalization(), RadialBasis([[1, 1, 1]])):
        tensor = keras.Input((3, 3))
        mask = keras.Model(tensor, layer(keras.layers.Masking()(tensor)))(x)._keras_mask
        np.testing.assert_array_equal(ops.convert_to_numpy(mask), [[True, False, True]])
