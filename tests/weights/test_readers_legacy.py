"""Tests of the reader of legacy torch files: the differences from zip files."""

import tracemalloc

import numpy as np
import pytest
from damage import not_one_line
from test_readers_pickle import DTYPES, VALUES, same
from writers import Code, called, legacy_of, named, pickled, tensor, write_legacy

from keras_ilsvrc import InputError
from keras_ilsvrc.weights import read
from keras_ilsvrc.weights.readers import pickles
from keras_ilsvrc.weights.readers import torch as reader

NUMBERS = VALUES.astype("f4")


def test_dtypes_and_order(tmp_path):
    """The file has the storages in the order of their keys: "0", "1", "10", "11", "2"."""
    arrays = {dtype: (VALUES.reshape(3, 4, 5) % 2).astype(dtype) for dtype in DTYPES}
    arrays |= {"scalar": np.float32(7), "none": np.zeros((0, 3), "f4"), "last": NUMBERS}
    assert same(read(write_legacy(tmp_path / "a.pth", arrays)), arrays)


def test_bfloat16_becomes_float32(tmp_path):
    bits = np.uint16([0x3F80, 0xC020])
    saved = {
        "w": tensor("0", (2,), kind="BFloat16", legacy=True),
        "b": tensor("1", (60,), legacy=True),
    }
    storages = {"0": (2, bits.tobytes()), "1": (60, NUMBERS.tobytes())}
    path = legacy_of(tmp_path / "a.pt", saved, storages)
    assert same(read(path), {"w": np.float32([1, -2.5]), "b": NUMBERS})


def test_views_of_a_storage(tmp_path):
    saved = {
        "flat": tensor("0", (60,), legacy=True),
        "transposed": tensor("0", (5, 4), (1, 5), 20, length=60, legacy=True),
    }
    path = legacy_of(tmp_path / "a.th", saved, {"0": (60, NUMBERS.tobytes())})
    assert same(read(path), {"flat": NUMBERS, "transposed": NUMBERS[20:40].reshape(4, 5).T})


def test_other_tensors_of_a_checkpoint(tmp_path):
    """Storages of tensors that are left out, for example in a list, are passed over."""
    state = {"module.w": NUMBERS, "z": np.float64(3)}

    def wrap(tensors):
        rest = {"best_prec1": 91.5, "moments": [tensors.pop("a"), {7: tensors.pop("b")}]}
        return {**rest, "state_dict": tensors}

    arrays = {"a": np.ones(3, "i8"), **state, "b": np.ones(5, "f2")}
    assert same(read(write_legacy(tmp_path / "a.th", arrays, wrap)), state)


def text(value):
    """A text as Python 2 pickles it."""
    return Code(b"U" + bytes([len(value)]) + value.encode())


def test_file_of_python_2(tmp_path):
    """Ordered dictionaries are lists of pairs, texts are bytes, and parameters are objects."""
    arrays = {"called": NUMBERS, "made": NUMBERS[:2], "long" * 100: NUMBERS[3:4]}

    def wrap(tensors):
        one, two, three = tensors.values()
        parameter = named("torch.nn.parameter.Parameter")
        state = pickled((True, False, called("collections.OrderedDict", []))) + b"b"
        long = b"T" + (400).to_bytes(4, "little") + b"long" * 100
        pairs = [
            [text("called"), Code(parameter + pickled((one,)) + b"R" + state)],
            [text("made"), Code(parameter + pickled((two,)) + b"\x81" + state)],
            [Code(long), three],
        ]
        return called("collections.OrderedDict", pairs)

    assert same(read(write_legacy(tmp_path / "a.pth", arrays, wrap)), arrays)


def test_a_list_of_pairs_is_used_once(tmp_path):
    """Otherwise a small pickle can describe a large dictionary many times."""
    made = named("collections.OrderedDict")
    pairs = pickled(([["w", tensor("0", (60,), legacy=True)]],))
    saved = {"a": Code(made + pairs + b"q\x00R"), "b": Code(made + b"h\x00R")}
    path = legacy_of(tmp_path / "a.pth", saved, {"0": (60, NUMBERS.tobytes())})
    assert same(read(path), {"a.w": NUMBERS})


def test_values_are_read_when_they_are_used(tmp_path):
    arrays = {"w": np.zeros(8_000_000, "f4"), "b": np.ones(3, "f4")}
    path = write_legacy(tmp_path / "a.pth", arrays)
    tracemalloc.start()
    tensors = read(path)
    opened = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    assert tensors["b"].all()
    loaded = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert opened < reader.PICKLE + 100_000
    assert loaded < 200_000
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(
        InputError, match=r"a\.pth: cannot read the torch file: the values of b end after 8"
    ):
        tensors["b"]


def test_limits(tmp_path, monkeypatch):
    path = write_legacy(tmp_path / "a.pth", {"w": NUMBERS, "v": np.zeros(3, "f4")})
    assert len(read(path)) == 2
    for module, name, words in (
        (reader, "TENSORS", "over 1 tensors"),
        (pickles, "OPCODES", "or more than 1 opcodes"),
        (reader, "PICKLE", "not enough data"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, 1)
            with pytest.raises(InputError, match=words):
                read(path)


@pytest.mark.parametrize("count", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_random_damage(tmp_path, count):
    path = write_legacy(tmp_path / "a.pth", {"a.weight": NUMBERS, "b": np.float64(3)})

    def everything():
        return list(read(path).values())

    assert not_one_line([path], everything, count, path.name) == []
