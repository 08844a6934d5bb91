"""Preprocessing ops, which are functions of an image and a seed, and tables of all ops.

An image is a (height, width, channels) tensor on the scale 0-255. Geometry ops keep uint8: they
round interpolated values to whole numbers, since the authors of the papers stored preprocessed
images in 8-bit files. Arithmetic ops return float32. A seed is an int32 tensor of two numbers. Ops
without randomness ignore it.
"""

import tensorflow as tf

from keras_ilsvrc.data import normalise as arithmetic
from keras_ilsvrc.data import windows
from keras_ilsvrc.data.colour import colour_jitter, pca_noise
from keras_ilsvrc.data.types import Image, Range, Seed, Side
from keras_ilsvrc.data.windows import Place, size_of

INTERPOLATIONS = ("bilinear", "bicubic", "area", "nearest")


def resize(image: Image, seed: Seed, size: int, antialias: bool = True) -> Image:
    """Resize to size x size with bilinear interpolation, without keeping the aspect ratio.

    With antialiasing, the result is the same as with Pillow and torchvision. Without antialiasing,
    it is the same as with OpenCV, which Caffe's tools use.
    """
    return _resized(image, (size, size), antialias)


def resize_shorter(image: Image, seed: Seed, size: int, antialias: bool = True) -> Image:
    """Resize the shorter side to `size`, and keep the aspect ratio.

    The length of the longer side is rounded down. `antialias` works as in `resize`.
    """
    return _resized(image, windows.shorter(*size_of(image), seed, size), antialias)


def scale_jitter(image: Image, seed: Seed, least: int, most: int, antialias: bool = True) -> Image:
    """Resize the shorter side to a random size from `least` to `most`, and keep the aspect ratio.

    This is the scale augmentation of Simonyan and Zisserman 2014, section 3.1, and of He et al.
    2015, section 3.4.
    """
    return _resized(image, windows.shorter_between(*size_of(image), seed, least, most), antialias)


def pad(image: Image, seed: Seed, size: int) -> Image:
    """Pad with `size` rows or columns of zeros on each of the four sides."""
    return tf.pad(image, [[size, size], [size, size], [0, 0]])


def random_crop(image: Image, seed: Seed, size: int) -> Image:
    """Cut a size x size window at a random position.

    A window of 224x224 has 33x33 positions in an image of 256x256, as in AlexNet's code.
    """
    return _cut(image, *windows.anywhere(*size_of(image), seed, size), size, size)


def centre_crop(image: Image, seed: Seed, size: int) -> Image:
    """Cut a size x size window from the middle of the image."""
    return _cut(image, *windows.middle(*size_of(image), seed, size), size, size)


def corner_crop(image: Image, seed: Seed, size: int) -> Image:
    """Cut a size x size window at a random position: one of the four corners, or the middle.

    With `flip`, there are ten possible crops, as in Zeiler and Fergus 2013, section 3.
    """
    return _cut(image, *windows.corner_or_middle(*size_of(image), seed, size), size, size)


def area_crop(
    image: Image, seed: Seed, size: int, area: Range, aspect: Range, interpolation: str
) -> Image:
    """Cut a window of random area and aspect ratio, and resize it (Szegedy et al. 2014, section 6).

    The window is drawn by `windows.share`. It is resized without antialiasing, as in
    fb.resnet.torch and in the input pipeline of TensorFlow's Inception.

    Args:
        image: Image of any size.
        seed: Seed of the window, and of a random interpolation.
        size: Height and width of the result.
        area: Minimum and maximum area of the window, as a share of the image's area, at most 1.
        aspect: Minimum and maximum ratio of width to height.
        interpolation: "bilinear", "bicubic", or "random" to draw one of `INTERPOLATIONS` for each
            image. Of these, "area" averages the pixels that each new pixel covers, and "nearest"
            takes the nearest pixel.

    Raises:
        InputError: If `area` or `aspect` is not in ascending order, or if a share is above 1.
    """
    window = windows.share(*size_of(image), seed, area, aspect)
    return interpolated(_cut(image, *window), seed, size, interpolation)


def flip(image: Image, seed: Seed) -> Image:
    """Mirror the image left to right with probability 1/2."""
    return tf.cond(is_mirrored(seed), lambda: tf.reverse(image, [1]), lambda: image)


def is_mirrored(seed: Seed) -> tf.Tensor:
    """Draw whether `flip` mirrors an image, as in `tf.image.stateless_random_flip_left_right`."""
    return tf.random.stateless_uniform((), seed) < 0.5


