"""Tests of the features of boxes, and of their cache."""

import logging
import os
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import shapes

from keras_ilsvrc import InputError, build
from keras_ilsvrc.rcnn.cache import KEY, Cache, default_folder
from keras_ilsvrc.rcnn.features import HOG_SIDE, Hog, NetFeatures, features
from keras_ilsvrc.rcnn.network import network
from keras_ilsvrc.rcnn.proposals import Proposer
from keras_ilsvrc.rcnn.recipe import FeaturesTable
from keras_ilsvrc.rcnn.regions import Finder, Places
from keras_ilsvrc.rcnn.warp import warp

ROWS = [{"op": "normalise", "mean": [100.0, 110.0, 120.0], "std": [50.0]}]
IMAGE = shapes.picture(1)[0]
BOXES = np.array([[10.0, 10, 60, 50], [0, 0, 128, 96], [100, 60, 128, 96]])
SMALL = {"depth": 8, "input_shape": (32, 32, 3)}


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return build("resnet_cifar", **SMALL, classes=3)


def test_features_are_the_activations_of_layers_for_preprocessed_crops(model):
    layers = ["conv3_1", "conv4_1"]
    found = features(NetFeatures(model, layers, ROWS, {}), IMAGE, BOXES, 32, 4, 2)
    crops, inside = warp(IMAGE, BOXES, 32, 4)
    given = (crops.numpy() - [100, 110, 120]) / 50 * inside[..., None]
    for layer in layers:
        own = keras.Model(model.input, model.get_layer(layer).output)
        expected = own.predict(given.astype("float32"), verbose=0).reshape(3, -1)
        assert found[layer].dtype == np.float16
        assert np.allclose(found[layer], expected, rtol=2e-3, atol=2e-3)


def test_layers_inside_units_are_found_and_their_order_does_not_matter(model):
    extractor = NetFeatures(model, ["conv4_1", "conv2_1/conv_1"], ROWS, {})
    found = features(extractor, IMAGE, BOXES, 32, 4, 8)
    assert {name: x.shape[1] for name, x in found.items()} == {
        "conv4_1": 8 * 8 * 64,
        "conv2_1/conv_1": 32 * 32 * 16,
    }
    with pytest.raises(InputError, match="has no layer 'conv9'"):
        NetFeatures(model, ["conv9"], ROWS, {})


def test_the_key_of_features_changes_with_weights_layers_and_preprocessing(model):
    def key(layers, rows):
        return NetFeatures(model, layers, rows, {}).key

    first = key(["conv4_1"], ROWS)
    assert first == key(["conv4_1"], ROWS)
    assert first != key(["conv3_1"], ROWS)
    assert first != key(["conv4_1"], [])
    weight = model.weights[0]
    weight.assign(weight + 1)
    assert key(["conv4_1"], ROWS)["weights"] != first["weights"]


