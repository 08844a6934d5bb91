"""Test that every net gives the same on another backend of Keras as on TensorFlow.

`tox -e jax` runs it. As a script, this file writes the results of TensorFlow.
"""

import os
import subprocess
import sys

import numpy as np
import pytest

from keras_ilsvrc import available, info

pytestmark = pytest.mark.backends

DEPTHS = {"resnet_cifar": 14, "resnet_v2_cifar": 20}
AUXILIARY = {"googlenet": 96, "googlenet_bn": 96, "inception_v3": 299, "cnds8": 67}
NETS = [(name, False) for name in available()] + [(name, True) for name in AUXILIARY]


def logits(name, auxiliary):
    """The logits of a net on two random images, with weights that are the same everywhere."""
    from keras import ops

    from keras_ilsvrc import build

    arguments = {"depth": DEPTHS[name]} if name in DEPTHS else {}
    arguments |= {"auxiliary": True} if auxiliary else {}
    row = info(name, **arguments)
    size = AUXILIARY[name] if auxiliary else row.minimum + 1
    shape = (size, size, row.input_shape[2])
    model = build(name, input_shape=shape, classifier_activation=None, **arguments)
    random = np.random.default_rng(0)
    # A unit must not double what runs through a thousand of them.
    gain = 0.2 if row.arguments.get("depth", 0) > 200 else 2.0
    for weight in model.weights:
        spread = np.sqrt(gain / np.prod(weight.shape[:-1])) if weight.name == "kernel" else 0.1
        value = random.normal(size=weight.shape) * spread
        if weight.name in ("gamma", "moving_variance", "coefficient"):
            value = 1 + abs(value)
        if weight.trainable or weight.name.startswith("moving"):  # not codes and seeds
            weight.assign(value.astype("float32"))
    result = model(random.normal(size=(2, *shape)).astype("float32"))
    outputs = result if isinstance(result, dict) else {"predictions": result}
    return {f"{name}/{auxiliary}/{key}": ops.convert_to_numpy(x) for key, x in outputs.items()}


@pytest.fixture(scope="module")
def on_tensorflow(tmp_path_factory):
    path = tmp_path_factory.mktemp("tensorflow") / "logits.npz"
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run([sys.executable, __file__, path], env=environment, check=True)
    with np.load(path) as expected:
        return dict(expected)


@pytest.mark.parametrize(("name", "auxiliary"), NETS)
def test_agrees_with_tensorflow(name, auxiliary, on_tensorflow):
    import keras

    assert keras.backend.backend() != "tensorflow"
    for key, found in logits(name, auxiliary).items():
        expected = on_tensorflow[key]
        assert np.isfinite(expected).all()
        assert expected.std() > 0
        assert abs(found - expected).max() < 1e-4 * abs(expected).max()


if __name__ == "__main__":
    everything = {}
    for net in NETS:
        everything |= logits(*net)
    np.savez(sys.argv[1], **everything)