def interpolated(window: Image, seed: Seed, size: int, interpolation: str) -> Image:
    """Resize a window to size x size. Interpolation "random" picks one of `INTERPOLATIONS`."""
    values = tf.cast(window, tf.float32)  # float32 is resized faster than uint8, to the same values

    def by(method: str) -> Image:
        made = tf.image.resize(values, (size, size), method)
        if window.dtype == tf.uint8 and method == "bicubic":
            made = tf.clip_by_value(made, 0, 255)
        return like(window, made)

    if interpolation != "random":
        return by(interpolation)
    own = tf.random.experimental.stateless_fold_in(seed, len(INTERPOLATIONS))
    which = tf.random.stateless_uniform((), own, 0, len(INTERPOLATIONS), tf.int32)
    return tf.switch_case(which, [lambda name=name: by(name) for name in INTERPOLATIONS])


def resampled(image: Image, size: Place, scale: tf.Tensor, translation: tf.Tensor) -> Image:
    """Scale and translate an image: a point at x moves to scale * x + translation.

    The filter is bilinear, with antialiasing. Coordinates count from the corner of the image, so
    that pixel i has its centre at i + 0.5.

    TensorFlow's op is slow for 3 channels. So each row of the image is treated as one pixel with
    many channels, and the op resamples only along the columns. Then the same is done with the
    transposed image. The results are the same.
    """
    height, width = size_of(image)
    channels = image.shape[-1]
    columns = _along(
        tf.reshape(image, (height, width * channels)), size[0], scale[0], translation[0]
    )
    turned = tf.reshape(tf.transpose(columns), (width, channels * size[0]))
    rows = like(image, _along(turned, size[1], scale[1], translation[1]))
    made = tf.transpose(tf.reshape(rows, (size[1] * channels, size[0])))
    return tf.reshape(made, (*size, channels))


def _along(values: tf.Tensor, size: Side, scale: tf.Tensor, translation: tf.Tensor) -> tf.Tensor:
    """Resample a matrix along its first axis."""
    made = tf.raw_ops.ScaleAndTranslate(
        images=values[None, None],
        size=tf.stack([1, size]),
        scale=tf.stack([1.0, scale]),
        translation=tf.stack([0.0, translation]),
        kernel_type="triangle",
        antialias=True,
    )
    return made[0, 0]


def _resized(image: Image, size: Place, antialias: bool) -> Image:
    """Resize an image, or return it unchanged if it already has the size."""

    def made() -> Image:
        if not antialias:
            return like(image, tf.image.resize(tf.cast(image, tf.float32), tf.stack(size)))
        scale = tf.cast(tf.stack(size), tf.float32) / tf.cast(tf.stack(size_of(image)), tf.float32)
        return resampled(image, size, scale, tf.zeros(2))

    def unchanged() -> Image:
        return image if image.dtype == tf.uint8 else tf.cast(image, tf.float32)

    own, channels = size_of(image), image.shape[-1]
    if all(isinstance(side, int) for side in (*own, *size)):
        return unchanged() if own == tuple(size) else made()
    chosen = tf.cond(tf.reduce_all(tf.equal(own, size)), unchanged, made)
    chosen.set_shape([*(side if isinstance(side, int) else None for side in size), channels])
    return chosen


def like(image: Image, made: Image) -> Image:
    """Return `made` (values 0-255), rounded to uint8 if `image` is uint8, otherwise unchanged."""
    return tf.cast(made + 0.5, tf.uint8) if image.dtype == tf.uint8 else made


def _cut(image: Image, top: Side, left: Side, height: Side, width: Side) -> Image:
    return tf.slice(image, [top, left, 0], [height, width, image.shape[-1]])


_CROPS = (random_crop, centre_crop, corner_crop, area_crop)
_GEOMETRY = (resize, resize_shorter, scale_jitter, pad, *_CROPS, flip)
_COLOUR = (pca_noise, colour_jitter)
# Ops that accept one image or a batch of images.
_ARITHMETIC = (
    arithmetic.normalise,
    arithmetic.preprocess,
    arithmetic.standardise,
    arithmetic.subtract_channel_mean,
    arithmetic.subtract_pixel_mean,
    arithmetic.global_contrast,
    arithmetic.zca,
)
OPS = {op.__name__: op for op in (*_GEOMETRY, *_COLOUR, *_ARITHMETIC)}
GEOMETRY = {op.__name__ for op in _GEOMETRY}
ARITHMETIC = {op.__name__ for op in _ARITHMETIC}
_RANDOM = (scale_jitter, random_crop, corner_crop, area_crop, flip, *_COLOUR)
RANDOM = {op.__name__ for op in _RANDOM}
# {op: its arguments that are measured on the training images, not given by the user}.
STATISTICS = {
    "pca_noise": ("pca_values", "pca_vectors"),  # measured only if components="measured"
    "standardise": ("channel_mean", "channel_std"),
    "subtract_channel_mean": ("channel_mean",),
    "subtract_pixel_mean": ("pixel_mean",),
    "zca": ("zca_mean", "zca_matrix", "zca_epsilon"),
}
