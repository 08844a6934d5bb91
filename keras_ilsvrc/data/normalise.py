"""Arithmetic on the values of images, alike for one image and for a batch of them.

Images are (..., height, width, channels) on the scale 0-255 and become float32; the seeds that
these ops take like all others are not used.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_ilsvrc.errors import InputError

LEAST_CONTRAST = 1e-8  # what has less stays as it is: pylearn2
IMAGE = (-3, -2, -1)  # the axes of one image


class Mode(NamedTuple):
    """Whether blue comes first, and what is subtracted and divided by, in that order."""

    bgr: bool
    mean: list[float]
    std: list[float]


MODES = {
    "caffe": Mode(True, [103.939, 116.779, 123.68], [1.0]),
    "tf": Mode(False, [127.5], [127.5]),
    "torch": Mode(False, [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
}


def normalise(image, seed, mean: list, std: list):
    """Minus a mean, over a deviation, both by channel on the scale 0-255.

    Raises:
        InputError: If there is neither one number nor one for each channel.
    """
    for key, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, image.shape[-1]):
            raise InputError(
                f"normalise: {key} has {len(values)} numbers for images of "
                f"{image.shape[-1]} channels; give one number, or one for each channel"
            )
    return (_float(image) - tf.constant(mean, tf.float32)) / tf.constant(std, tf.float32)


def preprocess(image, seed, mode: str):
    """What keras.applications takes: `imagenet_utils.preprocess_input` of that mode.

    Raises:
        InputError: If the mode is about colours and the image has none.
    """
    bgr, mean, std = MODES[mode]
    if len(mean) > 1 and image.shape[-1] != 3:
        raise InputError(
            f"preprocess: mode {mode!r} needs images of 3 channels, not {image.shape[-1]}; "
            "use 'tf' for grey ones"
        )
    return normalise(image[..., ::-1] if bgr else image, seed, mean, std)


def standardise(image, seed, channel_mean, channel_std):
    """Minus the mean, over the deviation of the training images, by channel."""
    return (_float(image) - channel_mean) / channel_std


def subtract_channel_mean(image, seed, channel_mean):
    """Minus the mean of the training images, by channel: VGG, section 2.1."""
    return _float(image) - channel_mean


def subtract_pixel_mean(image, seed, pixel_mean):
    """Minus the mean of the training images, pixel by pixel.

    From images of another size than the mean image, as in dense and multi-scale tests, the mean
    image's mean by channel is subtracted.
    """
    image = _float(image)
    one = image.shape[-3:]
    level = pixel_mean.mean(axis=(0, 1), keepdims=True)
    if one.is_fully_defined():
        return image - (pixel_mean if one == pixel_mean.shape else level)
    same = tf.reduce_all(tf.shape(image)[-3:] == pixel_mean.shape)
    return tf.cond(same, lambda: image - pixel_mean, lambda: image - level)


def global_contrast(image, seed, scale: float):
    """Minus the image's own mean, and stretched to a length of `scale`: maxout and NIN.

    The length is the root of the sum of squares over all values of the image; images without
    contrast are not stretched. pylearn2, which both nets used, has 55 for CIFAR-10.
    """
    image = _float(image)
    image -= tf.reduce_mean(image, IMAGE, keepdims=True)
    length = tf.sqrt(tf.reduce_sum(image**2, IMAGE, keepdims=True)) / scale
    return image / tf.where(length < LEAST_CONTRAST, 1.0, length)


def zca(image, seed, epsilon: float, zca_mean, zca_matrix, zca_epsilon):
    """Whitened as maxout's and NIN's images: the values of all pixels without correlation.

    Args:
        image: Of the size of the training images, at most 64x64x3.
        seed: Not used.
        epsilon: Added to the variances; 0.1 in pylearn2. It is part of the matrix.
        zca_mean: (values,), of the training images.
        zca_matrix: (values, values), as `statistics` measures it.
        zca_epsilon: With which it was measured.

    Raises:
        InputError: If the image is of another size, or epsilon not the matrix's.
    """
    shape = image.shape[-3:]
    if shape.num_elements() != len(zca_mean):
        size = "x".join(str(side or "?") for side in shape)
        raise InputError(
            f"zca was measured on {len(zca_mean)} values, but stands behind images of {size}; "
            "put it where it stands in train_ops"
        )
    if np.float32(epsilon) != zca_epsilon:
        raise InputError(
            f"zca: epsilon is {epsilon}, but {zca_epsilon} where it was measured; make them equal"
        )
    values = tf.reshape(_float(image), (-1, len(zca_mean)))
    return tf.reshape(tf.matmul(values - zca_mean, zca_matrix), tf.shape(image))


def _float(image):
    return tf.cast(image, tf.float32)
