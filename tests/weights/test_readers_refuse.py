"""Tests of files that readers refuse: the error names the file, the fault, and what to do."""

import hashlib
import io
import json
import os
import pickle
import zipfile

import numpy as np
import onnx
import pytest
from damage import not_one_line
from onnx import TensorProto, helper, numpy_helper
from test_readers import ARRAYS, LAYERS
from writers import field, varint, write_caffe, write_npz, write_onnx, write_safetensors

from keras_ilsvrc import InputError
from keras_ilsvrc.weights import read
from keras_ilsvrc.weights.readers import wire

PAIR = np.float32([1, 2]).tobytes()


def everything(path):
    tensors = read(path)
    return {name: tensors[name] for name in tensors}


def caffe(*blobs, name="conv"):
    """A file of one Caffe layer."""
    return field(100, field(1, name) + b"".join(field(7, coded) for coded in blobs))


def shape(*sizes):
    return field(7, b"".join(field(1, size) for size in sizes))


def graph(*fields, kind=1, name="w", sizes=(2,)):
    """An ONNX file of one initializer."""
    parts = [field(1, size) for size in sizes] + [field(2, kind), field(8, name), *fields]
    return field(1, 8) + field(7, field(5, b"".join(parts)))


def safe(header):
    """A safetensors file with 8 bytes of values."""
    text = header if isinstance(header, str) else json.dumps(header)
    return len(text).to_bytes(8, "little") + text.encode() + bytes(8)


def entry(start, stop, dtype="F32", sizes=(2,)):
    return {"dtype": dtype, "shape": list(sizes), "data_offsets": [start, stop]}


def npy(*sizes, descr="<f4", data=PAIR):
    """A file of one array of NumPy."""
    file = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": sizes}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


