"""Tests of `bench input`: what it measures, and which arguments it refuses."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from pydantic import TypeAdapter
from typer.testing import CliRunner

from keras_ilsvrc import InputError
from keras_ilsvrc.bench import input as bench
from keras_ilsvrc.cli import app
from keras_ilsvrc.data.ops import OPS
from keras_ilsvrc.recipe.ops import Ops

pytestmark = pytest.mark.tensorflow

NAMES = [
    f"{name}, {what}"
    for name, size, rest in (
        ("Inception crop", 256, []),
        ("AlexNet", 256, ["ops in the step"]),
        ("CaffeNet", 256, []),
        ("ResNet", 375, []),
    )
    for what in ("files", f"JPEGs of {size}", f"pixels of {size}", *rest)
]


HELD = []


@pytest.fixture
def few(monkeypatch):
    """A turn of eight images out of six files; to delete the iterators would take seconds."""
    made, consumed = bench.make_files, bench._consumed
    monkeypatch.setattr(bench, "_consumed", lambda data: HELD.append(consumed(data)) or HELD[-1])
    monkeypatch.setattr(bench, "make_files", lambda directory: made(directory, 6))
    monkeypatch.setattr(bench, "BATCH", 4)
    monkeypatch.setattr(bench, "STEPS", 2)


def said(*words):
    result = CliRunner().invoke(app, ["bench", "input", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_rates_and_ratios_are_those_of_the_rounds(few, monkeypatch):
    times = {"decode_jpeg alone": [2.0, 4.0, 3.0], "Inception crop, files": [1.0, 4.0, 2.0]}

    def take_turns(functions, rounds, progress):
        assert rounds == 3
        times.update({name: [8.0, 8.0, 8.0] for name in functions if name not in times})
        return {name: times[name] for name in functions}

    only = {bench.INCEPTION: bench.AUGMENTATIONS[bench.INCEPTION]}
    monkeypatch.setattr(bench, "AUGMENTATIONS", only)
    monkeypatch.setattr(bench, "take_turns", take_turns)
    found = json.loads(said("--rounds", "3", "--json"))
    rates = {name: 8 / sorted(values)[1] for name, values in times.items()}
    assert found["images_per_second"] == pytest.approx(rates)
    inception, *others = found["ratios"]
    assert inception == {
        "ours": "Inception crop, files",
        "over": "decode_jpeg alone",
        "median": 1.5,  # of 2, 1 and 1.5
        "lower_quartile": 1.25,
        "upper_quartile": 1.75,
    }
    assert [one["ours"] for one in others] == NAMES[1:3]
    assert {one["median"] for one in others} == {3 / 8}
    assert (found["images"], found["rounds"]) == (8, 3)


@pytest.mark.slow
def test_the_table_fits_and_its_ratios_follow_from_its_rates(few):
    lines = said("--rounds", "2").splitlines()
    assert max(map(len, lines)) <= 100
    count = len(NAMES)
    rates = {line[:30].strip(): float(line[30:].split()[0]) for line in lines[: count + 1]}
    assert list(rates) == ["decode_jpeg alone", *NAMES]
    assert min(rates.values()) > 0
    for line in lines[count + 1 : 2 * count + 1]:
        middle, lower, upper = map(float, re.findall(r"\d+\.\d+", line))
        assert 0 < lower <= middle <= upper
    assert lines[2 * count + 1].startswith("8 JPEGs of ")


def test_files_are_photographs_of_one_size_that_differ(tmp_path):
    paths = bench.make_files(tmp_path, 8)
    pictures = []
    for path in paths:
        with Image.open(path) as image:
            assert (image.format, image.size) == ("JPEG", (500, 375))
            pictures.append(np.asarray(image, dtype=int))
    for number, one in enumerate(pictures):
        for other in pictures[:number]:
            assert np.abs(one - other).mean() > 5


def test_what_is_timed_is_made_of_ops_as_recipes_write_them():
    for rows in (*bench.AUGMENTATIONS.values(), bench.MEAN):
        TypeAdapter(Ops).validate_python(rows)
        assert {row["op"] for row in rows} <= set(OPS)


def test_an_unknown_loader_is_refused_in_one_line():
    result = CliRunner().invoke(app, ["bench", "input", "--against", "torchvison"])
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == "--against is 'torchvison'; expected torchvision"


def test_without_torchvision_the_pip_line_is_shown(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["bench", "input", "--against", "torchvision"])
    assert isinstance(result.exception, InputError)
    assert str(result.exception).endswith("python -m pip install torchvision")
