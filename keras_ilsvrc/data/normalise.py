"""Preprocessing ops that do arithmetic on one image or on a batch of images.

Images are (..., height, width, channels) on the scale 0-255; results are float32. All ops have the
argument `seed`, but the ops of this module do not use it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.types import Image, Seed
from keras_ilsvrc.utils.errors import InputError

LEAST_CONTRAST = 1e-8  # images with less contrast are not scaled, as in pylearn2
IMAGE = (-3, -2, -1)  # axes of height, width and channels


class Mode(NamedTuple):
    """Settings of one mode of `preprocess`.

    Attributes:
        bgr: Whether RGB images are converted to BGR.
        mean: Mean to subtract, per channel.
        std: Standard deviation to divide by, per channel.
    """

    bgr: bool
    mean: list[float]
    std: list[float]


MODES = {
    "caffe": Mode(True, [103.939, 116.779, 123.68], [1.0]),
    "tf": Mode(False, [127.5], [127.5]),
    "torch": Mode(False, [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
}


def normalise(image: Image, seed: Seed, mean: Sequence[float], std: Sequence[float]) -> Image:
    """Subtract a mean and divide by a standard deviation, both per channel on the scale 0-255.

    Raises:
        InputError: If `mean` or `std` has neither one number nor one for each channel.
    """
    for key, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, image.shape[-1]):
            raise InputError(
                f"normalise: {key} has {len(values)} numbers for images of "
                f"{image.shape[-1]} channels; give one number, or one for each channel"
            )
    return (_float(image) - tf.constant(mean, tf.float32)) / tf.constant(std, tf.float32)


def preprocess(image: Image, seed: Seed, mode: str) -> Image:
    """Preprocess as `keras.applications.imagenet_utils.preprocess_input` does in the same mode.

    Raises:
        InputError: If the mode needs 3 channels and the image has another number.
    """
    bgr, mean, std = MODES[mode]
    if len(mean) > 1 and image.shape[-1] != 3:
        raise InputError(
            f"preprocess: mode {mode!r} needs images of 3 channels, not {image.shape[-1]}; "
            "use 'tf' for grey images"
        )
    return normalise(image[..., ::-1] if bgr else image, seed, mean, std)


def standardise(
    image: Image, seed: Seed, channel_mean: np.ndarray, channel_std: np.ndarray
) -> Image:
    """Standardise each channel with its mean and standard deviation over the training images."""
    return (_float(image) - channel_mean) / channel_std


def subtract_channel_mean(image: Image, seed: Seed, channel_mean: np.ndarray) -> Image:
    """Subtract each channel's mean over the training images, as in VGG."""
    return _float(image) - channel_mean


def subtract_pixel_mean(image: Image, seed: Seed, pixel_mean: np.ndarray) -> Image:
    """Subtract the mean image of the training images.

    If an image has another size than the mean image, for example in dense and multi-scale tests,
    each channel's mean over the mean image is subtracted instead.
    """
    image = _float(image)
    one = image.shape[-3:]
    level = pixel_mean.mean(axis=(0, 1), keepdims=True)
    if one.is_fully_defined():
        return image - (pixel_mean if one == pixel_mean.shape else level)
    same = tf.reduce_all(tf.shape(image)[-3:] == pixel_mean.shape)
    return tf.cond(same, lambda: image - pixel_mean, lambda: image - level)


def global_contrast(image: Image, seed: Seed, scale: float) -> Image:
    """Subtract an image's mean over all its values, and scale the image to the norm `scale`.

    The papers on maxout and Network in Network do this with pylearn2, whose scale for CIFAR-10 is
    55. The norm is the root of the sum of squares over all values of the image. Images without
    contrast are not scaled.
    """
    image = _float(image)
    image -= tf.reduce_mean(image, IMAGE, keepdims=True)
    length = tf.sqrt(tf.reduce_sum(image**2, IMAGE, keepdims=True)) / scale
    return image / tf.where(length < LEAST_CONTRAST, 1.0, length)


def zca(
    image: Image,
    seed: Seed,
    epsilon: float,
    zca_mean: np.ndarray,
    zca_matrix: np.ndarray,
    zca_epsilon: np.ndarray,
) -> Image:
    """Apply ZCA whitening, which removes correlations between the values of an image.

    The papers on maxout and Network in Network (NIN) use this whitening for CIFAR-10.

    Args:
        image: Image of the size of the training images, at most 64x64x3.
        seed: Not used.
        epsilon: Number added to the variances; 0.1 in pylearn2. The matrix already includes it.
        zca_mean: Mean (values,) of the training images.
        zca_matrix: Whitening matrix (values, values), measured by `measure_statistics`.
        zca_epsilon: Value of `epsilon` with which the matrix was measured.

    Raises:
        InputError: If the size of the image or `epsilon` is not the one used for the matrix.
    """
    shape = image.shape[-3:]
    if shape.num_elements() != len(zca_mean):
        size = "x".join(str(side or "?") for side in shape)
        raise InputError(
            f"zca was measured on images of {len(zca_mean)} values, but is applied to images of "
            f"{size}; put the same resizing and crops before it as in training"
        )
    if np.float32(epsilon) != zca_epsilon:
        raise InputError(
            f"zca: epsilon is {epsilon}, but zca was measured with {zca_epsilon}; make them equal"
        )
    values = tf.reshape(_float(image), (-1, len(zca_mean)))
    return tf.reshape(tf.matmul(values - zca_mean, zca_matrix), tf.shape(image))


def _float(image: Image) -> Image:
    return tf.cast(image, tf.float32)