def zipped(members, method=zipfile.ZIP_STORED, changes=()):
    """A zip file, with changes of its first central entry: pairs of offset and byte."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    content = bytearray(file.getvalue())
    for offset, value in changes:
        content[content.index(b"PK\x01\x02") + offset] = value
    return bytes(content)


ARRAY = ("a.npy", npy(2))
DUPLICATE = '{"w": %s, "w": %s}' % ((json.dumps(entry(0, 8)),) * 2)
OBJECTS = npy(1, descr="|O", data=pickle.dumps([print]))
HTML = b"\n<!DOCTYPE html><title>404</title>"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"

# {file name: (content, what the error says)}
REFUSED = {
    "empty.npz": (b"", "is empty; download it again"),
    "page.pth": (HTML, "is a web page"),
    "pointer.h5": (LFS, "is a Git LFS pointer.*`git lfs pull`"),
    "pickle.pth": (
        pickle.dumps({"w": 1}, 2),
        r"is a pickle .* can run code; save .* `numpy\.savez`",
    ),
    "sys_info.pth": (
        b"sys_info\0" + bytes(248) + b"ustar\0",
        "is a torch file in the form of 2016.*; if",
    ),
    "packed.caffemodel": (b"\x1f\x8b\x08" + bytes(90), "is an archive; unpack it"),
    "one.npz": (npy(2), r"is a single array without a name.*numpy\.savez"),
    "weights.pb": (caffe(), r"not recognised.*suffix '\.pb', expected one of .*\.caffemodel"),
    "cut.zip": (zipped([ARRAY])[:-30], "cannot read the weight file: File is not a zip file"),
    "other.zip": (zipped([("a.txt", "")]), "is a zip file with a.txt, expected a torch"),
    "void.zip": (zipped([]), "is a zip file with no members"),
    # Caffe
    "none.caffemodel": (
        field(1, "net"),
        "cannot read the caffe file: it contains no arrays; download",
    ),
    "twice.caffemodel": (caffe(shape(2) + field(5, PAIR)) * 2, "two blobs are named 'conv/0'"),
    "few.caffemodel": (caffe(shape(3) + field(5, PAIR)), r"conv/0 has 8 bytes, expected 12 for"),
    "many.caffemodel": (caffe(field(1, 1) + field(5, PAIR)), r"expected 0 for shape \(1, 0, 0, 0"),
    "huge.caffemodel": (caffe(shape(2**40, 2**40) + field(5, PAIR)), "conv/0 has 8 bytes"),
    "deep.caffemodel": (caffe(shape(*[1] * 33) + field(5, PAIR)), "33 dimensions, expected at m"),
    "minus.caffemodel": (caffe(shape(2**64 - 2) + field(5, PAIR)), "conv/0 has 8 bytes"),
    "width.caffemodel": (caffe(shape(2) + field(8, PAIR[:4])), "conv/0 has 4 bytes, expected 16"),
    "long.caffemodel": (field(100, bytes(9))[:-1], "field 100 ends at byte 12, after the end"),
    "group.caffemodel": (varint(3 << 3 | 3), "no field starts at byte 0"),
    "open.caffemodel": (b"\x08" + b"\xff" * 30, "a varint is not terminated"),
    "text.caffemodel": (b'name: "net" layer {', "cannot read the caffe file"),
    "name.caffemodel": (caffe(field(5, PAIR), name=b"\xff"), "can't decode byte"),
    "names.caffemodel": (caffe(field(5, PAIR), name="a" * 1001), "a name or shape has more than"),
    # ONNX
    "net.onnx": (caffe(shape(2) + field(5, PAIR)), "it contains no arrays"),
    "outside.onnx": (graph(field(13, field(1, "location"))), "'w' is in another file.*one file"),
    "located.onnx": (graph(field(14, 1)), "'w' is in another file, which is not opened"),
    "texts.onnx": (graph(kind=8), "'w' has ONNX data type 8, expected integers or floats"),
    "untyped.onnx": (graph(kind=0), "'w' has ONNX data type 0,"),
    "twice.onnx": (graph(field(9, PAIR)) + graph(field(9, PAIR)), "two initializers are named 'w'"),
    "few.onnx": (graph(field(9, PAIR), sizes=(3,)), "w has 8 bytes, expected 12 for shape"),
    "other.onnx": (graph(field(10, PAIR)), "w has 0 bytes, expected 8"),
    "coded.onnx": (graph(field(7, b"\1"), kind=7), "w has 1 bytes, expected 2"),
    "codes.onnx": (
        graph(field(7, b"\1\1\1"), kind=7),
        "w cannot .*|cannot reshape array of size 3",
    ),
    "open.onnx": (graph(field(7, b"\1\1\xff"), kind=7), "a varint is not terminated"),
    # safetensors
    "long.safetensors": (safe("{" + " " * 10_000_001), "the header has 10,000,002 bytes"),
    "cut.safetensors": (safe({"w": entry(0, 8)})[:-1], "deserializing header"),
    "gap.safetensors": (safe({"w": entry(4, 8, sizes=[1])}), "invalid offset"),
    "over.safetensors": (safe({"w": entry(0, 8), "v": entry(0, 8)}), "invalid offset"),
    "shape.safetensors": (safe({"w": entry(0, 8, sizes=[3])}), "deserializing header"),
    "twice.safetensors": (safe(DUPLICATE), "a name occurs twice in the header"),
    "float8.safetensors": (safe({"w": entry(0, 8, "F8_E4M3", [8])}), "'w' has data type F8_E4M3"),
    "none.safetensors": ((2).to_bytes(8, "little") + b"{}", "it contains no arrays"),
    # NumPy, and what is checked in all zip files
    "objects.npz": (zipped([("a.npy", OBJECTS)]), "dtype object, expected numbers"),
    "texts.npz": (zipped([("a.npy", npy(2, descr="<U1"))]), "dtype <U1, expected numbers"),
    "huge.npz": (zipped([("a.npy", npy(2**40))]), "has 136 bytes, expected 4,398,046,511,232"),
    "few.npz": (zipped([("a.npy", npy(3))]), "has 136 bytes, expected 140"),
    "minus.npz": (zipped([("a.npy", npy(-1, -2))]), "cannot read the npz file"),
    "version.npz": (zipped([("a.npy", b"\x93NUMPY\3\0")]), r"version \(3, 0\), expected"),
    "crc.npz": (zipped([ARRAY]).replace(PAIR, PAIR[::-1]), "Bad CRC-32"),
    "bomb.npz": (
        zipped([ARRAY], changes=[(27, 48)]),
        "expands to 805,306,504 bytes, expected at most",
    ),
    "secret.npz": (zipped([ARRAY], changes=[(8, 1)]), "'a.npy' is encrypted"),
    "bzip2.npz": (zipped([ARRAY], zipfile.ZIP_BZIP2), "not compressed by deflate"),
    "slip.npz": (zipped([("../../a.npy", npy(2))]), r"member '\.\./\.\./a.npy' outside"),
    "root.npz": (zipped([("/etc/a.npy", npy(2))]), "member '/etc/a.npy' outside"),
    "drive.npz": (zipped([("C:\\a.npy", npy(2))]), "'C:"),
    "twice.npz": (zipped([("ab.npy", npy(2)), ("ba.npy", b"")]), "members .* have the same name"),
}
twice = REFUSED["twice.npz"]
REFUSED["twice.npz"] = (twice[0].replace(b"ba.npy", b"ab.npy"), twice[1])
# `zipfile` opens a zip file that follows other bytes; the format is then that of the suffix.
ZIPPED = {name: content for name, (content, _) in REFUSED.items() if name.endswith(".npz")}
ZIPPED |= {f"array.{suffix}": zipped([ARRAY]) for suffix in ("npz", "keras", "pth")}
PREFIX = "the zip file has 1 byte before its first member"
REFUSED |= {
    f"prefixed_{name}": (b"x" + content, PREFIX)
    for name, content in ZIPPED.items()
    if content.startswith(b"PK")
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path, name):
    content, words = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        everything(tmp_path / name)
    text = str(caught.value)
    assert text.startswith(str(tmp_path / name))
    assert len(text.splitlines()) == 1
    assert "; " in text  # what to do


def test_external_data_of_onnx_is_not_opened(tmp_path):
    made = numpy_helper.from_array(np.zeros((64, 64), "f4"), "w")
    model = helper.make_model(helper.make_graph([], "g", [], [], [made]))
    path, options = tmp_path / "a.onnx", {"save_as_external_data": True, "size_threshold": 0}
    onnx.save(model, path, location="a.data", convert_attribute=True, **options)
    with pytest.raises(InputError, match="'w' is in another file, which is not opened"):
        read(path)


def test_paths(tmp_path):
    with pytest.raises(
        InputError, match=r"no\.h5: cannot read the weight file: No such file.*check path"
    ):
        read(tmp_path / "no.h5")
    with pytest.raises(InputError, match="is a folder; pass a weight file"):
        read(tmp_path)
    with pytest.raises(InputError, match=r"null byte"):
        read("a\0.npz")
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(InputError, match="is not a regular file"):
        read(tmp_path / "pipe.npz")


def test_no_permission(tmp_path, monkeypatch):
    path = write_npz(tmp_path / "a.npz", ARRAYS)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InputError, match=r"a\.npz: cannot read .*Permission denied; check path"):
        read(path)


def test_sha256(tmp_path):
    path = write_npz(tmp_path / "a.npz", ARRAYS)
    digits = hashlib.sha256(path.read_bytes()).hexdigest()
    assert set(read(path, digits.upper())) == set(ARRAYS)
    with pytest.raises(InputError, match=f"a.npz has SHA-256 {digits}, expected 000.*download"):
        read(path, "0" * 64)
    with pytest.raises(InputError, match="sha256 is 'abc'; expected 64 hexadecimal digits"):
        read(path, "abc")


def test_names_of_npz_may_have_dots_and_folders(tmp_path):
    names = ["a/b:0", "a..b/c", "W:0", "..a", "a/.../b"]
    path = write_npz(tmp_path / "a.npz", dict.fromkeys(names, np.zeros(2)))
    assert list(read(path)) == names


def test_too_many_fields(tmp_path, monkeypatch):
    monkeypatch.setattr(wire, "FIELDS", 50)
    path = write_caffe(tmp_path / "a.caffemodel", LAYERS)
    assert read(path)
    path.write_bytes(path.read_bytes() + field(3, 1) * 50)
    with pytest.raises(InputError, match="more than 50 fields"):
        read(path)


def files(folder):
    """A file of each format and generation."""
    typed = helper.make_tensor("i", TensorProto.FLOAT16, (3, 2), [1, 2, 3, -4, 5, 6])
    longs = helper.make_tensor("l", TensorProto.INT64, (3,), [1, 2**40, -3])
    onnx.save(
        helper.make_model(helper.make_graph([], "g", [], [], [typed, longs])), folder / "t.onnx"
    )
    np.savez_compressed(folder / "c.npz", **ARRAYS)
    return {
        **{one: write_caffe(folder / f"{one}.caffemodel", LAYERS, one) for one in ("v0", "v1")},
        "new": write_caffe(folder / "new.caffemodel", LAYERS),
        "onnx": write_onnx(folder / "a.onnx", ARRAYS),
        "typed": folder / "t.onnx",
        "safetensors": write_safetensors(folder / "a.safetensors", ARRAYS),
        "npz": write_npz(folder / "a.npz", ARRAYS),
        "compressed": folder / "c.npz",
    }


KINDS = ["v0", "v1", "new", "onnx", "typed", "safetensors", "npz", "compressed"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [100, pytest.param(2000, marks=pytest.mark.slow)])
def test_random_damage(tmp_path, kind, count):
    path = files(tmp_path)[kind]
    assert not_one_line([path], lambda: everything(path), count, path.name) == []
