"""Tests of inception modules: the size of naive modules, and the borders of pooling."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ilsvrc import build


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
