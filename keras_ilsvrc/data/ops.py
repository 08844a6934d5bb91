"""What is done to one image: plain functions of an image and a seed.

Images are float32 (height, width, channels) on the scale 0-255 until they are normalised; a
seed is an int32 tensor of two numbers, of which the deterministic ops make no use.
"""

import tensorflow as tf

from keras_ilsvrc.errors import InputError


def resize(image, seed, size: int):
    """To size x size, bilinear, with antialiasing; the shape of the picture is not kept."""
    return tf.image.resize(image, (size, size), antialias=True)


def pad(image, seed, size: int):
    """Zeros on all four sides."""
    return tf.pad(image, [[size, size], [size, size], [0, 0]])


def random_crop(image, seed, size: int):
    """A size x size window anywhere."""
    _check_crop(image, size)
    return tf.image.stateless_random_crop(image, (size, size, image.shape[-1]), seed)


def centre_crop(image, seed, size: int):
    """The size x size window in the middle."""
    _check_crop(image, size)
    top = (tf.shape(image)[0] - size) // 2
    left = (tf.shape(image)[1] - size) // 2
    return tf.image.crop_to_bounding_box(image, top, left, size, size)


def flip(image, seed):
    """Left and right exchanged, for every second image."""
    return tf.image.stateless_random_flip_left_right(image, seed)


def normalise(image, seed, mean: list, std: list):
    """Minus a mean, over a deviation, both by channel on the scale 0-255."""
    return (image - tf.constant(mean, tf.float32)) / tf.constant(std, tf.float32)


def standardise(image, seed, channel_mean, channel_std):
    """Minus the mean, over the deviation of the training images, by channel."""
    return (image - channel_mean) / channel_std


def subtract_pixel_mean(image, seed, pixel_mean):
    """Minus the mean of the training images, pixel by pixel."""
    return image - pixel_mean


def _check_crop(image, size):
    height, width = image.shape[:2]
    if min(height or size, width or size) < size:
        raise InputError(f"a crop of {size}x{size} does not fit into images of {height}x{width}")


OPS = {
    op.__name__: op
    for op in (
        resize,
        pad,
        random_crop,
        centre_crop,
        flip,
        normalise,
        standardise,
        subtract_pixel_mean,
    )
}
RANDOM = {"random_crop", "flip"}
# What an op takes from the training images rather than from the recipe.
STATISTICS = {
    "standardise": ("channel_mean", "channel_std"),
    "subtract_pixel_mean": ("pixel_mean",),
}
