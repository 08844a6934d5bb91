"""Tests of Caffe's average pooling: compared with NumPy windows that end at the border."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ilsvrc.layers import CeilAveragePooling2D


def image(height, width):
    return np.random.default_rng(0).normal(size=(2, height, width, 3)).astype("float32")


def caffe(x, kernel, stride):
    """The average of what each window sees of the image; as many windows as see every pixel."""
    rows, columns = (int(np.ceil((size - kernel) / stride)) + 1 for size in x.shape[1:3])
    y = np.zeros((len(x), rows, columns, x.shape[-1]))
    for i, j in np.ndindex(rows, columns):
        up, left = i * stride, j * stride
        y[:, i, j] = x[:, up : up + kernel, left : left + kernel].mean((1, 2))
    return y


@pytest.mark.parametrize("size", [(28, 28), *((size, 29 - size + 13) for size in range(13, 30))])
@pytest.mark.parametrize(("kernel", "stride"), [(5, 2), (3, 2), (2, 2), (5, 3)])
def test_last_windows_average_what_they_see(kernel, stride, size):
    x = image(*size)
    layer = CeilAveragePooling2D(kernel, stride)
    y = ops.convert_to_numpy(layer(x))
    assert layer.compute_output_shape(x.shape) == y.shape
    np.testing.assert_allclose(y, caffe(x, kernel, stride), rtol=1e-5, atol=1e-6)


def test_28_maps_of_cnds_become_13():
    """Its released net: the last row of windows sees four rows, the corner 4x4."""
    x = np.ones((1, 28, 28, 1), "float32")
    x[:, :24] = x[:, :, :24] = 0
    y = ops.convert_to_numpy(CeilAveragePooling2D(5, 2)(x))
    assert y.shape == (1, 13, 13, 1)
    assert y[0, -1, -1, 0] == 1
    assert y[0, -2, -2, 0] == pytest.approx(9 / 25)


@pytest.mark.parametrize("size", [15, 16, 17, 18])
def test_unknown_sizes_give_the_same_result(size):
    layer = CeilAveragePooling2D(5, 2)
    tensor = keras.Input((None, None, 3))
    model = keras.Model(tensor, layer(tensor))
    assert model.output_shape == (None, None, None, 3)
    x = image(size, size)
    y = ops.convert_to_numpy(model(x))
    np.testing.assert_allclose(y, caffe(x, 5, 2), rtol=1e-5, atol=1e-6)


def test_an_image_one_pixel_smaller_than_a_window_has_one():
    x = image(4, 4)
    y = ops.convert_to_numpy(CeilAveragePooling2D(5, 2)(x))
    np.testing.assert_allclose(y, caffe(x, 5, 2), rtol=1e-5, atol=1e-6)
    assert y.shape == (2, 1, 1, 3)


def test_file_gives_the_same_layer(tmp_path):
    model = keras.Sequential(
        [keras.Input((14, 15, 3)), CeilAveragePooling2D(5, 2, name="aux_pool")]
    )
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(again.get_layer("aux_pool"), CeilAveragePooling2D)
    x = image(14, 15)
    np.testing.assert_array_equal(*(ops.convert_to_numpy(net(x)) for net in (model, again)))
