"""Tests of copying weights: names, layouts, errors, and the tolerance for equal outputs."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_ilsvrc import InputError, build
from keras_ilsvrc.layers import GroupedConv2D
from keras_ilsvrc.weights import arrays
from keras_ilsvrc.weights.check import check
from keras_ilsvrc.weights.layouts import LAYOUTS, Layout, layout_of
from keras_ilsvrc.weights.layouts.torch import TENSORS
from keras_ilsvrc.weights.load import assign
from keras_ilsvrc.weights.tensors import Stored

EPSILON = 1e-3
SAME_NAMES = Layout(TENSORS, {"(.+)": r"\1"}, biases_folded=True)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def test_cccp6_is_the_classifier_of_one_net_only():
    for net, classifier in (("nin", "cccp8"), ("nin_cifar10", "cccp6"), ("vgg16", "fc8")):
        layout = LAYOUTS[layout_of(net)]
        found = [x for x in ("cccp6", "cccp8", "fc8") if layout.is_classifier(f"{x}/kernel")]
        assert classifier in found
        assert ("cccp6" in found) == (net == "nin_cifar10")
    net = build("nin", input_shape=(64, 64, 3), classes=3)
    lent = {x.path: x for x in net.weights if x.path != "cccp6/bias"}
    with pytest.raises(InputError, match="no tensor for cccp6/bias"):
        assign(net, lent, layout_of("nin"), head=False)


def chain(*stack, shape=(5, 4, 4)):
    """A model of layers one behind another."""
    image = x = keras.Input(shape)
    for layer in stack:
        x = layer(x)
    return keras.Model(image, x, name="chain")


def convolved(x, kernel, groups=1):
    """Maps (C, H, W) and a kernel (out, C / groups, rows, columns), as torch defines it."""
    out, inner, rows, columns = kernel.shape
    height, width = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    y = np.zeros((out, height, width), "float32")
    for o in range(out):
        first = o // (out // groups) * inner
        for i in range(inner):
            for r in range(rows):
                for c in range(columns):
                    y[o] += kernel[o, i, r, c] * x[first + i, r : r + height, c : c + width]
    return y


@pytest.fixture
def fill(monkeypatch):
    """A function that sets a model's weights from torch's layout, with names as they are."""
    monkeypatch.setitem(LAYOUTS, "same_names", SAME_NAMES)
    return lambda model, state: assign(model, state, "same_names")


def first(model, x):
    """What a model makes of one image (C, H, W), channels first again."""
    y = ops.convert_to_numpy(model(x.transpose(1, 2, 0)[None]))[0]
    return y.transpose(2, 0, 1) if y.ndim == 3 else y


@pytest.mark.parametrize("groups", [1, 2])
def test_a_kernel_of_torch_convolves_alike(groups, fill):
    x, kernel, bias = normal(4, 5, 4), normal(6, 4 // groups, 3, 2), normal(6, seed=1)
    model = chain(GroupedConv2D(6, (3, 2), groups=groups, name="conv"))
    fill(model, {"conv.weight": kernel, "conv.bias": bias})
    expected = convolved(x, kernel, groups) + bias[:, None, None]
    np.testing.assert_allclose(first(model, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("between", [[], [layers.Dropout(0.5)]])
def test_a_matrix_behind_a_flatten_layer_takes_maps_one_by_one(between, fill):
    x, matrices = normal(4, 5, 4), [normal(7, 80), normal(3, 7)]
    dense = [layers.Dense(len(m), use_bias=False, name=f"fc{i}") for i, m in enumerate(matrices)]
    model = chain(layers.Flatten(), *between, *dense)
    report = fill(model, {f"fc{i}.weight": matrix for i, matrix in enumerate(matrices)})
    assert [row.steps for row in report.rows] == [
        ("transposed", "rows to (H, W, C)"),
        ("transposed",),
    ]
    expected = matrices[1] @ (matrices[0] @ x.ravel())
    np.testing.assert_allclose(first(model, x), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("by_rows", [False, True])
def test_a_large_tensor_is_converted_in_parts(by_rows, monkeypatch):
    monkeypatch.setattr(arrays, "PART", 1000)
    matrix, read = normal(7, 80), []

    def rows(start, stop):
        read.append((start, stop))
        return matrix[start:stop]

    stored = Stored((7, 80), matrix.dtype, lambda: matrix, rows if by_rows else None)
    array = arrays.Array("fc", stored, (7, 80)).transposed().rows_last((5, 4, 4))
    expected = matrix.reshape(7, 4, 5, 4).transpose(2, 3, 1, 0).reshape(80, 7)
    np.testing.assert_array_equal(array.load(), expected)
    assert read == ([(0, 3), (3, 6), (6, 7)] if by_rows else [])
    backward = array.ordered(0, range(80)[::-1])  # still in parts
    np.testing.assert_array_equal(backward.load(), expected[::-1])
    array = array.ordered(1, range(7)[::-1])  # needs all rows
    np.testing.assert_array_equal(array.load(), expected[:, ::-1])
    assert array.steps == ("transposed", "rows to (H, W, C)", "channels reversed")


def test_a_bias_that_the_model_leaves_out_is_folded_into_the_mean(fill):
    x, kernel = normal(4, 5, 4), normal(3, 4, 1, 1)
    bias, gamma, beta, mean = (normal(3, 1, 1, seed=seed) for seed in range(1, 5))
    variance = abs(normal(3, 1, 1, seed=5)) + 0.1
    model = chain(
        layers.Conv2D(3, 1, use_bias=False, name="conv"),
        layers.BatchNormalization(epsilon=EPSILON, name="conv_bn"),
    )
    state = {
        "conv.weight": kernel,
        "conv.bias": bias.ravel(),
        "conv_bn.weight": gamma.ravel(),
        "conv_bn.bias": beta.ravel(),
        "conv_bn.running_mean": mean.ravel(),
        "conv_bn.running_var": variance.ravel(),
        "conv_bn.num_batches_tracked": np.int64(7),
    }
    fill(model, state)
    expected = (convolved(x, kernel) + bias - mean) / np.sqrt(variance + EPSILON) * gamma + beta
    np.testing.assert_allclose(first(model, x), expected, rtol=1e-4, atol=1e-5)


# fmt: off
LAYERS = [
    ("torchvision", "conv3.conv", "conv2"),
    ("torchvision", "conv3.bn", "conv2_bn"),
    ("torchvision", "inception4e.branch3.0.bn", "inception_4e_5x5_reduce_bn"),
    ("torchvision", "aux2.fc1", "aux2_fc"),
    ("torchvision", "Conv2d_3b_1x1.conv", "conv3b"),
    ("torchvision", "Mixed_5d.branch3x3dbl_2.conv", "mixed_5d_double_3x3_1"),
    ("torchvision", "Mixed_7b.branch3x3dbl_2.conv", "mixed_7b_double_3x3"),
    ("torchvision", "Mixed_7b.branch3x3dbl_3b.bn", "mixed_7b_double_3x3_3x1_bn"),
    ("torchvision", "Mixed_6e.branch_pool.conv", "mixed_6e_pool_proj"),
    ("torchvision", "AuxLogits.conv1.conv", "aux_conv2"),
    ("torchvision", "layer1.0.conv1", "conv2_1/conv_1"),
    ("torchvision", "layer3.22.bn3", "conv4_23/bn_3"),
    ("torchvision", "layer4.0.downsample.0", "conv5_1/conv_shortcut"),
    ("torchvision", "layer4.0.downsample.1", "conv5_1/bn_shortcut"),
    ("pytorchcv", "features.init_block.conv2.conv1.bn", "conv2_reduce_bn"),
    ("pytorchcv", "features.stage1.unit2.branches.branch1.conv", "inception_3b_1x1"),
    ("pytorchcv", "features.stage2.unit1.branches.branch2.conv3.bn",
     "inception_3c_double_3x3_2_bn"),
    ("pytorchcv", "features.stage3.unit3.branches.branch4.conv.conv",
     "inception_5b_pool_proj"),
    ("pytorchcv", "features.stage3.unit18.body.conv2.bn", "conv4_18/bn_2"),
    ("pytorchcv", "features.stage2.unit1.identity_conv.bn", "conv3_1/bn_shortcut"),
    ("pytorchcv", "features.stage2.unit1.identity_conv", "conv3_1/conv_shortcut"),
    ("keras_vgg", "block3_conv2", "conv3_2"),
    ("keras_vgg", "predictions", "fc8"),
    ("keras_resnet", "conv4_block23_2_bn", "conv4_23/bn_2"),
    ("keras_resnet_v2", "conv4_block6_2_bn", "conv4_6/bn_3"),
    ("keras_resnet_v2", "conv4_block6_preact_bn", "conv4_6/bn_1"),
    ("keras_resnet_v2", "conv4_block1_0_conv", "conv4_1/conv_shortcut"),
    ("torchvision", "layer1.0.attention", None),
]
# fmt: on


@pytest.mark.parametrize(("layout", "theirs", "ours"), LAYERS)
def test_a_layer_of_theirs_is_ours(layout, theirs, ours):
    end = "/bias" if layout.startswith("keras") else ".bias"
    (path,) = LAYOUTS[layout].paths([theirs + end]).values()
    assert (path and path.rpartition("/")[0]) == ours


ALEXNET = {
    **{f"features.{n}": f"conv{i}" for i, n in enumerate((0, 3, 6, 8, 10), 1)},
    **{f"classifier.{n}": f"fc{i}" for i, n in enumerate((1, 4, 6), 6)},
}


def with_state(model):
    """A net with the layers of `ALEXNET`, and a state of torchvision's for it, sorted by name."""
    state = {}
    for theirs, ours in sorted(ALEXNET.items()):
        kernel, bias = (tuple(weight.shape) for weight in model.get_layer(ours).weights)
        state[f"{theirs}.bias"] = np.zeros(bias, "float32")
        state[f"{theirs}.weight"] = normal(*kernel[::-1])
    return model, state


