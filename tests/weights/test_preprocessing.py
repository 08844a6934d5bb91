"""Tests of the preprocessing of published weights: for images, in a model, and after copying."""

import dataclasses

import keras
import numpy as np
import pytest
from PIL import Image

from keras_ilsvrc import InputError, build, decode_predictions, info, load_model, preprocess
from keras_ilsvrc.data.imagenet_names import imagenet_names
from keras_ilsvrc.data.images import preprocess_images
from keras_ilsvrc.weights.preprocessing import remember, source_of, with_preprocessing
from keras_ilsvrc.weights.sources.facts import facts, in_words
from keras_ilsvrc.weights.sources.source import Source

pytestmark = pytest.mark.tensorflow
ROWS = (
    {"op": "resize_shorter", "size": 40},
    {"op": "centre_crop", "size": 32},
    {"op": "normalise", "mean": [100.0, 110.0, 120.0], "std": [50.0]},
)
SOURCE = Source("torchvision", "nin_cifar10", "torchvision", "nin.pth", ROWS, 1)
RAW = np.random.default_rng(0).integers(0, 256, (2, 50, 60, 3), "uint8")


def built(**arguments):
    model = build("nin_cifar10", **arguments)
    remember(model, SOURCE)
    return model


@pytest.fixture(scope="module")
def model():
    return built()


def message(call, *arguments, **keywords):
    with pytest.raises(InputError) as caught:
        call(*arguments, **keywords)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_images_are_preprocessed_as_the_source_says(model, tmp_path):
    made = preprocess(RAW, model)
    assert (made.shape, made.dtype) == ((2, 32, 32, 3), np.float32)
    np.testing.assert_array_equal(made, preprocess_images(RAW, ROWS, {}, (32, 32, 3)))
    Image.fromarray(RAW[1]).save(tmp_path / "b.png")
    np.testing.assert_array_equal(preprocess([RAW[0], tmp_path / "b.png"], model), made)
    np.testing.assert_array_equal(preprocess(RAW[1], model), made[1:])


def test_sizes_follow_the_input_of_the_model():
    larger = built(input_shape=(48, 48, 3))
    rows = [{**ROWS[0], "size": 60}, {**ROWS[1], "size": 48}, ROWS[2]]
    expected = preprocess_images(RAW, rows, {}, (48, 48, 3))
    np.testing.assert_array_equal(preprocess(RAW, larger), expected)
    features = built(input_shape=(None, None, 3), include_top=False)
    assert preprocess(RAW, features).shape == (2, 32, 32, 3)
    assert "expected 48x32 pixels" in message(preprocess, RAW, built(input_shape=(48, 32, 3)))


def test_a_model_preprocesses_raw_images_and_is_saved_with_that(model, tmp_path):
    whole = with_preprocessing(model)
    expected = model.predict(preprocess(RAW, model), verbose=0)
    np.testing.assert_allclose(whole.predict(RAW, verbose=0), expected, rtol=1e-5)
    assert (whole.inputs[0].dtype, source_of(whole)) == ("uint8", SOURCE)
    assert "raw uint8 images" in message(preprocess, RAW, whole)
    whole.save(tmp_path / "whole.keras")
    loaded = load_model(tmp_path / "whole.keras")
    np.testing.assert_allclose(loaded.predict(RAW, verbose=0), expected, rtol=1e-5)


def test_the_record_changes_neither_saving_nor_weights(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    for one, other in zip(loaded.weights, model.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert source_of(loaded) is None
    assert source_of(keras.models.clone_model(model)) is None


def test_a_model_without_published_weights_has_no_preprocessing():
    bare = build("nin_cifar10")
    assert "the preprocessing is not known" in message(preprocess, RAW, bare)
    assert "preprocessing=True needs weights" in message(build, "nin_cifar10", preprocessing=True)
    assert "expected True or False" in message(build, "nin_cifar10", preprocessing="yes")


def test_statistics_that_are_not_published_are_one_line():
    whitened = build("nin_cifar10")
    remember(whitened, info("nin_cifar10").sources["caffe"])
    for call in (lambda: preprocess(RAW, whitened), lambda: with_preprocessing(whitened)):
        assert "caffe weights need the op zca with statistics of the training" in message(call)


def test_predictions_are_named():
    probabilities = np.zeros((2, 1000), "float32")
    probabilities[0, [0, 999]] = 0.25, 0.75
    probabilities[1, 1] = 1
    first, second = decode_predictions(probabilities, top=2)
    names = list(imagenet_names().items())
    assert first == [(*names[999], 0.75), (*names[0], 0.25)]
    assert second[0] == ("n01443537", "goldfish", 1.0)
    assert [len(x) for x in decode_predictions(probabilities)] == [5, 5]


@pytest.mark.parametrize("shape", [(1000,), (2, 10), (1, 1001), (0, 0, 1000)])
def test_other_classes_have_no_names(shape):
    assert f"probabilities has shape {shape}" in message(decode_predictions, np.zeros(shape))


@pytest.mark.parametrize("top", [0, 1001, 1.5, True])
def test_a_number_of_names_that_cannot_be_is_refused(top):
    assert f"top is {top!r}" in message(decode_predictions, np.zeros((1, 1000)), top)


def test_what_is_known_about_weights_is_said_in_words():
    assert in_words(ROWS) == (
        "resize_shorter size 40, centre_crop size 32, normalise mean 100.0/110.0/120.0 std 50.0"
    )
    said = facts(dataclasses.replace(SOURCE, top5_accuracy=90.5, protocol="centre crop"))
    assert said["accuracy"] == "top-5 90.5 % (centre crop)"
    assert facts(dataclasses.replace(SOURCE, protocol="centre crop"))["accuracy"] == ""
    assert said["download"].startswith("by hand")
    pinned = dataclasses.replace(SOURCE, sha256="0" * 64, url="https://weights.test/nin.pth")
    assert facts(pinned)["download"] == "by name"


def test_all_sources_have_facts():
    for net in ("vgg16", "resnet50", "alexnet", "nin_cifar10"):
        for source in info(net).sources.values():
            said = facts(source)
            assert said["file"]
            assert said["preprocessing"]
