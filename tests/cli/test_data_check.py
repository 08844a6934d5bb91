"""Tests of `data check` as a user runs it."""

import json
import shutil

import numpy as np
import pytest
from commands import call, refused
from PIL import Image


@pytest.fixture
def check(tmp_path_factory):
    """Runs `data check`; the contact sheet goes to a folder of its own."""
    sheet = tmp_path_factory.mktemp("sheet") / "sheet.png"

    def run(*words):
        return call("data", "check", *words, "--sheet", sheet, columns=100)

    run.sheet = sheet
    return run


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


def test_a_good_set_is_reported_within_100_columns_and_ends_with_status_0(check, images):
    done = check(f"folder:{images}")
    assert done.status == 0, done.stderr
    table = done.stdout.splitlines()
    assert any(line.split()[:2] == ["train", "2"] for line in table)
    assert any(line.split()[:2] == ["test", "2"] for line in table)
    assert all(len(line) <= 100 for line in table if str(images) not in line)
    assert "images in both splits (train, test): 1" in table
    assert f"  {images}/train/ape/a.png = {images}/test/ape/copy.png" in table
    assert "bad: 0" in table


def test_bad_files_are_listed_behind_the_report_and_the_status_is_2(check, images):
    for name in ("y.png", "z.png"):
        (images / "train" / "emu" / name).write_bytes(b"<html>no such picture</html>")
    done = check(f"folder:{images}")
    assert done.status == 2
    *_, bad, first, second, _, following = done.stdout.splitlines()
    assert bad == "bad: 2"
    again = f"`keras-ilsvrc data check {images}`"
    assert following == f"next: remove or convert these files, then repeat {again}"
    for line, name in zip((first, second), ("y.png", "z.png"), strict=True):
        assert line.startswith(f"  {images}/train/emu/{name}: ")
        assert line.endswith("failed download? (28 bytes)")


def test_as_json_the_report_holds_all_of_it(check, images):
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


def test_names_that_are_not_utf_8_are_printed_escaped(check, images):
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
    pairs = [line for line in lines if " = " in line]
    assert any("emu/b.png" in line and "copy\\udcfe.png" in line for line in pairs)
    assert "  gnu\\udcfd" in lines
    assert "train/gnu\\udcfd: this class folder is empty" in lines[-3]


def many_classes(path, count=45, each=3):
    """A folder of classes with equal numbers of images, except for two."""
    for number in range(count):
        (path / f"kind {number:02}").mkdir(parents=True)
        for image in range(each + (number == 7) * 6):
            shade = Image.new("RGB", (20, 10), (5 * number, 20 * image, 99))
            shade.save(path / f"kind {number:02}" / f"{image}.png")
    return path


def test_classes_are_counted_and_drawn_and_the_next_command_is_shown(check, tmp_path):
    photos = many_classes(tmp_path / "my photos")
    done = check(f"{photos}/")
    assert done.status == 0, done.stderr
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "kind 07 5 2 2" in lines
    assert "... 25 more classes" in lines
    assert sum(line.startswith("kind ") for line in lines) == 20
    assert "imbalance: the largest class has 3 times as many images as the smallest" in lines
    assert f"examples of 20 classes: {check.sheet}" in done.stdout.replace("\n", "")
    name = "'my photos.toml'"
    assert lines[-1] == f"next: keras-ilsvrc new '{photos}' --net resnet18 --out {name}"
    with Image.open(check.sheet) as sheet:
        assert sheet.width <= 1920
        assert sheet.height <= 1080
        colours = {colour[:3] for _, colour in sheet.convert("RGB").getcolors(2**20)}
    assert any(colour[2] == 99 for colour in colours)


def test_a_file_of_the_user_is_not_overwritten_by_the_sheet(images, monkeypatch):
    monkeypatch.chdir(images / "test")
    for _ in range(2):  # the second time, the sheet is ours
        assert "examples of 2 classes" in call("data", "check", "..").stdout
    sheet = images / "test" / "contact_sheet.png"
    Image.new("L", (3, 3)).save(sheet)
    before = sheet.read_bytes()
    assert (
        "no contact sheet: contact_sheet.png was not written by this package"
        in call("data", "check", "..").stdout
    )
    assert sheet.read_bytes() == before


def test_bad_files_are_listed_although_the_sheet_cannot_be_written(check, images, monkeypatch):
    (images / "train" / "emu" / "z.png").write_bytes(b"")
    check.sheet.mkdir()
    done = check(images)
    assert done.status == 2
    assert "emu/z.png: an empty file" in done.stdout.splitlines()[-1]


def test_the_next_command_has_the_name_of_the_folder(check, images, monkeypatch):
    monkeypatch.chdir(images / "test" / "ape")
    for split in ("train", "test"):
        shutil.rmtree(images / split / "emu", ignore_errors=True)
        shutil.copytree(images / split / "ape", images / split / "emu")
    assert f"--out {images.name}.toml" in check("../..").stdout.splitlines()[-1]


def test_a_sheet_that_cannot_be_written_is_refused_before_anything_is_read():
    assert refused("data", "check", "digits", "--sheet", "sheet.jpg").startswith("--sheet is")
    assert "there is no folder" in refused("data", "check", "digits", "--sheet", "no/where.png")


def test_readable_names_are_shown_for_synsets(check, tmp_path):
    for synset in ("n01440764", "n03394916"):
        (tmp_path / synset).mkdir()
        for number in range(3):
            shade = Image.new("L", (9, 9), 40 * number + ord(synset[-1]))
            shade.save(tmp_path / synset / f"{number}.png")
    done = check(tmp_path)
    assert "tench (n01440764)" in done.stdout
