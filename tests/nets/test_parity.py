"""Tests of the nets: compared with calls of single operations."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_ilsvrc import build

pytestmark = pytest.mark.tensorflow


def test_conv2_of_alexnet_is_one_convolution_per_tower():
    """Figure 2 of the paper: 48 maps in and 128 out on each of two GPUs."""
    model = build("alexnet", input_shape=(67, 67, 3), classes=2)
    tensors = [model.get_layer(name).output for name in ("pool1", "conv2")]
    x = np.random.default_rng(0).uniform(0, 9, (2, 67, 67, 3)).astype("float32")
    before, after = (np.asarray(t) for t in keras.Model(model.input, tensors)(x))
    kernel, bias = (np.asarray(w) for w in model.get_layer("conv2").get_weights())
    assert before.shape[-1] == 96
    assert kernel.shape == (5, 5, 48, 256)
    towers = [
        ops.conv(before[..., :48], kernel[..., :128], padding="same"),
        ops.conv(before[..., 48:], kernel[..., 128:], padding="same"),
    ]
    expected = np.maximum(np.concatenate(towers, -1) + bias, 0)
    np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-5 * expected.max())
