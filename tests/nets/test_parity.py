"""The nets against operations one by one, and against data that they must be able to learn."""

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


def digits(size, channels):
    """16 handwritten digits of scikit-learn, 8x8, enlarged; their mean is zero."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = images[:16].reshape(16, 8, 8, 1).astype("float32") / 16
    images = ops.convert_to_numpy(ops.image.resize(images, (size, size)))
    return np.repeat(images - images.mean(), channels, -1), labels[:16]


# Steps in which every seed tried gets there, with some to spare. The graph of a residual net
# takes longer to trace than so few steps take without one.
@pytest.mark.parametrize(
    ("name", "size", "channels", "rate", "steps", "eagerly"),
    [
        ("alexnet", 64, 3, 1e-4, 20, False),
        ("vgg11", 32, 3, 1e-4, 18, False),
        ("googlenet", 32, 1, 3e-4, 40, False),
        ("plain20_cifar", 8, 1, 1e-2, 25, True),
        ("resnet20_cifar", 8, 1, 1e-2, 12, True),
        ("resnet50", 32, 3, 3e-4, 11, True),
    ],
)
def test_memorises_sixteen_digits(name, size, channels, rate, steps, eagerly):
    images, labels = digits(size, channels)
    model = build(name, input_shape=(size, size, channels), classes=10)
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    model.compile(
        keras.optimizers.Adam(rate),
        "sparse_categorical_crossentropy",
        jit_compile=False,
        run_eagerly=eagerly,
    )
    losses = [model.train_on_batch(images, labels) for _ in range(steps)]
    assert losses[0] > 1  # chance is ln 10 = 2.3
    assert losses[-1] < 0.1  # of the last batch, in training mode


def test_every_kernel_of_the_deepest_plain_net_learns():
    import tensorflow as tf

    images, labels = digits(8, 1)
    model = build("plain110_cifar", input_shape=(8, 8, 1))
    with tf.GradientTape() as tape:
        loss = keras.losses.sparse_categorical_crossentropy(labels, model(images, training=True))
    assert np.isfinite(loss).all()
    kernels = [weight for weight in model.trainable_weights if weight.name == "kernel"]
    assert len(kernels) == 110
    for gradient in tape.gradient(loss, [kernel.value for kernel in kernels]):
        assert np.isfinite(gradient).all()
        assert np.any(gradient)
