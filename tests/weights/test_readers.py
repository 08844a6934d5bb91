"""Tests of the readers of Caffe, ONNX, safetensors and NumPy files: every name and value."""

import subprocess
import sys
import tracemalloc

import numpy as np
import onnx
import pytest
import safetensors.numpy
from caffe_schema import net_of
from onnx import TensorProto, helper, numpy_helper
from writers import (
    field,
    safetensors_of,
    varint,
    write_caffe,
    write_npz,
    write_onnx,
    write_safetensors,
)

from keras_ilsvrc import InputError
from keras_ilsvrc.weights import read
from keras_ilsvrc.weights.readers import wire


def noise(*shape, dtype="float32"):
    return np.random.default_rng(0).standard_normal(shape).astype(dtype)


LAYERS = {
    "inception_3a/1x1": [noise(4, 3, 2, 1), noise(4)],
    "one_filter": [noise(1, 3, 2, 2), noise(1)],
    "fc": [noise(5, 4), noise(5)],
}
BLOBS = {f"{name}/{i}": blob for name, blobs in LAYERS.items() for i, blob in enumerate(blobs)}
ARRAYS = {"a.weight": noise(2, 3, dtype="float16"), "b/c": noise(4), "scalar": np.int64(7)}
ARRAYS = {name: np.asarray(values) for name, values in ARRAYS.items()}


