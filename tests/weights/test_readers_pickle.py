"""Tests of the reader of torch files: names, shapes, views, dtypes and every value."""

import collections
import io
import pickle
import sys
import tracemalloc
import types

import numpy as np
import pytest
from damage import not_one_line
from writers import Code, called, named, pickled, tensor, torch_of, write_torch

from keras_ilsvrc import InputError
from keras_ilsvrc.weights import read
from keras_ilsvrc.weights.readers import pickles
from keras_ilsvrc.weights.readers import torch as reader

DTYPES = ["float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"]
VALUES = np.arange(60)


def same(tensors, arrays):
    """Check format, names, order, dtypes, shapes and values."""
    assert tensors.format == "torch"
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


def test_dtypes(tmp_path):
    arrays = {dtype: (VALUES.reshape(3, 4, 5) % 2).astype(dtype) for dtype in DTYPES}
    assert same(read(write_torch(tmp_path / "a.pth", arrays)), arrays)


def test_bfloat16_becomes_float32(tmp_path):
    values = np.float32([1, -2.5, 0, 3e38, np.inf]).view("<u4") >> 16 << 16
    bits = (values >> 16).astype("<u2")
    saved = {"w": tensor("0", (5,), kind="BFloat16")}
    path = torch_of(tmp_path / "a.pt", saved, {"data/0": bits.tobytes()})
    assert same(read(path), {"w": values.view("<f4")})


def test_views(tmp_path):
    numbers = VALUES.astype("f4")
    cube = numbers.reshape(3, 4, 5)
    views = {
        "all": (cube, (3, 4, 5), (20, 5, 1), 0),
        "transposed": (cube.T, (5, 4, 3), (1, 5, 20), 0),
        "part": (cube[1:, ::2, 3], (2, 2), (20, 10), 23),
        "last": (numbers[59], (), (), 59),
        "diagonal": (np.diag(numbers[:9].reshape(3, 3)), (3,), (4,), 0),
        "none": (numbers[:0], (0,), (1,), 60),
        "row": (cube[2, 3:4], (1, 5), (999, 1), 55),
    }
    saved = {key: tensor("0", *row[1:], length=60) for key, row in views.items()}
    path = torch_of(tmp_path / "a.pth", saved, {"data/0": numbers.tobytes()})
    assert same(read(path), {key: np.asarray(row[0]) for key, row in views.items()})


def test_names(tmp_path):
    """Tensors in nested dictionaries are found; other values and lists are left out."""
    arrays = {"conv1.weight": VALUES.astype("f4"), "fc.bias": np.float32(3)}
    path = tmp_path / "resnet.pth"
    module = write_torch(path, arrays, lambda tensors: {"model": tensors, "epoch": 3, "a": [None]})
    assert same(read(module), {f"model.{name}": one for name, one in arrays.items()})
    numbered = write_torch(path, arrays, lambda tensors: {"state": {7: {"m": tensors["fc.bias"]}}})
    assert same(read(numbered), {"state.7.m": np.float32(3)})
    others = {"best": 91.5, "arch": "x", "lr": [0.1, {}], "none": None, "old": True, "id": ()}
    others |= {"dtype": named("torch.float32"), "size": called("torch.Size", (1, 2))}
    checkpoint = write_torch(path, arrays, lambda tensors: {"state_dict": tensors, **others})
    assert same(read(checkpoint), arrays)


def test_state_dict_of_modules(tmp_path):
    """Modules save an ordered dictionary of parameters, which has an attribute `_metadata`."""
    arrays = {"w": VALUES.astype("f4"), "b": np.float32([2])}

    def wrap(tensors):
        made = called("collections.OrderedDict")
        parameters = {
            "w": called("torch._utils._rebuild_parameter", tensors["w"], True, made),
            "b": called("torch._utils._rebuild_parameter_with_state", tensors["b"], True, made, {}),
        }
        items = pickled(parameters).removeprefix(b"}")
        return Code(made + items + pickled({"_metadata": {"": {"version": 2}}}) + b"b")

    assert same(read(write_torch(tmp_path / "a.pth", arrays, wrap)), arrays)


