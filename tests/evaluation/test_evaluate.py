"""Tests of protocols on a split: compared with slow loops over scales, images and views."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from PIL import Image

from keras_ilsvrc import InputError, build
from keras_ilsvrc.data.apply import NO_SEED, apply_ops
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Files
from keras_ilsvrc.evaluation.evaluate import evaluate
from keras_ilsvrc.evaluation.views import centre, grid_crop, square_crop, ten_crop, whole
from keras_ilsvrc.training.forward import Forward

CENTRE = {"op": "normalise", "mean": [128.0] * 3, "std": [64.0] * 3}
ROWS = [{"op": "resize_shorter", "size": 24}, {"op": "centre_crop", "size": 16}, CENTRE]
# The views and scales of each pass, where S is 24 and the net takes 16x16.
SLOW = {
    "single_view": [(centre, [24])],
    "ten_crop": [(ten_crop, [24])],
    "dense": [(whole, [24])],
    "multi_scale": [(whole, [21, 24, 36, 45, 60])],
    "dense_multi_scale": [(whole, [22, 24, 26])],
    "multi_crop_150": [(grid_crop, [22, 24, 26])],
    "crops_144": [(square_crop, [24, 27, 30, 33])],
    "dense_and_crops": [(whole, [22, 24, 26]), (grid_crop, [22, 24, 26])],
}


@pytest.fixture(scope="module")
def net():
    """A net for 16x16 images, and the same layers for images of any size."""
    head = [
        layers.Conv2D(8, 3, 2, activation="relu"),
        layers.Conv2D(8, 3, activation="tanh"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(7, kernel_initializer=keras.initializers.RandomNormal(stddev=3)),
        layers.Softmax(),
    ]
    models = []
    for side in (16, None):
        image = x = keras.Input((side, side, 3))
        for layer in head:
            x = layer(x)
        models.append(keras.Model(image, x))
    return models


@pytest.fixture(scope="module")
def pixels():
    """Five images, which are smooth, and whose probabilities differ by view and by scale."""
    coarse = np.random.default_rng(0).integers(0, 256, (5, 6, 8, 3)).astype("uint8")
    return np.stack([np.asarray(Image.fromarray(x).resize((37, 28))) for x in coarse])


@pytest.fixture(scope="module")
def split(pixels):
    return Split(np.arange(5, dtype="int32"), pixels)


@pytest.fixture(scope="module")
def expected_of(net, split):
    """What a protocol finds, by the slow loops."""
    return functools.cache(lambda protocol: slow(net[1], split.pixels, SLOW[protocol]))


@pytest.fixture
def files(pixels, tmp_path):
    """The same images, each cropped to a size of its own, as PNG files."""
    paths = []
    for number, image in enumerate(pixels):
        paths.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(image[number:, : 37 - 2 * number]).save(paths[-1])
    return Split(np.arange(5, dtype="int32"), store=Files(np.array(paths)))


def slow(net, images, table):
    """Image by image and scale by scale, in float64; by a row of `SLOW`."""
    found = []
    for image in images:
        passes = []
        for function, scales in table:
            each = []
            for side in scales:
                resized = through(image, {"op": "resize_shorter", "size": side})
                views = [cut(resized, view, function) for view in function(*resized.shape[:2], 16)]
                each.append(np.mean(net(np.concatenate(views)), axis=0, dtype="float64"))
            passes.append(np.mean(each, axis=0))
        found.append(np.mean(passes, axis=0))
    return np.array(found)


def through(image, row):
    return apply_ops(tf.constant(image), [row], NO_SEED, {}).numpy()


def cut(image, view, function):
    image = image[view.top : view.top + view.height, view.left : view.left + view.width]
    if function is not whole and len(image) != 16:
        image = through(image, {"op": "resize", "size": 16})
    image = image[:, ::-1] if view.flip else image
    return (image[None].astype("float32") - 128) / 64


def in_turns(workers, replicas):
    """A forward pass on so many workers with so many replicas each, one after another."""

    def forward(model, batches, check):
        contexts = [
            tf.distribute.InputContext(workers, number, workers * replicas)
            for number in range(workers)
        ]
        feeds = [list(batches(context)) for context in contexts]
        assert len({len(feed) for feed in feeds}) == 1
        found = []
        for step in range(0, len(feeds[0]), replicas):
            for feed in feeds:
                found += [model(images, training=False) for images in feed[step : step + replicas]]
            check()
        return np.concatenate(found)

    return forward


on_one = Forward(tf.distribute.get_strategy())


@pytest.mark.parametrize("protocol", SLOW)
def test_a_protocol_is_the_mean_over_its_views_scales_and_passes(protocol, net, split):
    expected = slow(net[1], split.pixels[:2], SLOW[protocol])
    assert np.ptp(expected, axis=0).max() > 0.02
    found = evaluate(net[0], split[:2], ROWS, {}, protocol, 100, on_one)
    assert found.shape == (2, 7)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("protocol", ["single_view", "ten_crop", "dense"])
def test_images_of_different_sizes_are_tested_as_those_of_one(protocol, net, files):
    images = [files.image(index).numpy() for index in range(5)]
    found = evaluate(net[0], files, ROWS, {}, protocol, 100, on_one)
    np.testing.assert_allclose(found, slow(net[1], images, SLOW[protocol]), rtol=0, atol=2e-6)


@pytest.mark.parametrize("protocol", ["ten_crop", "dense"])
@pytest.mark.parametrize(("workers", "replicas"), [(1, 3), (2, 1), (2, 2)])
@pytest.mark.parametrize("batch_size", [1, 20])
def test_every_image_counts_once_for_any_batch_and_any_replicas(
    protocol, workers, replicas, batch_size, net, split, expected_of
):
    forward = in_turns(workers, replicas)
    found = evaluate(net[0], split, ROWS, {}, protocol, batch_size, forward)
    np.testing.assert_allclose(found, expected_of(protocol), rtol=0, atol=2e-6)


@pytest.mark.parametrize("replicas", [1, 2])
def test_images_of_different_sizes_come_one_by_one_to_each_replica(replicas, net, files):
    images = [files.image(index).numpy() for index in range(5)]
    found = evaluate(net[0], files, ROWS, {}, "dense", 64, in_turns(2, replicas))
    np.testing.assert_allclose(found, slow(net[1], images, SLOW["dense"]), rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("protocol", "table"),
    [
        ("single_view", [(centre, [30])]),
        ("ten_crop", [(ten_crop, [30])]),
        ("dense_multi_scale", [(whole, [20, 30, 40])]),
    ],
)
def test_scales_that_are_given_take_the_place_of_the_protocols_own(protocol, table, net, split):
    expected = slow(net[1], split.pixels, table)
    found = evaluate(net[0], split, ROWS, {}, protocol, 100, on_one, table[0][1])
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


def test_of_several_outputs_the_predictions_are_averaged(net, split):
    both = keras.Model(net[0].input, {"predictions": net[0].output, "aux": -net[0].output})
    for protocol in ("ten_crop", "dense"):
        found = evaluate(both, split, ROWS, {}, protocol, 100, on_one)
        expected = evaluate(net[0], split, ROWS, {}, protocol, 100, on_one)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_ten_crops_of_constant_images_are_one_crop(net):
    levels = np.arange(40, 240, 50, dtype="uint8").reshape(4, 1, 1, 1)
    split = Split(np.arange(4, dtype="int32"), np.broadcast_to(levels, (4, 30, 25, 3)).copy())
    found = evaluate(net[0], split, ROWS, {}, "ten_crop", 100, on_one)
    one = evaluate(net[0], split, ROWS, {}, "single_view", 100, on_one)
    assert np.ptp(one, axis=0).max() > 0.01
    np.testing.assert_allclose(found, one, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("protocol", "batch_size", "steps"),
    [
        ("single_view", 2, [2, 4, 5]),
        ("ten_crop", 20, [2, 4, 5]),
        ("dense_and_crops", 100, [5, 10, 15, 17, 19, 20, 22, 24, 25, 27, 29, 30]),
    ],
)
def test_progress_is_told_after_every_step(protocol, batch_size, steps, net, split):
    told = []
    evaluate(
        net[0], split, ROWS, {}, protocol, batch_size, on_one, progress=lambda *x: told.append(x)
    )
    assert told == [(done, steps[-1]) for done in steps]


@pytest.mark.parametrize("protocol", ["single_view", "ten_crop", "dense", "multi_crop_150"])
def test_no_images_are_refused(protocol, net, split):
    with pytest.raises(InputError, match="the split contains no images"):
        evaluate(net[0], split[:0], ROWS, {}, protocol, 8, on_one)


def test_an_unknown_protocol_is_refused(net, split):
    with pytest.raises(InputError, match="protocol is 'ten_crops'; did you mean 'ten_crop'"):
        evaluate(net[0], split, ROWS, {}, "ten_crops", 8, on_one)


@pytest.mark.parametrize("protocol", ["ten_crop", "dense"])
def test_a_net_for_images_of_any_size_has_no_crops(protocol, net, split):
    with pytest.raises(InputError, match=rf"takes images of anyxany, but protocol {protocol} "):
        evaluate(net[1], split, ROWS, {}, protocol, 8, on_one)


@pytest.mark.parametrize("protocol", ["ten_crop", "dense"])
def test_the_file_with_an_image_that_is_too_small_is_named(protocol, net, files, tmp_path):
    Image.new("RGB", (15, 40)).save(tmp_path / "3.png")
    with pytest.raises(InputError, match=r"3\.png: images are 40x15, but the net takes 16x16"):
        evaluate(net[0], files, [CENTRE], {}, protocol, 8, on_one)


@pytest.mark.parametrize("protocol", ["ten_crop", "dense"])
def test_the_file_that_cannot_be_decoded_is_named(protocol, net, files, tmp_path):
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:200])
    with pytest.raises(InputError, match=r"2\.png: a damaged PNG"):
        evaluate(net[0], files, ROWS, {}, protocol, 8, on_one)


def test_a_net_that_cannot_take_an_image_of_some_size_says_so():
    """The stride-2 modules of BN-Inception take maps of even sizes only."""
    model = build("bn_inception", input_shape=(32, 32, 3), classes=3)
    split = Split(np.zeros(1, "int32"), np.zeros((1, 49, 49, 3), "uint8"))
    with pytest.raises(InputError, match="bn_inception does not accept whole images of this size"):
        evaluate(model, split, [CENTRE], {}, "dense", 2, on_one)
