"""Random colour augmentation. Each op takes an RGB image on the scale 0-255, and a seed."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.types import Image, Seed
from keras_ilsvrc.utils.errors import InputError

# Principal components of ImageNet's colours on the scale 0-1, from fb.resnet.torch (imagenet.lua).
IMAGENET_VALUES = np.array([0.2175, 0.0188, 0.0045])  # variances of the principal components
IMAGENET_VECTORS = np.array(
    [  # rows: red, green and blue; columns: components
        [-0.5675, 0.7192, 0.4009],
        [-0.5808, -0.0045, -0.8140],
        [-0.5836, -0.6948, 0.4203],
    ]
)
DEVIATION = 0.1  # standard deviation of the random factors (Krizhevsky et al. 2012, section 4.1)
# Weights of red, green and blue in the conversion to grey: ITU-R BT.601, as in fb.resnet.torch.
GREY = (0.299, 0.587, 0.114)


class NoiseScale(NamedTuple):
    """Scale of the colour noise in one variant of the op `pca_noise`.

    Attributes:
        power: Exponent. A principal component with variance v is multiplied by v ** power.
        divisor: Number by which the sum of image and noise is divided.
    """

    power: float
    divisor: float


# AlexNet's paper multiplies each principal component by its eigenvalue; AlexNet's code
# (convdata.py) multiplies it by the square root of the eigenvalue.
FORMS = {"cuda-convnet": NoiseScale(0.5, 1.1), "fb.resnet.torch": NoiseScale(1.0, 1.0)}


def pca_noise(
    image: Image,
    seed: Seed,
    form: str,
    components: str,
    pca_values: np.ndarray | None = None,
    pca_vectors: np.ndarray | None = None,
) -> Image:
    """Add AlexNet's colour noise: a random mix of principal components, the same for all pixels.

    Each component is multiplied by its length and by a normal random number with standard
    deviation 0.1. In the form "cuda-convnet", the lengths are standard deviations, and the sum
    of image and noise is divided by 1.1 (cuda-convnet subtracts the mean first). In the form
    "fb.resnet.torch", the lengths are variances on the scale 0-1.

    Args:
        image: RGB image on the scale 0-255, before or after subtraction of a mean.
        seed: Seed of the three random numbers.
        form: Key of `FORMS`.
        components: "imagenet" for the components in fb.resnet.torch's code, or "measured".
        pca_values: Variances (3,) of the training images on the scale 0-255.
        pca_vectors: Components (3, 3) of the training images, one per column.

    Raises:
        InputError: If the image does not have 3 channels.
    """
    noisy = add_noise(
        image[None], noise_draws(seed)[None], form, components, pca_values, pca_vectors
    )
    return noisy[0]


def noise_draws(seed: Seed) -> tf.Tensor:
    """Return the three random numbers of `pca_noise`, with standard deviation 0.1."""
    return DEVIATION * tf.random.stateless_normal((3,), seed)


def add_noise(
    images: tf.Tensor,
    drawn: tf.Tensor,
    form: str,
    components: str,
    pca_values: np.ndarray | None = None,
    pca_vectors: np.ndarray | None = None,
) -> tf.Tensor:
    """Apply `pca_noise` to a batch of images; `drawn` contains their random numbers, (batch, 3)."""
    _check_colours("pca_noise", images)
    values, vectors = IMAGENET_VALUES, IMAGENET_VECTORS
    if components == "measured":
        values, vectors = np.asarray(pca_values) / 255**2, np.asarray(pca_vectors)
    power, divisor = FORMS[form]
    lengths = tf.constant(255 * vectors * values**power, tf.float32)
    noise = tf.linalg.matvec(lengths, drawn) / divisor
    # Each row of pixels is flattened, because broadcasting along 3 values is slow.
    shape = tf.shape(images)
    rows = tf.reshape(tf.cast(images, tf.float32) / divisor, (shape[0], shape[1], -1))
    made = rows + tf.tile(noise, (1, shape[2]))[:, None]
    return tf.ensure_shape(tf.reshape(made, shape), images.shape)


def colour_jitter(
    image: Image, seed: Seed, brightness: float, contrast: float, saturation: float
) -> Image:
    """Change brightness, contrast and saturation at random (Howard 2013), as in fb.resnet.torch.

    Each change blends the image with another one: alpha * image + (1 - alpha) * other. Alpha is
    drawn uniformly from 1 - strength to 1 + strength (arXiv:1312.5402). The other image is black
    for brightness, the mean of the grey image for contrast, and the grey image for saturation. The
    blends are linear and not clipped to 0-255. Their order makes no difference, so no random order
    is drawn.

    Args:
        image: RGB image on the scale 0-255.
        seed: Seed of the three alphas.
        brightness: Strength of the brightness blend, at least 0. fb.resnet.torch uses 0.4 for all
            three strengths.
        contrast: Strength of the contrast blend, at least 0.
        saturation: Strength of the saturation blend, at least 0.

    Raises:
        InputError: If the image does not have 3 channels.
    """
    _check_colours("colour_jitter", image)
    strengths = tf.constant([brightness, contrast, saturation])
    light, range_, colour = tf.unstack(1 + strengths * tf.random.stateless_uniform((3,), seed, -1))
    image = tf.cast(image, tf.float32)
    greys = tf.linalg.matvec(tf.reshape(image, (-1, 3)), tf.constant(GREY))
    matrix = colour * tf.eye(3) + (1 - colour) * tf.tile(tf.constant(GREY)[:, None], (1, 3))
    blended = tf.matmul(tf.reshape(image, (-1, 3)), light * range_ * matrix)
    blended += light * (1 - range_) * tf.reduce_mean(greys)
    return tf.reshape(blended, tf.shape(image))


def _check_colours(op: str, image: Image) -> None:
    if image.shape[-1] != 3:
        raise InputError(
            f"{op} needs images of 3 channels, not {image.shape[-1]}; remove the op for grey images"
        )
