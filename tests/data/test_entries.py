"""Tests of entries in image folders that are not images: links, pipes, devices, odd names."""

import errno
import io
import os
import socket

import pytest
from PIL import Image

from keras_ilsvrc import InputError
from keras_ilsvrc.data import index as module
from keras_ilsvrc.data.check import check
from keras_ilsvrc.data.folder import folder
from keras_ilsvrc.data.sources import open_source

FILE = io.BytesIO()
Image.new("RGB", (4, 4)).save(FILE, "PNG")
NOT_UTF8 = b"odd\xff\n.png"


@pytest.fixture
def root(tmp_path):
    for split in ("train", "test"):
        for kind in ("ape", "emu"):
            (tmp_path / split / kind).mkdir(parents=True)
            (tmp_path / split / kind / "a.png").write_bytes(FILE.getvalue())
    return tmp_path


def faults(root):
    """What is left out: names below the root, and reasons."""
    found: list = []
    folder(root, on_fault=found.append)
    assert [fault.name for fault in check(f"folder:{root}").bad] == [fault.name for fault in found]
    return {os.path.relpath(fault.name, root): fault.reason for fault in found}


def test_every_entry_that_is_no_file_is_named_with_its_kind(root):
    ape = root / "train" / "ape"
    (ape / "loop.png").symlink_to("loop.png")
    (ape / "gone.png").symlink_to("nowhere.png")
    (ape / "more").mkdir()
    os.mkfifo(ape / "pipe.png")
    (ape / "link.png").symlink_to("pipe.png")
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(ape / "s"))
    assert faults(root) == {
        "train/ape/loop.png": "a loop of links, not an image",
        "train/ape/gone.png": "a broken link, not an image",
        "train/ape/more": "this class folder is empty; add images to it, or remove it",
        "train/ape/pipe.png": "a FIFO, not an image",
        "train/ape/link.png": "a FIFO, not an image",
        "train/ape/s": "a socket, not an image",
    }


def test_a_class_folder_or_split_that_is_a_bad_link_is_named(root):
    (root / "train" / "gnu").symlink_to("gnu")
    (root / "test" / "yak").symlink_to("nowhere")
    (root / "validation").symlink_to("validation")
    assert faults(root) == {
        "train/gnu": "a loop of links, not an image",
        "test/yak": "a broken link, not an image",
        "validation": "a loop of links, not a folder",
    }
    with pytest.raises(InputError, match="validation: a loop of links, not a folder"):
        folder(root)


@pytest.fixture
def forbidden(root, monkeypatch):
    """Makes reading a folder or a file fail, also for root."""

    def forbid(where, what="scandir"):
        original = getattr(os, what) if what == "scandir" else open

        def guarded(path, *rest):
            if str(path) == str(where):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return original(path, *rest)

        owner = os if what == "scandir" else module
        monkeypatch.setattr(owner, what, guarded, raising=False)

    return forbid


def test_a_class_folder_that_cannot_be_read_is_named_and_the_others_are_read(root, forbidden):
    forbidden(root / "train" / "ape")
    assert faults(root) == {"train/ape": "cannot be read: Permission denied"}


def test_a_file_that_cannot_be_read_is_named(root, forbidden):
    forbidden(root / "train" / "ape" / "a.png", "open")
    found: list = []
    folder(root, on_fault=found.append)
    assert [fault.reason for fault in found] == ["cannot be read: Permission denied"]


@pytest.mark.parametrize("where", [".", "train", "test"])
def test_a_split_that_cannot_be_read_is_one_line(root, forbidden, where):
    forbidden(root / where)
    with pytest.raises(InputError) as caught:
        folder(root)
    assert str(caught.value) == f"{root / where}: cannot be read: Permission denied"


def test_names_that_are_not_utf_8_can_be_read_and_printed(root):
    odd = os.path.join(os.fsencode(root), b"train", b"gnu\xfe")
    os.mkdir(odd)
    with open(os.path.join(odd, NOT_UTF8), "wb") as file:
        file.write(FILE.getvalue())
    assert sum(map(len, folder(root).splits.values())) == 5
    with open(os.path.join(odd, NOT_UTF8), "wb") as file:
        file.write(b"none")
    (fault,) = check(f"folder:{root}").bad
    with pytest.raises(InputError) as caught:
        folder(root)
    for message in (str(fault), str(caught.value)):
        assert message.isprintable()
        assert message.encode()
        assert "odd\\udcff\\n.png" in message


@pytest.mark.parametrize("kind", ["folder", "idx", "imagenet"])
def test_a_path_that_is_too_long_is_one_short_line(kind):
    with pytest.raises(InputError, match=r"cannot be read: File name too long$") as caught:
        open_source(f"{kind}:/{'a' * 5000}")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("kind", ["folder", "idx", "imagenet"])
def test_an_error_of_the_system_names_the_file(tmp_path, monkeypatch, kind):
    def broken(self):
        raise OSError(errno.EIO, "Input/output error", str(self))

    monkeypatch.setattr("pathlib.Path.is_dir", broken)
    with pytest.raises(InputError) as caught:
        open_source(f"{kind}:{tmp_path}")
    assert str(caught.value) == f"{tmp_path}: cannot be read: Input/output error"