class Saver(pickle.Pickler):
    """Writes arrays as torch does; `modules` stand for those of torch."""

    def __init__(self, file, protocol, modules, legacy):
        super().__init__(file, protocol)
        self.modules, self.storages, self.legacy = modules, [], legacy

    def persistent_id(self, value):
        if not isinstance(value, memoryview):
            return None
        self.storages.append(value)
        key = str(len(self.storages) - 1)
        kind, view = self.modules["torch"].FloatStorage, (None,) * self.legacy
        return ("storage", kind, key, "cpu", value.nbytes // 4, *view)

    def reducer_override(self, value):
        if not isinstance(value, np.ndarray):
            return NotImplemented
        steps, hooks = tuple(step // 4 for step in value.strides), collections.OrderedDict()
        arguments = (memoryview(value.tobytes()), 0, value.shape, steps, False, hooks)
        return self.modules["torch._utils"]._rebuild_tensor_v2, arguments


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_protocols_of_pickle(tmp_path, monkeypatch, protocol, legacy):
    names = {"torch": "FloatStorage", "torch._utils": "_rebuild_tensor_v2"}
    modules = {name: types.ModuleType(name) for name in names}
    for module, name in names.items():
        setattr(modules[module], name, type(name, (), {"__module__": module}))
        monkeypatch.setitem(sys.modules, module, modules[module])
    arrays = {f"layer{n}.weight": np.full((n, 3), n, "f4") for n in range(1, 300)}
    file = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}) if legacy else ():
        pickle.dump(part, file, protocol)
    saver = Saver(file, protocol, modules, legacy)
    saver.dump(collections.OrderedDict(arrays))
    if legacy:
        pickle.dump([str(key) for key in range(len(arrays))], file, protocol)
        for one in saver.storages:
            file.write((one.nbytes // 4).to_bytes(8, "little") + one)
        (tmp_path / "a.pth").write_bytes(file.getvalue())
        assert same(read(tmp_path / "a.pth"), arrays)
        return
    storages = {f"data/{key}": bytes(one) for key, one in enumerate(saver.storages)}
    content = {"data.pkl": file.getvalue(), **storages}
    assert same(read(torch_of(tmp_path / "a.pth", {}, content)), arrays)


def test_values_are_read_when_they_are_used(tmp_path):
    path = write_torch(tmp_path / "a.pth", {"w": np.zeros(2_000_000, "f4"), "b": np.zeros(3, "f4")})
    tracemalloc.start()
    tensors = read(path)
    opened = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    assert not tensors["w"].any()
    loaded = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert opened < 1_000_000
    assert 8_000_000 < loaded < 8_500_000
    path.write_bytes(path.read_bytes()[:-4_000_000])
    with pytest.raises(
        InputError,
        match=r"a\.pth: cannot read the torch file: the values of w end after 4,000,323 bytes",
    ):
        tensors["w"]


def test_limits(tmp_path, monkeypatch):
    path = write_torch(tmp_path / "a.pth", {"w": VALUES.astype("f4"), "v": np.zeros(3, "f4")})
    assert len(read(path)) == 2
    for module, name, words in (
        (reader, "TENSORS", "over 1 tensors"),
        (pickles, "OPCODES", "or more than 1 opcodes"),
        (reader, "PICKLE", "or more than 1"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, 1)
            with pytest.raises(InputError, match=words):
                read(path)


@pytest.mark.parametrize("count", [60, pytest.param(2000, marks=pytest.mark.slow)])
def test_random_damage(tmp_path, count):
    arrays = {"a.weight": VALUES.astype("f4"), "b": np.float64(3)}
    path = write_torch(tmp_path / "a.pth", arrays)

    def everything():
        return list(read(path).values())

    assert not_one_line([path], everything, count, path.name) == []


@pytest.mark.parametrize("count", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_random_damage_of_the_pickle(count):
    """Only documented errors come out of a damaged pickle."""
    content = b"\x80\x02" + pickled({"a": tensor("0", (2, 3)), "b": [1, 2.0, ()]}) + b"."
    random, refused = np.random.default_rng(0), 0
    for _ in range(count):
        damaged = bytearray(content)
        for place in random.integers(len(content), size=random.integers(1, 4)):
            damaged[place] = random.integers(256)
        try:
            pickles.interpret(pickles.opcodes_in(io.BytesIO(damaged)), set())
        except (ValueError, IndexError, KeyError, TypeError):
            refused += 1
    assert count / 2 < refused < count  # some damage changes only a number


@pytest.mark.parity
def test_files_of_torch(tmp_path):
    import torch

    layers = [torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(2, 3)]
    module = torch.nn.Sequential(*layers)
    optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    state = {**module.state_dict(), "half": torch.randn(3, 4).half().t(), "e": torch.zeros(0, 3)}
    saved = {"state_dict": state, "optimizer": optimizer.state_dict(), "epoch": 3}
    for protocol, zipped in ((2, True), (4, True), (2, False), (4, False)):
        options = {"pickle_protocol": protocol, "_use_new_zipfile_serialization": zipped}
        torch.save(saved, tmp_path / "a.pth", **options)
        assert same(read(tmp_path / "a.pth"), {key: one.numpy() for key, one in state.items()})
    torch.save({"w": (wide := torch.randn(5, 7).bfloat16())}, tmp_path / "a.pth")
    assert same(read(tmp_path / "a.pth"), {"w": wide.float().numpy()})
    torch.save(module, tmp_path / "a.pth")
    with pytest.raises(InputError, match=r"'torch\.nn\.modules.*save model\.state_dict\(\)"):
        read(tmp_path / "a.pth")
