"""Tests of the papers' notation for layers; its padding is compared with zeros in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ilsvrc.layers import parts
from keras_ilsvrc.layers.parts import Cell


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("conv3-64", Cell("conv", 3, 1, 64)),
        ("conv7/2-64", Cell("conv", 7, 2, 64)),
        ("conv11/4-96", Cell("conv", 11, 4, 96)),
        ("conv1-1000", Cell("conv", 1, 1, 1000)),
        ("conv1x7-192", Cell("conv", (1, 7), 1, 192)),
        ("conv3x3-64", Cell("conv", 3, 1, 64)),
        ("maxpool3/2", Cell("maxpool", 3, 2, None)),
        ("maxpool2", Cell("maxpool", 2, 1, None)),
        ("avgpool5/3", Cell("avgpool", 5, 3, None)),
    ],
)
def test_cell_reads_the_papers_notation(text, cell):
    assert Cell.parse(text) == cell
    assert Cell.parse(cell) is cell


@pytest.mark.parametrize(
    "text",
    ["", "conv3", "conv-64", "3-64", "conv3x-64", "conv3/-64", "pool2/2", "conv3-64 ", "LRN"],
)
def test_cell_refuses_what_is_not_the_notation(text):
    with pytest.raises(
        ValueError, match="does not describe a layer; expected, for example, conv3-64"
    ):
        Cell.parse(text)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (11, 4), (7, 2), (2, 2), (5, 3), (3, 1)])
def test_overhang_is_what_the_last_window_of_caffe_lacks(kernel, stride):
    for size in range(kernel, 60):
        windows = int(np.ceil((size - kernel) / stride)) + 1  # Caffe's ceil rule
        last = (windows - 1) * stride + kernel
        assert parts.overhang(size, kernel, stride) == last - size


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (11, 4), (7, 2)])
def test_overhang_of_an_unknown_size_adds_no_window(kernel, stride):
    zeros = parts.overhang(None, kernel, stride)
    for size in range(kernel, 60):
        needed = parts.overhang(size, kernel, stride)
        assert zeros >= needed
        assert (size + zeros - kernel) // stride == (size + needed - kernel) // stride


def image(height, width, maps=3):
    return np.random.default_rng(0).normal(size=(2, height, width, maps)).astype("float32")


def windows(x, kernel, stride):
    """Every window of an image: (batch, rows, columns, maps, kernel, kernel)."""
    every = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), (1, 2))
    return every[:, ::stride, ::stride]


def zeros_around(x, padding, kernel, stride):
    """`half` on every side; `ceil` after the last pixel until all are covered."""
    borders = []
    for size in x.shape[1:3]:
        half = kernel // 2
        after = (int(np.ceil((size - kernel) / stride)) * stride + kernel) - size
        borders.append({"half": (half, half), "ceil": (0, after), "valid": (0, 0)}[padding])
    return np.pad(x, [(0, 0), *borders, (0, 0)])


SIZES = [(12, 12), (13, 13), (14, 15), (15, 16)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("padding", ["half", "ceil", "valid"])
@pytest.mark.parametrize("text", ["conv3-4", "conv3/2-4", "conv7/2-4", "conv11/4-4", "conv5-4"])
def test_convolution_pads_with_zeros(text, padding, size):
    x, cell = image(*size), Cell.parse(text)
    tensor = keras.Input(x.shape[1:])
    y = parts.conv(tensor, text, "conv1", padding=padding)
    model = keras.Model(tensor, y)
    kernel = ops.convert_to_numpy(model.get_layer("conv1").kernel)
    seen = windows(zeros_around(x, padding, cell.kernel, cell.stride), cell.kernel, cell.stride)
    expected = np.einsum("nhwcij,ijcf->nhwf", seen, kernel)
    result = ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("padding", ["half", "ceil", "valid"])
@pytest.mark.parametrize("text", ["maxpool3/2", "maxpool2/2", "maxpool3/1"])
def test_pool_sees_zeros_beyond_the_border(text, padding, size):
    """Caffe's and torch's pools, whose padding never wins where no input is negative."""
    x, cell = abs(image(*size)), Cell.parse(text)
    tensor = keras.Input(x.shape[1:])
    model = keras.Model(tensor, parts.pool(tensor, text, "pool1", padding))
    seen = windows(zeros_around(x, padding, cell.kernel, cell.stride), cell.kernel, cell.stride)
    np.testing.assert_array_equal(ops.convert_to_numpy(model(x)), seen.max((-2, -1)))


def test_average_pool_divides_by_its_window():
    x = image(14, 14)
    tensor = keras.Input(x.shape[1:])
    model = keras.Model(tensor, parts.pool(tensor, "avgpool5/3", "pool"))
    result = ops.convert_to_numpy(model(x))
    assert result.shape == (2, 4, 4, 3)
    np.testing.assert_allclose(result, windows(x, 5, 3).mean((-2, -1)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("text", ["conv11/4-4", "conv3/2-4", "maxpool3/2"])
@pytest.mark.parametrize("size", [15, 16, 17, 18])
def test_unknown_sizes_give_the_same_result(text, size):
    x, function = abs(image(size, size)), parts.pool if "pool" in text else parts.conv
    known, unknown = keras.Input(x.shape[1:]), keras.Input((None, None, 3))
    fixed = keras.Model(known, function(known, text, "a", padding="ceil"))
    free = keras.Model(unknown, function(unknown, text, "a", padding="ceil"))
    free.set_weights(fixed.get_weights())
    first, second = (ops.convert_to_numpy(model(x)) for model in (fixed, free))
    np.testing.assert_allclose(first, second, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_norm", [None, {"momentum": 0.9, "epsilon": 1e-5}])
def test_activation_comes_last(batch_norm):
    x = image(8, 8)
    tensor = keras.Input(x.shape[1:])
    model = keras.Model(tensor, parts.conv(tensor, "conv3-4", "conv1", "relu", batch_norm))
    kinds = ["conv1", "conv1_bn", "conv1_relu"] if batch_norm else ["conv1"]
    assert [layer.name for layer in model.layers[1:]] == kinds
    assert (model.get_layer("conv1").bias is None) == bool(batch_norm)
    result = ops.convert_to_numpy(model(x))
    assert result.min() == 0
    assert result.max() > 0


def test_branches_are_concatenated_in_their_order():
    x = image(8, 8)
    tensor = keras.Input(x.shape[1:])
    rows = ({"one": "conv1-2"}, {"reduce": "conv1-2", "three": "conv3-5"}, {"pool": "maxpool3/1"})
    model = keras.Model(tensor, parts.branches(tensor, rows, "module"))
    inner = ["module_one", "module_three", "module_pool"]
    each = keras.Model(tensor, [model.get_layer(name).output for name in inner])
    expected = np.concatenate([ops.convert_to_numpy(part) for part in each(x)], -1)
    result = ops.convert_to_numpy(model(x))
    assert result.shape == (2, 8, 8, 2 + 5 + 3)
    np.testing.assert_allclose(result, expected, rtol=1e-6)