@pytest.fixture(scope="module")
def few_units():
    x = image = keras.Input((1, 1, 3))
    for number in range(1, 6):
        x = layers.Conv2D(4, 3, padding="same", name=f"conv{number}")(x)
    x = layers.Flatten()(x)
    for name, units in (("fc6", 8), ("fc7", 8), ("fc8", 3)):
        x = layers.Dense(units, name=name)(x)
    return with_state(keras.Model(image, x, name="alexnet_owt"))


def test_a_chain_is_copied_layer_by_layer_in_whatever_order_it_comes():
    model, state = with_state(build("alexnet_owt", input_shape=(63, 63, 3), classes=3))
    assign(model, state, "torchvision")
    for theirs, ours in ALEXNET.items():
        kernel = ops.convert_to_numpy(model.get_layer(ours).kernel)
        axes = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
        np.testing.assert_array_equal(kernel.transpose(axes), state[f"{theirs}.weight"])


def without(state, key):
    return {name: values for name, values in state.items() if name != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s, "features.8.bias"), "no tensor for conv4/bias; use weights of"),
        (lambda s: without(s, "classifier.6.bias"), "no tensor for fc8/bias"),
        (lambda s: {**s, "extra.weight": normal(2, 2)}, "no weight for extra.weight"),
        (
            lambda s: {**s, "classifier.6.weight": normal(5, 8)},
            r"classifier.6.weight \(8, 5\), expected \(8, 3\) for fc8/kernel",
        ),
        (
            lambda s: {k: v for k, v in s.items() if k.startswith("features")},
            "no tensor for fc6/kernel, fc6/bias, fc7/kernel and 3 more",
        ),
        (lambda s: {}, "no tensor for conv1/kernel, conv1/bias, conv2/kernel and 13 more"),
    ],
)
def test_what_does_not_fit_is_named_in_one_line_and_changes_nothing(few_units, change, message):
    model, state = few_units
    before = [ops.convert_to_numpy(weight) for weight in model.weights]
    altered = {key: values + 1 for key, values in change(state).items()}
    with pytest.raises(InputError, match=message) as caught:
        assign(model, altered, "torchvision")
    assert str(caught.value).startswith("alexnet_owt: ")
    assert "\n" not in str(caught.value)
    for old, weight in zip(before, model.weights):
        np.testing.assert_array_equal(old, weight)


