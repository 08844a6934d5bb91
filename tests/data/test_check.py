"""Tests that `data check` finds every bad file, and that its counts are right."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from keras_ilsvrc.data.check import check
from keras_ilsvrc.data.decode import examine
from keras_ilsvrc.data.headers import BadImage, own_limit


def coloured(seed, height=16, width=24, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), "uint8")


def encoded(image, format="JPEG", **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def png_header(width, height):
    """A PNG that says it has this size, and has one pixel's data."""
    content = b"\x89PNG\r\n\x1a\n"
    size = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    for kind, data in ((b"IHDR", size), (b"IDAT", zlib.compress(bytes(4))), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + kind + data
        content += struct.pack(">I", zlib.crc32(kind + data))
    return content


WHOLE = encoded(coloured(0, 64, 64))
BAD = {
    "empty.jpg": (b"", "an empty file, not an image"),
    "half.jpg": (WHOLE[: len(WHOLE) // 2], "a truncated JPEG"),
    "start.jpg": (WHOLE[:100], "a damaged image: Truncated"),
    "page.jpg": (b"\n <!DOCTYPE html><p>404", "looks like an HTML page: failed download?"),
    "error.jpg": (b"<?xml version='1.0'?><Error/>", "looks like an HTML page"),
    "garbage.png": (bytes(range(200)), "not an image"),
    "bomb.png": (png_header(20_000, 20_000), "400000000 pixels exceed the limit of 100 megapixels"),
    "large.png": (png_header(10_001, 10_000), "10001x10000 is above the limit of 100 megapixels"),
    "damaged.png": (encoded(coloured(0), "PNG")[:-40], "damaged"),
    "burnt.jpg": (WHOLE[:20] + b"\xff\xd8\xff\xe0" * 20 + WHOLE[100:], "damaged"),
}


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def good_folder(root, splits=("train", "test")):
    for number, split in enumerate(splits):
        for kind in ("ape", "emu"):
            for image in range(4):
                seed = 100 * number + 10 * len(kind) * image + ord(kind[0])
                put(root / split / kind / f"{image}.jpg", encoded(coloured(seed)))


@pytest.mark.parametrize("name", BAD)
def test_each_bad_image_has_its_reason(name):
    content, reason = BAD[name]
    with own_limit(), pytest.raises(BadImage) as caught:
        examine(content, 3)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_check_names_every_bad_file_with_size_and_reason(tmp_path):
    good_folder(tmp_path)
    for name, (content, _) in BAD.items():
        for split in ("train", "test"):
            put(tmp_path / split / "emu" / name, content)
    (tmp_path / "train" / "gnu").mkdir()
    (tmp_path / "train" / "ape" / "more").mkdir()
    (tmp_path / "elsewhere.jpg").write_bytes(WHOLE)
    (tmp_path / "train" / "ape" / "gone.jpg").symlink_to("nowhere.jpg")
    (tmp_path / "train" / "ape" / "out.jpg").symlink_to("/etc/hostname")
    (tmp_path / "train" / "ape" / "within.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    found = check(f"folder:{tmp_path}")
    reasons = {fault.name: (fault.size, fault.reason) for fault in found.bad}
    expected = {
        str(tmp_path / split / "emu" / name): (len(content), reason)
        for split in ("train", "test")
        for name, (content, reason) in BAD.items()
    } | {
        str(tmp_path / "train" / "gnu"): (None, "this class folder is empty"),
        str(tmp_path / "train" / "ape" / "more"): (None, "this class folder is empty"),
        str(tmp_path / "train" / "ape" / "gone.jpg"): (None, "a broken link"),
        str(tmp_path / "train" / "ape" / "out.jpg"): (None, "a link to /etc/hostname, outside"),
    }
    assert reasons.keys() == expected.keys()
    for name, (size, reason) in expected.items():
        assert reasons[name][0] == size
        assert reason in reasons[name][1]
    assert len(found.bad) == len(reasons)
    assert found.images == {"train": 7, "validation": 2, "test": 8}
    assert found.classes["train"]["empty"] == ["ape/more", "gnu"]


@pytest.mark.parametrize("good", [0, 2])
def test_bad_files_are_named_also_where_too_few_images_are_left_to_split(tmp_path, good):
    for number in range(4):
        put(tmp_path / "ape" / f"{number}.jpg", WHOLE if number < good else b"")
    *files, whole = check(f"folder:{tmp_path}").bad
    assert [fault.name for fault in files] == [
        str(tmp_path / "ape" / f"{number}.jpg") for number in range(good, 4)
    ]
    assert whole.name == f"folder:{tmp_path}"
    assert {0: "no images in class folders", 2: "class 'ape' has 2 of the 3"}[good] in whole.reason


def test_classes_and_sizes_are_counted(tmp_path):
    good_folder(tmp_path)
    put(tmp_path / "train" / "emu" / "tall.jpg", encoded(coloured(7, 90, 20)))
    put(tmp_path / "train" / "gnu" / "dot.png", encoded(coloured(8, 1, 1), "PNG"))
    found = check(f"folder:{tmp_path}")
    assert found.images == {"train": 8, "validation": 2, "test": 8}
    assert found.classes["train"] == {"least": 1, "median": 3, "most": 4, "empty": []}
    assert found.counts["emu"] == {"train": 4, "validation": 1, "test": 4}
    assert found.counts["gnu"] == {"train": 1, "validation": 0, "test": 0}
    assert found.imbalance == 9
    assert f"folder:{tmp_path}: test has no images of class 'gnu'" in found.notes
    assert found.classes["test"] == {"least": 0, "median": 4, "most": 4, "empty": ["gnu"]}
    assert (found.heights, found.widths) == ((1, 16, 90), (1, 24, 24))
    assert not found.bad
    assert not found.duplicates


def test_colour_modes_formats_wrong_endings_and_rotations_are_counted(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pages = [Image.fromarray(coloured(seed)) for seed in (11, 12)]
    contents = {
        "rgb.jpg": encoded(coloured(0)),
        "turned.JPEG": encoded(coloured(1), exif=exif),
        "grey.jpg": encoded(coloured(2)[..., 0]),
        "cmyk.jpg": encoded(Image.fromarray(coloured(3)).convert("CMYK")),
        "alpha.png": encoded(coloured(4, channels=4), "PNG"),
        "deep.png": encoded(coloured(5)[..., 0].astype("uint16") * 257, "PNG"),
        "really.jpg": encoded(coloured(6), "PNG"),
        "web.webp": encoded(coloured(7), "WEBP"),
        "palette.gif": encoded(coloured(8), "GIF"),
        "bitmap.bmp": encoded(coloured(9), "BMP"),
        "pages.TIF": encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]),
        "nameless": encoded(coloured(10)),
    }
    for name, content in contents.items():
        put(tmp_path / "train" / "all" / name, content)
    found = check(f"folder:{tmp_path}")
    assert not found.bad
    assert found.modes == {
        "RGB": 7, "grey": 1, "CMYK": 1, "alpha": 1, "16 bit": 1, "palette": 1
    }  # fmt: skip
    assert found.formats == {"JPEG": 5, "PNG": 3, "WEBP": 1, "GIF": 1, "BMP": 1, "TIFF": 1}
    assert found.misnamed == [f"PNG: {tmp_path / 'train' / 'all' / 'really.jpg'}"]
    assert (found.turned, found.several) == (1, 1)


def test_duplicates_within_and_between_splits_are_found(tmp_path):
    good_folder(tmp_path, ("train", "validation", "test"))
    twice = encoded(coloured(500)), encoded(coloured(501)), encoded(coloured(502))
    places = {
        "train/ape/a.jpg": 0, "train/emu/b.jpg": 0,  # two classes
        "train/ape/c.jpg": 1, "validation/ape/d.jpg": 1, "test/ape/e.jpg": 1,
        "train/emu/f.jpg": 2, "test/emu/g.jpg": 2,
    }  # fmt: skip
    for place, which in places.items():
        put(tmp_path / place, twice[which])
    found = check(f"folder:{tmp_path}")
    expected = [[str(tmp_path / x) for x in places if places[x] == which] for which in range(3)]
    assert sorted(map(sorted, found.duplicates)) == sorted(map(sorted, expected))
    assert found.two_classes == 1
    assert found.shared == {"train, validation": 1, "train, test": 2, "validation, test": 1}


def test_digits_are_whole_and_have_no_duplicates():
    found = check("digits")
    assert found.images == {"train": 1077, "validation": 360, "test": 360}
    assert (found.modes, found.formats) == ({"grey": 1797}, {"pixels": 1797})
    assert (found.heights, found.bad, found.duplicates) == ((8, 8, 8), [], [])


def test_odd_names_are_printed_as_one_plain_line(tmp_path):
    name = "two\nlines\x1b[31m.jpg"
    put(tmp_path / "train" / "all" / name, b"")
    odd = os.fsdecode(b"not-\xff-utf8.jpg")
    put(tmp_path / "train" / "all" / odd, b"")
    put(tmp_path / "train" / "all" / os.fsdecode(b"good-\xff.png"), encoded(coloured(0), "PNG"))
    found = check(f"folder:{tmp_path}")
    assert found.images == {"train": 1}
    for fault in found.bad:
        assert str(fault).isprintable()
        assert str(fault).isascii()
    assert {fault.name.rpartition("/")[2] for fault in found.bad} == {name, odd}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_whatever_the_bytes_an_image_is_good_or_has_one_reason(format):
    whole = encoded(coloured(0), format)
    generator = np.random.default_rng(0)
    reasons = []
    with own_limit():
        for _ in range(150):
            content = np.frombuffer(whole, "uint8").copy()
            places = generator.integers(0, min(len(content), 200), 6)
            content[places] = generator.integers(0, 256, 6)
            try:
                examine(content.tobytes()[: generator.integers(1, len(content) + 1)], 3)
            except BadImage as error:
                reasons.append(str(error))
    assert len(reasons) > 50
    assert not [reason for reason in reasons if "\n" in reason]
