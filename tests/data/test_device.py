"""Tests of the ops that run on the device, on batches."""

import numpy as np
import pytest
import tensorflow as tf
from op_cases import ARGUMENTS, THREE, rows_of

from keras_ilsvrc.data.apply import apply_ops
from keras_ilsvrc.data.device import apply_to_batch, device_ops, draws
from keras_ilsvrc.data.ops import STATISTICS


@pytest.mark.parametrize(
    ("host", "device"),
    [
        ("", ""),
        ("pad random_crop flip", ""),
        ("pad random_crop flip", "standardise"),
        ("area_crop flip", "preprocess"),
        ("", "subtract_pixel_mean"),
        ("resize", "global_contrast zca"),
        ("flip", "pca_noise"),
        ("flip", "pca_noise normalise"),
        ("resize centre_crop", "subtract_pixel_mean random_crop flip pca_noise"),
        ("resize", "normalise random_crop"),
        # images of different sizes make no batch
        ("normalise random_crop", ""),
        ("resize_shorter subtract_channel_mean random_crop flip", ""),
        ("resize scale_jitter standardise random_crop", ""),
        ("subtract_pixel_mean pad random_crop", ""),
        ("flip colour_jitter pca_noise normalise", ""),
    ],
)
def test_trailing_ops_go_to_the_device_where_uint8_can_cross(host, device):
    rows = rows_of(f"{host} {device}")
    found = device_ops(rows)
    assert [[row["op"] for row in part] for part in found] == [host.split(), device.split()]


@pytest.mark.parametrize("device", ["standardise", "subtract_pixel_mean", "global_contrast zca"])
def test_host_and_device_together_are_the_ops(device):
    rows = rows_of(f"pad random_crop flip {device}")
    rows[1]["size"] = 8
    statistics = {k: v for name in STATISTICS for k, v in ARGUMENTS[name].items()}
    host, rest = device_ops(rows)
    images = [
        [apply_ops(tf.constant(THREE), part, (5, n), statistics) for n in range(3)]
        for part in (host, rows)
    ]
    crossing = tf.stack(images[0])
    assert crossing.dtype == tf.uint8
    batch = apply_to_batch(crossing, rest, statistics)
    np.testing.assert_allclose(batch, tf.stack(images[1]), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    "device",
    [
        "subtract_pixel_mean random_crop flip pca_noise",
        "standardise corner_crop centre_crop flip",
        "pca_noise flip normalise random_crop",
    ],
)
def test_random_ops_on_the_device_are_those_on_the_host(device):
    rows = rows_of(f"resize {device}")
    for row in rows:
        row.update({"size": 8} if row["op"] == "resize" else {"size": 5} if "size" in row else {})
    mean = np.random.default_rng(0).uniform(0, 255, (8, 8, 3)).astype("float32")
    own = {k: v for name in STATISTICS for k, v in ARGUMENTS[name].items()}
    statistics = {**own, "pixel_mean": mean}
    host, rest = device_ops(rows)
    assert len(rest) == len(device.split())

    @tf.function
    def both(seed):
        image = apply_ops(tf.constant(THREE), host, seed, statistics)
        whole = apply_ops(tf.constant(THREE), rows, seed, statistics)
        return (image, *draws(image, rest, len(host), seed)), whole

    parts, wholes = zip(*(both(tf.constant([3, n])) for n in range(9)), strict=True)
    batch = tuple(map(tf.stack, zip(*parts, strict=True)))
    assert batch[0].dtype == tf.uint8
    made = tf.function(lambda images: apply_to_batch(images, rest, statistics))(batch)
    np.testing.assert_allclose(made, tf.stack(wholes), rtol=1e-6, atol=1e-4)
    assert len({one.numpy().tobytes() for one in wholes}) > 1


def test_a_batch_without_ops_for_the_device_becomes_float32():
    assert apply_to_batch(tf.constant(THREE[None]), [], {}).dtype == tf.float32