def same(tensors, arrays, format):
    """Check names, order, dtypes, shapes and values; shapes before and after values are read."""
    assert tensors.format == format
    assert list(tensors) == list(arrays)
    for name, values in arrays.items():
        assert tensors.shape(name) == values.shape == tensors[name].shape
        assert tensors.stored[name].dtype == values.dtype == tensors[name].dtype
        np.testing.assert_array_equal(tensors[name], values)
        if tensors.stored[name].rows:
            np.testing.assert_array_equal(
                tensors.stored[name].rows(len(values) // 2, len(values)), values[len(values) // 2 :]
            )
    return True


@pytest.mark.parametrize("generation", ["v0", "v1", "new"])
class TestCaffe:
    def test_written_file(self, tmp_path, generation):
        path = write_caffe(tmp_path / "a.caffemodel", {"data": [], **LAYERS}, generation)
        assert same(read(path), BLOBS, "caffe")

    def test_file_of_protobuf(self, tmp_path, generation):
        path = tmp_path / "a.caffemodel"
        path.write_bytes(net_of(LAYERS, generation).SerializeToString())
        assert same(read(path), BLOBS, "caffe")

    def test_writer_is_read_by_protobuf(self, tmp_path, generation):
        path = write_caffe(tmp_path / "a.caffemodel", LAYERS, generation)
        net = net_of(LAYERS, generation)
        assert type(net).FromString(path.read_bytes()).SerializeToString() == (
            net.SerializeToString()
        )


def test_float64_blobs_and_other_fields(tmp_path):
    path = tmp_path / "a.caffemodel"
    net = net_of({"bn": [noise(3)]}, "new")
    blob = net.layer[0].blobs[0]
    blob.diff[:] = [1, 2, 3]
    blob.double_data[:] = wide = noise(3, dtype="float64")  # counts, as in Caffe
    path.write_bytes(net.SerializeToString() + field(99, 5) + varint(98 << 3 | 5) + bytes(4))
    assert same(read(path), {"bn/0": wide}, "caffe")


def test_values_in_several_pieces(tmp_path):
    first, second = noise(2, 3)
    sizes = field(1, 2) + field(1, 3)  # not packed
    blob = field(5, first.tobytes()) + field(7, sizes) + field(5, second.tobytes())
    path = tmp_path / "a.caffemodel"
    path.write_bytes(field(100, field(7, blob) + field(1, "conv")))
    assert same(read(path), {"conv/0": np.stack([first, second])}, "caffe")


def test_bias_of_one_value_and_scalar(tmp_path):
    path = write_caffe(tmp_path / "a.caffemodel", {"bn": [np.float32(0.5)]})
    assert same(read(path), {"bn/0": np.asarray(np.float32(0.5))}, "caffe")
    write_caffe(path, {"fc": [noise(1)]}, "v1")
    assert read(path).shape("fc/0") == (1,)


def test_onnx_written_file(tmp_path):
    assert same(read(write_onnx(tmp_path / "a.onnx", ARRAYS)), ARRAYS, "onnx")
    initializers = onnx.load(tmp_path / "a.onnx").graph.initializer
    for initializer, (name, values) in zip(initializers, ARRAYS.items(), strict=True):
        assert initializer.name == name
        np.testing.assert_array_equal(numpy_helper.to_array(initializer), values)


@pytest.mark.parametrize("raw", [False, True], ids=["typed", "raw"])
def test_onnx_every_data_type(tmp_path, raw):
    kinds = [
        *("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "BOOL"),
        *("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"),
    ]
    arrays, initializers = {}, []
    for kind in kinds:
        number = getattr(TensorProto, kind)
        dtype = helper.tensor_dtype_to_np_dtype(number)
        signed = kind[0] not in "UB" or kind == "BFLOAT16"
        values = np.array([[0, 1, 100], [-3 if signed else 3, 0.5, 127]]).astype(dtype)
        if kind in ("INT64", "UINT64", "INT32"):
            values[1, 2] = np.iinfo(dtype).max
        data = values.tobytes() if raw else values
        initializers.append(helper.make_tensor(kind, number, (2, 3), data, raw=raw))
        arrays[kind] = values.astype("float32") if kind == "BFLOAT16" else values
    constant = helper.make_node("Constant", [], ["left out"], value=initializers[0])
    model = helper.make_model(helper.make_graph([constant], "graph", [], [], initializers))
    onnx.save(model, tmp_path / "a.onnx")
    assert same(read(tmp_path / "a.onnx"), arrays, "onnx")


def test_onnx_many_integers_of_variable_length(tmp_path, monkeypatch):
    monkeypatch.setattr(wire, "CHUNK", 64)
    values = np.random.default_rng(0).integers(-(2**62), 2**62, 500) >> np.arange(500) % 60
    tensor = helper.make_tensor("a", TensorProto.INT64, (500,), values)
    onnx.save(helper.make_model(helper.make_graph([], "g", [], [], [tensor])), tmp_path / "a.onnx")
    assert same(read(tmp_path / "a.onnx"), {"a": values}, "onnx")


def test_safetensors(tmp_path):
    assert same(read(write_safetensors(tmp_path / "a.bin", ARRAYS)), ARRAYS, "safetensors")
    written = safetensors.numpy.load_file(tmp_path / "a.bin")
    assert {name: values.tobytes() for name, values in written.items()} == {
        name: values.tobytes() for name, values in ARRAYS.items()
    }
    safetensors.numpy.save_file(ARRAYS, tmp_path / "b.bin", metadata={"format": "np"})
    tensors = read(str(tmp_path / "b.bin"))
    assert same(tensors, {name: ARRAYS[name] for name in tensors}, "safetensors")
    assert set(tensors) == set(ARRAYS)


def test_safetensors_of_bfloat16(tmp_path):
    header = '{"w": {"dtype": "BF16", "shape": [2, 1], "data_offsets": [0, 4]}}'
    path = safetensors_of(tmp_path / "a.safetensors", header, [b"\xc0\x3f\x00\xc1"])
    assert same(read(path), {"w": np.float32([[1.5], [-8]])}, "safetensors")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path, save):
    arrays = {**ARRAYS, "columns": np.asfortranarray(noise(3, 4)), "big": noise(2).astype(">f8")}
    save(tmp_path / "a.npz", **arrays)
    assert same(read(tmp_path / "a.npz"), arrays, "npz")
    assert write_npz(tmp_path / "b.weights", arrays).read_bytes()[:2] == b"PK"
    assert same(read(tmp_path / "b.weights"), arrays, "npz")


@pytest.mark.parametrize("suffix", ["caffemodel", "onnx", "safetensors", "npz"])
def test_memory(tmp_path, suffix):
    """Opening reads no values; reading one array takes its memory, and no more."""
    arrays = {name: noise(1000, 300) for name in "abcd"}
    path = tmp_path / f"a.{suffix}"
    if suffix == "caffemodel":
        write_caffe(path, {name: [values] for name, values in arrays.items()})
    else:
        write = {"onnx": write_onnx, "safetensors": write_safetensors, "npz": write_npz}[suffix]
        write(path, arrays)
    read(path)  # imports
    tracemalloc.start()
    try:
        tensors = read(path)
        opened = tracemalloc.get_traced_memory()[1]
        read_all = [tensors[name] for name in tensors]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(read_all) == 4
    assert opened < 200_000
    assert peak < 4 * 1_200_000 + 700_000


def test_values_change_after_opening(tmp_path):
    path = write_caffe(tmp_path / "a.caffemodel", LAYERS)
    tensors = read(path)
    path.write_bytes(path.read_bytes()[:-8])
    assert tensors["fc/0"].shape == (5, 4)
    with pytest.raises(
        InputError, match=r"a\.caffemodel: cannot read the caffe file: .* fc/1 end "
    ):
        tensors["fc/1"]
    with pytest.raises(KeyError, match="fc/9"):
        tensors["fc/9"]


def test_no_framework_is_imported():
    code = (
        "import sys, keras_ilsvrc.weights.readers as r;"
        "[__import__(f'{r.__name__}.{name}') for name in ('caffe', 'onnx', 'safetensors', 'npz')];"
        "print({'tensorflow', 'keras', 'onnx', 'torch', 'google.protobuf'} & set(sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