def test_hog_tells_stripes_of_two_directions_apart():
    stripes = np.tile((np.arange(64) // 8 % 2 * 255)[None, :, None], (64, 1, 3)).astype("float32")
    found = Hog()(np.stack([stripes, stripes.transpose(1, 0, 2)]), None)["hog"]
    assert found.shape == (2, 49 * 36)
    assert HOG_SIDE == 64
    assert np.abs(found[0] - found[1]).max() > 0.1
    assert np.linalg.norm(found[0]) > 1


def table(path, **given):
    return FeaturesTable.model_validate(
        {"net": "resnet_cifar[depth=8]", "weights": str(path), "size": 32, "context": 4}
        | {"ops": [{"op": "resize", "size": 9}, *ROWS]}
        | given
    )


@pytest.fixture(scope="module")
def weights(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.weights.h5"
    build("resnet_cifar", **SMALL, classes=10).save_weights(path)
    return path


def test_a_network_comes_without_its_classifier_unless_a_layer_is_in_it(weights, tmp_path):
    other = tmp_path / "other.weights.h5"
    build("resnet_cifar", **SMALL, classes=7).save_weights(other)
    bare = network(table(weights, layer="conv4_1"), ["conv4_1"])
    assert bare.classes is None
    assert bare.rows == ROWS  # crops are not resized again
    whole = network(table(weights, layer="logits"), ["logits"])
    assert whole.classes == 10
    assert network(table(other, layer="logits"), ["logits"]).classes == 7  # as in its file
    tuned = network(table(weights, layer="conv4_1"), ["conv4_1"], 4)
    assert tuned.classes == 4
    name = "conv2_1"
    for one in (whole, tuned):
        for own, its in zip(one.model.get_layer(name).weights, bare.model.get_layer(name).weights):
            assert np.array_equal(own, its)


def test_a_layer_that_the_network_or_its_weights_lack_is_named(weights, tmp_path):
    bare = tmp_path / "bare.weights.h5"
    build("resnet_cifar", **SMALL, include_top=False).save_weights(bare)
    with pytest.raises(InputError) as caught:
        network(table(weights, layer="conv4_11"), ["conv4_11"])
    first = "features.layer: resnet_cifar[depth=8] has no layer 'conv4_11'; did you mean 'conv4_1'"
    assert str(caught.value).startswith(first)
    with pytest.raises(InputError, match=r"^regression.layer: .* has no layer 'conv9'"):
        network(table(weights, layer="conv4_1"), ["conv4_1", "conv9"])
    expected = rf"^features.weights: {bare} has no logits; choose \w+, or weights with a"
    with pytest.raises(InputError, match=expected):
        network(table(bare, layer="logits"), ["logits"])


def test_ops_of_which_none_changes_values_are_refused(weights):
    given = table(weights, layer="conv4_1", ops=[{"op": "flip"}])
    with pytest.raises(InputError, match=r"features.ops: none of the ops changes the values"):
        network(given, ["conv4_1"])


def test_a_run_of_another_network_is_refused(model, tmp_path, monkeypatch):
    run = SimpleNamespace(model=model, rows=ROWS, statistics={}, classes=("a", "b", "c"))
    monkeypatch.setattr("keras_ilsvrc.rcnn.network.load_run", lambda path: run)
    given = table(tmp_path, net="vgg16", layer="pool5")
    with pytest.raises(InputError, match=r"is a run of resnet_cifar.*; expected a run of vgg16"):
        network(given, ["pool5"])


def test_weights_without_known_preprocessing_need_ops(weights):
    with pytest.raises(InputError, match=r"features.ops: no preprocessing belongs to .*small"):
        network(table(weights, layer="conv4_1", ops=None), ["conv4_1"])


ARRAYS = {"a": np.arange(6.0).reshape(2, 3)}
BYTES = 48


def test_a_cache_returns_what_was_put_and_nothing_damaged(tmp_path):
    cache = Cache(tmp_path / "own", {"net": "vgg16"}, 10**9)
    assert cache.get("x") is None
    cache.put("x", ARRAYS)
    again = Cache(tmp_path / "own", {"net": "vgg16"}, 10**9)
    assert np.array_equal(again.get("x")["a"], ARRAYS["a"])
    path = tmp_path / "own" / "x.npz"
    path.write_bytes(path.read_bytes()[:-9])
    assert again.get("x") is None


def test_a_cache_of_another_net_is_refused(tmp_path):
    Cache(tmp_path, {"net": "vgg16", "size": 96}, 10**9)
    with pytest.raises(InputError) as caught:
        Cache(tmp_path, {"net": "alexnet", "size": 96}, 10**9)
    assert str(caught.value) == (
        f"{tmp_path}: the cache of another run: its net is 'vgg16', but this run has 'alexnet'; "
        "choose another --cache"
    )
    (tmp_path / KEY).write_text("{}")
    with pytest.raises(InputError, match="damaged; remove"):
        Cache(tmp_path, {"net": "vgg16", "size": 96}, 10**9)
    (tmp_path / KEY).unlink()
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(InputError, match="contains other files; choose another --cache"):
        Cache(tmp_path, {"net": "vgg16"}, 10**9)


def test_a_full_cache_takes_nothing_more_and_says_so_once(tmp_path, caplog):
    cache = Cache(tmp_path, {"net": "vgg16"}, 2 * BYTES, alone=True)
    with caplog.at_level(logging.WARNING, "keras_ilsvrc"):
        for name in ("x", "y", "z", "last"):
            cache.put(name, ARRAYS)
    assert sorted(path.stem for path in tmp_path.glob("*.npz")) == ["x", "y"]
    assert len(caplog.records) == 1
    assert "nothing more is added to this cache: it has reached" in caplog.text


def test_a_full_cache_removes_its_oldest_neighbours_but_no_other_folder(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.npz").write_bytes(b"x" * 999)
    for number, name in enumerate(("old", "new")):
        Cache(tmp_path / name, {"net": name}, 10**9).put("x", ARRAYS)
        os.utime(tmp_path / name / KEY, (number, number))
    size = (tmp_path / "old" / "x.npz").stat().st_size
    cache = Cache(tmp_path / "own", {"net": "own"}, size + 2 * BYTES)
    cache.put("x", ARRAYS)
    assert cache.get("x") is not None
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == ["new", "own", "photos"]


def test_the_folder_of_a_cache_depends_on_its_key(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_ILSVRC_CACHE", str(tmp_path))
    first = default_folder("features", {"net": "vgg16"})
    assert first.parent == tmp_path / "rcnn/features"
    assert first != default_folder("features", {"net": "vgg19"})


def test_caches_of_another_version_of_the_code_are_not_used(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_ILSVRC_CACHE", str(tmp_path))
    for version in (1, 2, 2):
        monkeypatch.setattr("keras_ilsvrc.rcnn.regions.VERSION", version)
        Finder(Proposer(None, None, None, 0), Hog(), FeaturesTable(net="hog"), Places())
    for kind in ("proposals", "features"):
        assert len(list((tmp_path / "rcnn" / kind).iterdir())) == 2
