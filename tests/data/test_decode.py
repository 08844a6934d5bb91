"""Tests that every exception of a decoder is reported as a fault of the image file."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
import tensorflow as tf
from damage import damaged
from PIL import Image

from keras_ilsvrc import InputError
from keras_ilsvrc.data import decode
from keras_ilsvrc.data.check import check
from keras_ilsvrc.data.decode import examine
from keras_ilsvrc.data.folder import folder
from keras_ilsvrc.data.headers import FORMATS, BadImage, own_limit, read_header

SIZE = struct.pack(">2I5B", 7, 9, 8, 2, 0, 0, 0)
PIXELS = zlib.compress(bytes(9 * (1 + 3 * 7)))
BOMB = b"k\0\0" + zlib.compress(bytes(2**21))
EXTRA = {
    b"zTXt": b"k\0\0" + zlib.compress(b"text"),
    b"pHYs": struct.pack(">2IB", 1, 1, 1),
    b"gAMA": struct.pack(">I", 45455),
    b"sRGB": b"\0",
    b"tRNS": bytes(6),
    b"acTL": struct.pack(">2I", 1, 0),
    b"eXIf": b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0",
}


def png(size=SIZE, **extra):
    """A PNG with further chunks, whose checksums are right."""
    content = b"\x89PNG\r\n\x1a\n"
    named = [(key.encode(), data) for key, data in extra.items()]
    for kind, data in ((b"IHDR", size), *named, (b"IDAT", PIXELS), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + kind + data
        content += struct.pack(">I", zlib.crc32(kind + data))
    return content


BAD = {
    "bomb.png": png(zTXt=BOMB),
    "header.png": png(SIZE[:9]),
    "density.png": png(pHYs=b"\0\0\0"),
    "gamma.png": png(gAMA=b"\0"),
    "moves.png": png(acTL=b"\0"),
}


def whole_images():
    made = np.random.default_rng(0).integers(0, 256, (9, 7, 3), "uint8")
    contents = {}
    for format in FORMATS:
        file = io.BytesIO()
        Image.fromarray(made).save(file, format)
        contents[format] = file.getvalue()
    return contents


def mutations(count):
    random = np.random.default_rng(0)
    wholes, kinds = list(whole_images().values()), list(EXTRA)
    for number in range(count):
        if number % 2:
            yield damaged(wholes[number // 2 % len(wholes)], random)
        else:
            kind = kinds[random.integers(len(kinds))]
            chunks = {kind.decode(): EXTRA[kind]} | {"IHDR": SIZE}
            chosen = [kind.decode(), "IHDR"][random.integers(2)]
            chunks[chosen] = damaged(chunks[chosen], random)
            yield png(chunks.pop("IHDR"), **chunks)


@pytest.fixture(autouse=True)
def without_warnings():
    with own_limit():
        yield


@pytest.mark.parametrize("count", [300, pytest.param(1000, marks=pytest.mark.slow)])
def test_damaged_images_are_bad_images_or_good_ones_and_take_no_time(count):
    start, bad, wrong = time.monotonic(), 0, []
    for number, content in enumerate(mutations(count)):
        for look in (lambda x: read_header(io.BytesIO(x)), lambda x: examine(x, 3)):
            try:
                look(content)
            except BadImage as error:
                bad += 1
                if "\n" in str(error) or len(str(error)) > 300:
                    wrong.append((number, str(error)))
            except Exception as error:
                wrong.append((number, error))
    assert not wrong
    assert 0.5 * count < bad < 1.95 * count  # both kinds occur
    assert time.monotonic() - start < 60


def test_each_bad_file_of_a_folder_is_named_and_the_others_are_read(tmp_path):
    (tmp_path / "train" / "ape").mkdir(parents=True)
    for name, content in {**BAD, "good.png": png()}.items():
        (tmp_path / "train" / "ape" / name).write_bytes(content)
    names = [str(tmp_path / "train" / "ape" / name) for name in sorted(BAD)]
    found = check(f"folder:{tmp_path}")
    assert sorted(fault.name for fault in found.bad) == names
    assert found.images == {"train": 1}
    skipped = []
    assert len(folder(tmp_path, on_fault=skipped.append).split("train")) == 1
    assert [fault.name for fault in skipped] == names
    with pytest.raises(InputError, match=r"bomb.png: a damaged image"):
        folder(tmp_path)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")],
)
def test_a_machine_out_of_memory_is_not_the_fault_of_an_image(monkeypatch, error):
    def decode_bytes(content, channels):
        raise error

    monkeypatch.setattr(decode, "decode_bytes", decode_bytes)
    with pytest.raises(type(error)):
        examine(png(), 3)
