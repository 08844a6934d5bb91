"""Random changes of colour: functions of an RGB image on the scale 0-255 and a seed."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_ilsvrc.errors import InputError

# fb.resnet.torch, datasets/imagenet.lua: of ImageNet's colours on the scale 0-1.
IMAGENET_VALUES = np.array([0.2175, 0.0188, 0.0045])  # variances, though it multiplies by them
IMAGENET_VECTORS = np.array(
    [  # a row a colour, a column a component
        [-0.5675, 0.7192, 0.4009],
        [-0.5808, -0.0045, -0.8140],
        [-0.5836, -0.6948, 0.4203],
    ]
)
DEVIATION = 0.1  # of what each component is multiplied by: AlexNet, section 4.1
GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue


class NoiseScale(NamedTuple):
    """A component's length is its variance to this power; the sum is divided at last."""

    power: float
    divisor: float


# AlexNet's paper says eigenvalues, its code takes their roots: cuda-convnet, convdata.py.
FORMS = {"cuda-convnet": NoiseScale(0.5, 1.1), "fb.resnet.torch": NoiseScale(1.0, 1.0)}


def pca_noise(image, seed, form: str, components: str, pca_values=None, pca_vectors=None):
    """AlexNet's change of colour along the principal components, one for the whole image.

    Each component is multiplied by its length and by a normal number of deviation 0.1. Lengths
    are deviations in the form "cuda-convnet", whose code has subtracted the mean before and
    divides by 1.1 behind; in the form "fb.resnet.torch" they are variances on the scale 0-1.

    Args:
        image: RGB on the scale 0-255, with or without its mean.
        seed: Of the three numbers.
        form: Of `FORMS`.
        components: "imagenet" for those printed in fb.resnet.torch, or "measured".
        pca_values: (3,), variances of the training images on the scale 0-255.
        pca_vectors: (3, 3), a column a component.

    Raises:
        InputError: If the image is not in colour.
    """
    _check_colours("pca_noise", image)
    values, vectors = IMAGENET_VALUES, IMAGENET_VECTORS
    if components == "measured":
        values, vectors = np.asarray(pca_values) / 255**2, np.asarray(pca_vectors)
    power, divisor = FORMS[form]
    lengths = tf.constant(255 * vectors * values**power, tf.float32)
    noise = tf.linalg.matvec(lengths, DEVIATION * tf.random.stateless_normal((3,), seed))
    return _add_colour(tf.cast(image, tf.float32) / divisor, noise / divisor)


def colour_jitter(image, seed, brightness: float, contrast: float, saturation: float):
    """Howard's photometric distortions (arXiv:1312.5402) as fb.resnet.torch has them.

    Each blends the image with another one, alpha * image + (1 - alpha) * other, where alpha is
    uniform within its strength of 1, and the other is black for brightness, the mean of the
    greys for contrast, the greys for saturation. They are linear and nothing is cut off at 0 or
    255, so that any order gives the same, and none is drawn.

    Args:
        image: RGB on the scale 0-255.
        seed: Of the three alphas.
        brightness: Strength, at least 0; fb.resnet.torch has 0.4 for all three.
        contrast: Strength.
        saturation: Strength.

    Raises:
        InputError: If the image is not in colour.
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


def _add_colour(image, colour):
    """The colour added to every pixel, by rows of pixels: a sum over three is slow."""
    rows = tf.reshape(image, (tf.shape(image)[0], -1))
    made = rows + tf.tile(colour, tf.shape(image)[1:2])
    return tf.ensure_shape(tf.reshape(made, tf.shape(image)), image.shape)


def _check_colours(op, image):
    if image.shape[-1] != 3:
        raise InputError(
            f"{op} needs images of 3 channels, not {image.shape[-1]}; leave it out for grey ones"
        )
