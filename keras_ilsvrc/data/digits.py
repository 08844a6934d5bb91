"""The data source `digits`: the handwritten digits that come with scikit-learn."""

import numpy as np

from keras_ilsvrc.data.source import Source, stratified
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Numbered


def digits() -> Source:
    """Return scikit-learn's handwritten digits as a source: 1,797 grey 8x8 images in ten classes.

    The splits are stratified, with seed 0: 1,077 train, 360 validation and 360 test images.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    pixels = np.round(data.images * (255 / 16)).astype("uint8")[..., None]
    labels = data.target.astype("int32")
    names = Numbered("digits")
    splits = {
        name: Split(labels[rows], pixels[rows], names, channels=1, rows=rows)
        for name, rows in stratified(labels, {"validation": 360, "test": 360}, "digits").items()
    }
    return Source("digits", splits, tuple(map(str, range(10))))
