"""Tests of the readers of HDF5 and `.keras` files: names, shapes, order and every value."""

import gc
import zipfile

import h5py
import keras
import numpy as np
import pytest
from damage import not_one_line
from keras import layers
from writers import write_hdf5, write_keras

from keras_ilsvrc import InputError
from keras_ilsvrc.weights import read
from keras_ilsvrc.weights.readers import hdf5

NOISE = np.random.default_rng(0).standard_normal((40, 30)).astype("f4")
ARRAYS = {"layers/conv2d/vars/0": NOISE, "layers/conv2d/vars/1": NOISE[0], "step": np.int64(7)}


def same(tensors, arrays):
    """Check names, order, dtypes, shapes and values."""
    assert list(tensors) == list(arrays)
    for name, values in arrays.items():
        assert tensors.stored[name].dtype == values.dtype == tensors[name].dtype
        assert tensors.shape(name) == values.shape == tensors[name].shape
        np.testing.assert_array_equal(tensors[name], values)
        if tensors.stored[name].rows:
            np.testing.assert_array_equal(
                tensors.stored[name].rows(len(values) // 2, len(values)), values[len(values) // 2 :]
            )
    return True


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 3))
    x = layers.BatchNormalization(name="bn")(layers.Conv2D(4, 3, name="conv")(image))
    made = keras.Model(image, layers.Dense(2, name="fc")(layers.Flatten()(x)))
    made.compile("sgd")
    return made


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_whole_model_of_legacy_keras(tmp_path, model):
    model.save(tmp_path / "a.h5")
    tensors = read(tmp_path / "a.h5")
    assert tensors.format == "hdf5"
    assert len(tensors) == len(model.weights)
    for weight in model.weights:
        layer = weight.path.partition("/")[0]
        np.testing.assert_array_equal(tensors[f"{layer}/{weight.path}"], weight.numpy())


@pytest.mark.parametrize("name", ["a.weights.h5", "a.keras"])
def test_files_of_keras(tmp_path, model, name):
    (model.save if name == "a.keras" else model.save_weights)(tmp_path / name)
    tensors = read(tmp_path / name)
    assert tensors.format == name.rpartition(".")[2].replace("h5", "hdf5")
    for layer in ("conv", "bn", "fc"):
        for number, weight in enumerate(model.get_layer(layer).weights):
            kind = {"conv": "conv2d", "bn": "batch_normalization", "fc": "dense"}[layer]
            values = tensors[f"layers/{kind}/vars/{number}"]
            np.testing.assert_array_equal(values, weight.numpy())


@pytest.mark.parametrize(("name", "write"), [("a.h5", write_hdf5), ("a.keras", write_keras)])
def test_written_file(tmp_path, name, write):
    assert same(read(write(tmp_path / name, ARRAYS)), ARRAYS)


def test_names_are_sorted_by_their_numbers(tmp_path):
    names = ["bn", "conv2d/0", "conv2d/1", "conv2d/9", "conv2d/10", "conv2d_2", "conv2d_10", "fc"]
    arrays = {name: np.float32(number) for number, name in enumerate(names)}
    path = write_hdf5(tmp_path / "a.h5", dict(reversed(arrays.items())))
    assert same(read(path), arrays)


OPTIONS = {
    "contiguous": {},
    "chunked": {"chunks": (7, 11)},
    "gzip": {"compression": "gzip"},
    "shuffled": {"compression": 9, "shuffle": True, "chunks": (40, 1)},
    "fletcher": {"compression": "gzip", "fletcher32": True},
    "resizable": {"maxshape": (None, None), "chunks": (64, 64)},
}


@pytest.mark.parametrize("kind", OPTIONS)
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f2", ">f8", "u1", "<i8"])
def test_ways_of_storing(tmp_path, kind, dtype):
    arrays = {"w": (9 * NOISE).astype(dtype)}
    assert same(read(write_hdf5(tmp_path / "a.h5", arrays, **OPTIONS[kind])), arrays)


def test_zeros_shrink_and_bytes_of_noise_do_not(tmp_path):
    arrays = {"a": np.zeros((64, 64), "f4"), "b": NOISE.view("u1")}
    arrays["c"] = np.frombuffer(np.random.default_rng(0).bytes(5000), "u1")  # not compressed
    assert same(read(write_hdf5(tmp_path / "a.h5", arrays, compression="gzip")), arrays)


def test_small_and_empty_arrays(tmp_path):
    arrays = {"a": np.zeros((0, 3), "f4"), "b": np.float32(1), "c": np.zeros((1, 1, 1), "f8")}
    assert same(read(write_hdf5(tmp_path / "a.h5", arrays)), arrays)


def test_a_compact_dataset(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple((30,))
        made = h5py.h5d.create(file.id, b"w", h5py.h5t.NATIVE_FLOAT, space, plan)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ascontiguousarray(NOISE[0]))
    assert same(read(tmp_path / "a.h5"), {"w": NOISE[0]})


@pytest.mark.parametrize(("name", "write"), [("a.h5", write_hdf5), ("a.keras", write_keras)])
def test_the_file_can_be_written_while_its_arrays_are_in_use(tmp_path, name, write):
    before = read(write(tmp_path / name, ARRAYS))
    others = {"v": np.float32(2), "w": NOISE + 1}
    after = read(write(tmp_path / name, others))
    assert same(after, others)
    del before, after
    gc.collect()  # files that are not closed are errors here


def test_cut_after_opening(tmp_path):
    path = write_hdf5(tmp_path / "a.h5", {"w": NOISE, "x": NOISE + 1})
    tensors = read(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"a\.h5: cannot read the hdf5 file"):
        list(tensors.values())


def test_limit_of_objects(tmp_path, monkeypatch):
    path = write_hdf5(tmp_path / "a.h5", ARRAYS)  # three groups and three datasets
    monkeypatch.setattr(hdf5, "LINKS", 6)
    assert len(read(path)) == 3
    monkeypatch.setattr(hdf5, "LINKS", 5)
    with pytest.raises(InputError, match="more than 5 groups and datasets"):
        read(path)


def test_damage_of_values_in_a_keras_file(tmp_path):
    path = write_keras(tmp_path / "a.keras", ARRAYS)
    content = path.read_bytes()
    assert content.count(NOISE[3].tobytes()) == 1
    path.write_bytes(content.replace(NOISE[3].tobytes(), NOISE[4].tobytes()))
    with pytest.raises(InputError, match=r"model\.weights\.h5 is damaged: its checksum is wrong"):
        read(path)


def test_a_compressed_keras_file(tmp_path):
    weights = write_hdf5(tmp_path / "w.h5", ARRAYS)
    with zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(weights, "model.weights.h5")
    with pytest.raises(InputError, match=r"is compressed; unpack the file, and pass the path"):
        read(tmp_path / "a.keras")


KINDS = {
    "old": lambda path: write_hdf5(path, ARRAYS),
    "gzip": lambda path: write_hdf5(path, {"w": NOISE}, compression="gzip", shuffle=True),
    "keras": lambda path: write_keras(path.with_suffix(".keras"), ARRAYS),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_random_damage(tmp_path, kind, count):
    path = KINDS[kind](tmp_path / "a.h5")

    def everything():
        return list(read(path).values())

    assert not_one_line([path], everything, count, path.name) == []
