"""Tests of `predict`: its output formats, its images, and its errors."""

import csv
import io
import json
import os
import struct
import zlib
from importlib import import_module

import browser
import fresh
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import keras_ilsvrc
from keras_ilsvrc import InputError
from keras_ilsvrc.cli import app
from keras_ilsvrc.data.normalise import MODES
from keras_ilsvrc.runs.loaded import Prediction

pytestmark = pytest.mark.tensorflow
ODD = ["ä b.png", 'it\'s "one".PNG', "two\nlines.png", "dollar$[1].png"]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Grey images in a folder and in one inside it, among files of other kinds."""
    folder = tmp_path_factory.mktemp("digits")
    random = np.random.default_rng(0)
    (folder / "inside").mkdir()
    for name in (*ODD, "inside/5.png", ".hidden.png"):
        Image.fromarray(random.integers(0, 256, (8, 8), "uint8")).save(folder / name)
    (folder / "notes.txt").write_text("notes")
    return folder


@pytest.fixture(scope="module", autouse=True)
def loaded_once(small_run):
    """The same run for all commands."""
    run = keras_ilsvrc.load_run(small_run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras_ilsvrc.runs.loaded.load_run", lambda path: run)
        yield run


def call(*words, **options):
    return CliRunner().invoke(app, ["predict", *map(str, words)], **options)


def said(*words, **options):
    result = call(*words, **options)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_one_image_is_a_block_and_many_are_lines(small_run, digits, loaded_once):
    path = digits / ODD[0]
    (expected,) = loaded_once.predict(path)
    *lines, following = said(small_run, path).splitlines()
    assert following == f"next: keras-ilsvrc export {small_run} --format onnx"
    assert [lines[0], len(lines)] == [str(path), 6]
    for line, guess in zip(lines[1:], expected.guesses, strict=True):
        assert line.split("%")[0].split() == [guess.name, guess.percent.split()[0]]
    assert lines[1].count("█") >= lines[2].count("█")
    lines = said(small_run, path, digits / "inside").splitlines()[:-1]
    assert [line.split(" ", 1)[1].split(": ")[0].strip() for line in lines] == [
        str(path),
        str(digits / "inside/5.png"),
    ]
    assert f": {expected.guesses[0]}" in lines[0]


def test_json_and_csv_have_the_same_values(small_run, digits, loaded_once):
    paths = [digits / name for name in ODD]
    table = json.loads(said(small_run, *paths, "--json", "--top", 3))
    rows = list(csv.DictReader(io.StringIO(said(small_run, *paths, "--csv", "--top", 3))))
    for path, entry, row in zip(paths, table, rows, strict=True):
        assert entry["image"] == row["image"] == str(path)
        (expected,) = loaded_once.predict(path, top=3)
        assert [x["class"] for x in entry["classes"]] == [x.name for x in expected.guesses]
        for rank, one in enumerate(entry["classes"], 1):
            assert row[f"class_{rank}"] == one["class"]
            assert float(row[f"probability_{rank}"]) == pytest.approx(one["probability"], 1e-5)
        assert sum(x["probability"] for x in entry["classes"]) < 1.00001


def test_folders_patterns_and_standard_input_name_images(small_run, digits):
    def named(*words, **options):
        found = json.loads(said(small_run, *words, "--json", "--top", 1, **options))
        return [os.path.relpath(x["image"], digits) for x in found]

    everything = [*sorted(ODD), "inside/5.png"]
    assert named(digits) == everything
    assert named(f"{digits}/*.PNG") == [ODD[1]]
    assert named(f"{digits}/**/5.png") == ["inside/5.png"]
    assert named(digits / ODD[3]) == [ODD[3]]  # a file whose name looks like a pattern
    lines = "\n".join(str(digits / name) for name in (ODD[0], ODD[1]))
    assert named("-", input=lines) == ODD[:2]
    assert named("-", input=lines.replace("\n", "\r\n") + "\r\n") == ODD[:2]
    zeros = "".join(f"{digits / name}\0" for name in ODD)
    assert named("-", input=zeros) == ODD


def test_a_folder_is_searched_for_all_endings_of_images(small_run, tmp_path):
    for name in ("a.JFIF", "b.jpe", "c.dib"):
        kind = "BMP" if name == "c.dib" else "JPEG"
        Image.new("L", (8, 8)).save(tmp_path / name, kind)
    found = json.loads(said(small_run, tmp_path, "--json"))
    assert [os.path.basename(x["image"]) for x in found] == ["a.JFIF", "b.jpe", "c.dib"]


def test_a_folder_without_images_is_refused_and_its_other_files_are_counted(small_run, tmp_path):
    for name in ("a.HEIC", "b.heic", "notes"):
        (tmp_path / name).write_bytes(b"")
    result = call(small_run, tmp_path)
    assert str(result.exception).startswith(f"{tmp_path}: no images in this folder; supported: ")
    assert result.stderr.startswith(f"{tmp_path}: skipped files of other kinds: 2 .heic, 1 without")


def test_other_files_are_named_and_the_images_answered(small_run, digits, tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "good.png")
    Image.new("L", (1, 1)).save(tmp_path / "tiny.png")
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0 ftypisom" + bytes(100))
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.7" + bytes(100))
    good = (tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(good[:-20])
    header = b"IHDR" + struct.pack(">II", 30000, 30000) + good[24:29]  # of an image of 900 MB
    checked = header + struct.pack(">I", zlib.crc32(header))
    (tmp_path / "huge.png").write_bytes(good[:12] + checked + good[33:])
    names = ("huge.png", "good.png", "clip.mp4", "paper.pdf", "cut.png", "tiny.png", "none.png")
    result = call(small_run, *(tmp_path / name for name in names), "--json")
    assert result.exit_code == 2
    (only,) = json.loads(result.stdout)
    assert only["image"] == str(tmp_path / "good.png")
    lines = result.stderr.splitlines()
    for name, line in zip([x for x in names if x != "good.png"], lines, strict=False):
        assert line.startswith(f"{tmp_path / name}: ")
    assert lines[-1] == "6 of 7 files were left out"
    assert len(lines) == 7


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["RUN"], "no images are given"),
        (["nowhere", "DIGITS"], "nowhere: no such folder"),
        (["RUN", "nowhere/*.jpg"], "nowhere/*.jpg: no file matches this pattern"),
        (["RUN", "DIGITS", "--json", "--csv"], "leave out one"),
        (["RUN", "DIGITS", "--page", "made.txt"], "--page is made.txt"),
        (["RUN", "DIGITS", "--preprocess", "tf"], "need --net"),
        (["RUN", "DIGITS", "--sha256", "00"], "need --net"),
        (["DIGITS", "--net", "resnet20_cifar"], "--net needs --weights"),
        (["DIGITS", "--net", "vgg16", "--weights", "torhcvision"], "'torchvision'"),
        (["DIGITS", "--net", "x", "--weights", "y", "--preprocess", "tff"], "'tf'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(small_run, digits, words, part):
    known = {"RUN": small_run, "DIGITS": digits}
    result = call(*(known.get(word, word) for word in words))
    assert isinstance(result.exception, InputError), result.output
    assert part in str(result.exception)
    assert result.stdout == ""


def test_modes_of_preprocessing_are_those_of_the_op():
    assert (*MODES, "none") == import_module("keras_ilsvrc.cli.predict").MODES


def test_a_page_has_all_images_and_loads_nothing(small_run, digits, tmp_path):
    page = tmp_path / "sheet.html"
    assert said(small_run, digits, "--page", page).splitlines()[-2] == str(page)
    text = page.read_text()
    assert text.count('src="data:image/jpeg;base64,') == text.count("<figure>") == 5
    assert text.count('class="guess"') == 25
    assert "it&#39;s &#34;one&#34;.PNG" in text
    if browser.installed() is None:
        pytest.skip("no Chromium")
    for width in (390, 1280):
        with browser.Browser(tmp_path / f"profile{width}") as window:
            window.open(page, width, 900)
            assert window.value("document.documentElement.scrollWidth") <= width
            assert window.value("[...document.images].every(x => x.naturalWidth > 0)")
            assert not window.complaints()
            assert window.requests() == [page.as_uri()]


def test_an_image_that_is_gone_before_its_thumbnail_is_named(tmp_path):
    from keras_ilsvrc.report.answers import write_answers

    gone = str(tmp_path / "gone.png")
    with pytest.raises(InputError, match=r"gone\.png: cannot be read"):
        list(write_answers([Prediction(gone, ())], tmp_path / "page.html", "title", 3))
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_fails_leaves_no_file(small_run, digits, tmp_path, monkeypatch):
    from keras_ilsvrc.report import answers

    monkeypatch.setattr(answers, "_thumbnail", lambda *rest: 1 / 0)
    result = call(small_run, digits, "--page", tmp_path / "sheet.html")
    assert isinstance(result.exception, ZeroDivisionError)
    assert list(tmp_path.iterdir()) == []


def test_a_prediction_imports_no_more_than_it_needs(small_run, digits):
    """The first answer waits for every import. Keras itself imports Matplotlib."""
    script = f"""
import sys
sys.argv = ["keras-ilsvrc", "predict", {str(small_run)!r}, {str(digits / ODD[0])!r}]
from keras_ilsvrc.cli import app
app(standalone_mode=False)
heavy = {{"tensorflow_datasets", "keras_tuner"}}
heavy |= {{f"keras_ilsvrc.{{name}}" for name in ("report", "runs.experiment", "visualize")}}
print(sorted(heavy & set(sys.modules)))
"""
    assert fresh.said(script).splitlines()[-1] == "[]"
