"""A folder of small photographs, and a training that is stopped in the middle."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path):
    """A folder of small JPEGs of two classes."""
    random = np.random.default_rng(0)
    for part, count in (("train", 12), ("validation", 3), ("test", 3)):
        for label in ("dark", "light"):
            folder = tmp_path / "photos" / part / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 128, (32, 32, 3)) + 127 * (label == "light")
                Image.fromarray(pixels.astype("uint8")).save(folder / f"{number}.jpg")
    return tmp_path / "photos"


@pytest.fixture
def stopped(monkeypatch):
    """Trains a recipe in a directory until the end of its first epoch."""
    from small import run

    from keras_ilsvrc.training.records import History
    from keras_ilsvrc.training.stopping import Stopped

    def stop(self, epoch, logs=None):
        raise Stopped("stopped")

    def train(recipe, path):
        with monkeypatch.context() as patch:
            patch.setattr(History, "on_epoch_end", stop)
            with pytest.raises(Stopped):
                run(recipe, path)

    return train
