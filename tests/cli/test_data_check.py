"""`data check` as a person runs it."""

import json

import numpy as np
import pytest
from commands import call, refused
from PIL import Image


def check(*words):
    return call("data", "check", *words, columns=100)


@pytest.fixture
def images(tmp_path):
    """Four images of two classes, two of them the same."""
    for number, path in enumerate(("train/ape/a.png", "train/emu/b.png", "test/ape/c.png")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        made = np.random.default_rng(number).integers(0, 256, (9, 7, 3), "uint8")
        Image.fromarray(made).save(tmp_path / path)
    (tmp_path / "test" / "ape" / "copy.png").write_bytes(
        (tmp_path / "train" / "ape" / "a.png").read_bytes()
    )
    return tmp_path


def test_a_good_set_is_reported_within_100_columns_and_ends_with_status_0(images):
    done = check(f"folder:{images}")
    assert done.status == 0, done.stderr
    table = done.stdout.splitlines()
    assert any(line.split()[:2] == ["train", "2"] for line in table)
    assert any(line.split()[:2] == ["test", "2"] for line in table)
    assert all(len(line) <= 100 for line in table if str(images) not in line)
    assert "the same images in train, test: 1" in table
    assert f"  {images}/train/ape/a.png = {images}/test/ape/copy.png" in table
    assert "bad: 0" in table


def test_bad_files_are_listed_behind_the_report_and_the_status_is_2(images):
    for name in ("y.png", "z.png"):
        (images / "train" / "emu" / name).write_bytes(b"<html>no such picture</html>")
    done = check(f"folder:{images}")
    assert done.status == 2
    last = done.stdout.splitlines()[-3:]
    assert last[0] == "bad: 2"
    for line, name in zip(last[1:], ("y.png", "z.png"), strict=True):
        assert line.startswith(f"  {images}/train/emu/{name}: ")
        assert line.endswith("failed download? (28 bytes)")


def test_as_json_the_report_holds_all_of_it(images):
    (images / "train" / "emu" / "z.png").write_bytes(b"")
    done = check(f"folder:{images}", "--json")
    assert done.status == 2
    found = json.loads(done.stdout)
    assert found["images"] == {"train": 2, "test": 2}
    assert found["heights"] == [9, 9.0, 9]
    assert found["shared"] == {"train, test": 1}
    (fault,) = found["bad"]
    assert fault["name"] == f"{images}/train/emu/z.png"
    assert fault["size"] == 0


def test_what_is_no_source_is_refused_in_one_line():
    assert refused("data", "check", "folder:nowhere").startswith("nowhere: no such folder")


def test_names_that_are_not_utf_8_are_printed_escaped(images):
    odd = images.with_name("odd\udcff\n")
    images.rename(odd)
    (odd / "train" / "emu" / "copy\udcfe.png").write_bytes(
        (odd / "train" / "emu" / "b.png").read_bytes()
    )
    (odd / "train" / "gnu\udcfd").mkdir()
    done = check(f"folder:{odd}")
    assert done.status == 2, done.stderr
    lines = done.stdout.splitlines()
    assert f"folder:{images.parent}/odd\\udcff\\n" in done.stdout.replace("\n", "")
    assert any("train/emu/b.png = " in line and "copy\\udcfe.png" in line for line in lines)
    assert "  gnu\\udcfd" in lines
    assert "train/gnu\\udcfd: this class folder is empty" in lines[-1]
