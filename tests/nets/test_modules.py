"""Inception modules: their kernels, how they are joined, and the borders of their pools."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ilsvrc import build

# Branches in the order of the papers' figures and of every file of weights.
JOINED = {
    ("googlenet", "inception_3a"): "1x1 3x3 5x5 pool_proj",
    ("googlenet[module=naive]", "inception_3a"): "1x1 3x3 5x5 pool",
    ("googlenet_bn", "inception_5b"): "1x1 3x3 5x5 pool_proj",
    ("bn_inception", "inception_3a"): "1x1 3x3 double_3x3_2 pool_proj",
    ("bn_inception", "inception_4e"): "3x3 double_3x3_2 pool",
    ("inception_v3", "mixed_5b"): "1x1 5x5 double_3x3_2 pool_proj",
    ("inception_v3", "mixed_6a"): "3x3 double_3x3_2 pool",
    ("inception_v3", "mixed_6b"): "1x1 7x1 double_1x7_2 pool_proj",
    ("inception_v3", "mixed_7a"): "3x3 7x7x3_3x3 pool",
    ("inception_v3", "mixed_7b"): "1x1 3x3_1x3 3x3_3x1 double_3x3_1x3 double_3x3_3x1 pool_proj",
}
# Of each branch: kernels, strides other than 1, maps; up to the concatenation.
CHAINS = {
    ("googlenet", "inception_3a"): ("1x1-64", "1x1-96 3x3-128", "1x1-16 5x5-32", "max3x3 1x1-32"),
    ("googlenet_bn", "inception_3a"): (
        "1x1-64",
        "1x1-96 3x3-128",
        "1x1-16 3x3-32",  # torchvision's
        "max3x3 1x1-32",
    ),
    ("bn_inception", "inception_3c"): (
        "1x1-128 3x3/2-160",
        "1x1-64 3x3-96 3x3/2-96",  # the stride stands in the second
        "max3x3/2",
    ),
    ("bn_inception", "inception_4d"): (
        "1x1-96",
        "1x1-128 3x3-192",
        "1x1-160 3x3-192 3x3-192",
        "average3x3 1x1-128",
    ),
    ("bn_inception", "inception_5b"): (
        "1x1-352",
        "1x1-192 3x3-320",
        "1x1-192 3x3-224 3x3-224",
        "max3x3 1x1-128",
    ),
    ("inception_v3", "mixed_5c"): (
        "1x1-64",
        "1x1-48 5x5-64",
        "1x1-64 3x3-96 3x3-96",
        "average3x3 1x1-64",
    ),
    ("inception_v3", "mixed_6a"): ("3x3/2-384", "1x1-64 3x3-96 3x3/2-96", "max3x3/2"),
    ("inception_v3", "mixed_6c"): (
        "1x1-192",
        "1x1-160 1x7-160 7x1-192",
        "1x1-160 7x1-160 1x7-160 7x1-160 1x7-192",
        "average3x3 1x1-192",
    ),
    ("inception_v3", "mixed_7a"): (
        "1x1-192 3x3/2-320",
        "1x1-192 1x7-192 7x1-192 3x3/2-192",
        "max3x3/2",
    ),
    ("inception_v3", "mixed_7c"): (
        "1x1-320",
        "1x1-384 1x3-384",
        "1x1-384 3x1-384",
        "1x1-448 3x3-384 1x3-384",
        "1x1-448 3x3-384 3x1-384",
        "average3x3 1x1-192",
    ),
}


def above(tensor):
    """The layer that makes a tensor, behind its batch normalisation, ReLU and zeros."""
    layer = tensor._keras_history.operation
    passing = (keras.layers.BatchNormalization, keras.layers.Activation, keras.layers.ZeroPadding2D)
    return above(layer.input) if isinstance(layer, passing) else layer


def cell(layer):
    kinds = {keras.layers.MaxPooling2D: "max", keras.layers.AveragePooling2D: "average"}
    size = layer.pool_size if type(layer) in kinds else layer.kernel_size
    stride = f"/{layer.strides[0]}" if layer.strides[0] > 1 else ""
    maps = f"-{layer.filters}" if hasattr(layer, "filters") else ""
    return f"{kinds.get(type(layer), '')}{size[0]}x{size[1]}{stride}{maps}"


def chain(tensor, module):
    """The cells of a branch, from the input of its module on."""
    layer, cells = above(tensor), []
    while layer.name.startswith(f"{module}_"):
        cells.insert(0, cell(layer))
        layer = above(layer.input)
    return " ".join(cells)


@pytest.mark.parametrize(("name", "module"), JOINED)
def test_branches_are_joined_in_the_order_of_the_figure(name, module, unallocated):
    joined = unallocated(name).get_layer(module)
    found = [above(tensor).name.removeprefix(f"{module}_") for tensor in joined.input]
    assert found == JOINED[name, module].split()


@pytest.mark.parametrize(("name", "module"), CHAINS)
def test_kernels_strides_and_maps_of_branches(name, module, unallocated):
    joined = unallocated(name).get_layer(module)
    assert tuple(chain(tensor, module) for tensor in joined.input) == CHAINS[name, module]


def test_naive_modules_grow_because_nothing_is_projected(unallocated):
    """Figure 2a: the pool passes all maps on; in 3a 416 come out, not 256."""
    model = unallocated("googlenet", module="naive")
    maps = [model.get_layer(f"inception_{row}").output.shape[-1] for row in ("3a", "3b", "4a")]
    assert maps == [192 + 224, 416 + 416, 832 + 448]
    of_3a = [
        layer.kernel.shape
        for layer in model.layers
        if layer.name.startswith("inception_3a_") and hasattr(layer, "kernel")
    ]
    assert sum(np.prod(shape) for shape in of_3a) == 387_072


def test_last_pool_of_torchvisions_googlenet_is_2x2(unallocated):
    pools = [unallocated(name).get_layer("pool4") for name in ("googlenet", "googlenet_bn")]
    assert [cell(pool) for pool in pools] == ["max3x3/2", "max2x2/2"]


@pytest.mark.parametrize(
    ("name", "size", "module", "corner", "edge"),
    [
        ("inception_v3", 75, "mixed_5b", 1, 1),  # TensorFlow divides by the pixels it sees
        ("inception_v3_tv", 75, "mixed_5b", 4 / 9, 6 / 9),  # torch by the window
        ("inception_v3_tv", 139, "mixed_7b", 4 / 9, 6 / 9),
        ("bn_inception", 64, "inception_3a", 4 / 9, 6 / 9),  # and Caffe
        ("bn_inception", 64, "inception_5a", 4 / 9, 1),
    ],
)
def test_zeros_around_averages(name, size, module, corner, edge):
    """An image of ones through the pool of a module, whose input is found by its pool."""
    with keras.StatelessScope(initialize_variables=False):
        model = build(name, input_shape=(size, size, 3), include_top=False)
    pool = model.get_layer(f"{module}_pool")
    source = above_zeros(pool)
    branch = keras.Model(source, pool.output)
    ones = np.ones((1, *source.shape[1:]), "float32")
    result = ops.convert_to_numpy(branch(ones))[0, :, :, 0]
    rows = result.shape[0]
    expected = np.full((rows, rows), 1.0)
    expected[[0, -1]] = expected[:, [0, -1]] = edge
    for i in (0, -1):
        for j in (0, -1):
            expected[i, j] = corner
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def above_zeros(pool):
    """The maps that a pool sees, before zeros are put around them."""
    layer = pool.input._keras_history.operation
    return layer.input if isinstance(layer, keras.layers.ZeroPadding2D) else pool.input


@pytest.mark.parametrize("name", ["googlenet", "googlenet_bn", "bn_inception"])
def test_strided_pools_take_the_last_window_of_caffe(name):
    """Of 16x16 maps come 8x8, whose last windows see two rows."""
    with keras.StatelessScope(initialize_variables=False):
        model = build(name, input_shape=(64, 64, 3), include_top=False)
    for layer in ("pool1", "pool2"):
        pool = model.get_layer(layer)
        source = above_zeros(pool)
        size = source.shape[1]
        x = np.arange(size * size, dtype="float32").reshape(1, size, size, 1)
        x = np.repeat(x, source.shape[-1], -1)
        result = ops.convert_to_numpy(keras.Model(source, pool.output)(x))[0, :, :, 0]
        last = np.minimum(2 * np.arange(result.shape[0]) + 2, size - 1)
        np.testing.assert_array_equal(result, x[0, :, :, 0][np.ix_(last, last)])
        assert result.shape == (size // 2, size // 2)
