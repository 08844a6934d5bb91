"""The data source `digits`: the handwritten digits that come with scikit-learn."""

import numpy as np

from keras_ilsvrc.data.source import Source
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Numbered


def digits() -> Source:
    """Return scikit-learn's handwritten digits as a source: 1,797 grey 8x8 images in ten classes.

    The splits are stratified, with seed 0: 1,077 train, 360 validation and 360 test images.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    data = load_digits()
    pixels = np.round(data.images * (255 / 16)).astype("uint8")[..., None]
    labels = data.target.astype("int32")
    names = Numbered("digits")
    rest, test = train_test_split(
        np.arange(len(labels)), test_size=360, random_state=0, stratify=labels
    )
    train, validation = train_test_split(rest, test_size=360, random_state=0, stratify=labels[rest])
    splits = {}
    for name, chosen in (("train", train), ("validation", validation), ("test", test)):
        rows = np.sort(chosen)
        splits[name] = Split(labels[rows], pixels[rows], names, channels=1, rows=rows)
    return Source("digits", splits, tuple(map(str, range(10))))