def test_two_arrays_for_one_place_are_named():
    """As in pytorchcv's preresnet50, which activates twice where our nets do once."""
    state = {
        f"features.{name}.bn.{word}": normal(4)
        for name in ("init_block", "stage1.unit1.body.conv1", "post_activ")
        for word in ("weight", "bias", "running_mean", "running_var")
    }
    message = r"init_block.bn.weight and \S+unit1.body.conv1.bn.weight both map to conv1_bn/gamma"
    with pytest.raises(InputError, match=message):
        assign(chain(layers.BatchNormalization(name="conv1_bn")), state, "pytorchcv_preact")


def test_equal_outputs_have_a_deviation():
    theirs = np.array([[1.0, -4.0], [2.0, 0.0]])
    assert check(theirs, theirs) == 0
    assert check([[1, -4], [2, 2e-4]], theirs) == pytest.approx(5e-5)


@pytest.mark.parametrize(
    ("ours", "message"),
    [
        (
            [[1, -4], [2, 0.1]],
            r"by 2.5e-02 .* value, 4; expected at most 0.0001; .* at \(1, 1\)",
        ),
        ([[1, -4]], r"logits have shape \(1, 2\), expected \(2, 2\)"),
        ([[1, np.nan], [2, 0]], r"this package's logits are not finite at \(0, 1\): nan"),
    ],
)
def test_other_outputs_are_an_error_that_says_where(ours, message):
    with pytest.raises(InputError, match=message):
        check(ours, [[1, -4], [2, 0]])


def test_outputs_that_are_all_zero_prove_nothing():
    with pytest.raises(InputError, match="all zero"):
        check([0.0], [0.0])
