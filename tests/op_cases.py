"""Arguments of every op, for the tests of ops on the host and on the device."""

import numpy as np
from sklearn.datasets import load_digits

from keras_ilsvrc.recipe.ops import OP_KEYS

DIGITS = np.round(load_digits().images * 15.9375).astype("uint8")[..., None]
THREE = np.concatenate([DIGITS[0], DIGITS[1], DIGITS[2]], axis=-1)  # 8x8x3 of real pixels
MEAN, STD = [10.0, 20.0, 30.0], [2.0, 4.0, 8.0]
AREA = {"size": 5, "area": [0.08, 1.0], "aspect": [0.75, 1.3333]}

ARGUMENTS = {
    "resize": {"size": 5},
    "resize_shorter": {"size": 6},
    "scale_jitter": {"least": 5, "most": 9},
    "pad": {"size": 2},
    "random_crop": {"size": 6},
    "centre_crop": {"size": 5},
    "corner_crop": {"size": 6},
    "area_crop": AREA | {"interpolation": "random"},
    "flip": {},
    "pca_noise": {
        "form": "cuda-convnet",
        "components": "measured",
        "pca_values": np.float32([3000, 300, 30]),
        "pca_vectors": np.eye(3, dtype="float32"),
    },
    "colour_jitter": {"brightness": 0.4, "contrast": 0.3, "saturation": 0.2},
    "normalise": {"mean": MEAN, "std": STD},
    "preprocess": {"mode": "caffe"},
    "standardise": {"channel_mean": np.float32(MEAN), "channel_std": np.float32(STD)},
    "subtract_channel_mean": {"channel_mean": np.float32(MEAN)},
    "subtract_pixel_mean": {"pixel_mean": np.float32(THREE) / 2},
    "global_contrast": {"scale": 55.0},
    "zca": {
        "epsilon": 0.5,
        "zca_mean": np.float32(THREE.reshape(-1) / 3),
        "zca_matrix": np.random.default_rng(0).normal(size=(192, 192)).astype("float32"),
        "zca_epsilon": np.float32(0.5),
    },
}


def rows_of(text):
    return [{"op": name, **arguments(name)} for name in text.split()]


def arguments(name):
    return {key: ARGUMENTS[name][key] for key in OP_KEYS[name] if key in ARGUMENTS[name]}
