"""Tests that resizing with basic operations gives the same bits as TensorFlow's kernels."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_sample_images

from keras_ilsvrc.data.ops import OPS, resampled
from keras_ilsvrc.data.portable import PORTABLE_OPS, resized

pytestmark = pytest.mark.tensorflow
PHOTO = load_sample_images().images[0]
# Enlarged, reduced, both, by ratios that floats have exactly and by others.
SIZES = [((8, 8), (32, 52)), ((427, 640), (256, 383)), ((61, 91), (96, 40)), ((1, 7), (5, 3))]


@tf.function(
    input_signature=[
        tf.TensorSpec((None, None, 3), tf.float32),
        tf.TensorSpec((2,), tf.int32),
        tf.TensorSpec((), tf.bool),
    ],
    autograph=False,
)
def in_a_graph(image, size, antialias):
    """Resize without knowing any size before, as an exported model does."""
    by = [lambda one=one: resized(image, (size[0], size[1]), one) for one in (True, False)]
    return tf.cond(antialias, *by)


@pytest.mark.parametrize("size", SIZES)
def test_the_values_are_the_same_bits_before_rounding(size):
    (height, width), new = size
    image = PHOTO[:height, :width].astype("float32")
    scale = tf.cast(tf.constant(new), tf.float32) / tf.constant([height, width], tf.float32)
    smooth = resampled(tf.constant(image), new, scale, tf.zeros(2))
    np.testing.assert_array_equal(in_a_graph(image, new, True), smooth)
    np.testing.assert_array_equal(in_a_graph(image, new, False), tf.image.resize(image, new))


@pytest.mark.parametrize("name", ["resize", "resize_shorter"])
@pytest.mark.parametrize("antialias", [True, False])
def test_ops_round_to_the_same_grey_levels(name, antialias):
    portable, own = (
        table[name](tf.constant(PHOTO), (0, 0), size=9, antialias=antialias)
        for table in (PORTABLE_OPS, OPS)
    )
    assert portable.dtype == tf.uint8
    np.testing.assert_array_equal(portable, own)
    grey = PORTABLE_OPS[name](tf.constant(PHOTO[..., :1] / 1.0, tf.float32), (0, 0), size=9)
    assert grey.dtype == tf.float32
