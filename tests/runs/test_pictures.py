"""Tests that pictures and the HTML page are made after the result, and that failures are logged."""

import json
import os
import shutil
from collections import Counter

import pytest
from commands import said
from small import draw_photos, on_photos, run, short

from keras_ilsvrc.runs import evaluate, experiment
from keras_ilsvrc.runs.directory import FILES, PAGE
from keras_ilsvrc.runs.reading import RunFiles

pytestmark = pytest.mark.tensorflow


def test_a_picture_that_fails_costs_a_line_and_no_result(tmp_path, monkeypatch, capfd):
    from keras_ilsvrc.runs import pictures

    def fail(*args, **keywords):
        raise MemoryError("no room\nfor a picture")

    monkeypatch.setattr(pictures, "doubtful", fail)
    result = run(short(), tmp_path / "run", drawn=True, page=fail)
    assert RunFiles(tmp_path / "run").result() == result
    lines = [x for x in capfd.readouterr().err.splitlines() if "not drawn: no room for a" in x]
    assert [("doubtful.png" in x, "--resume" in x) for x in lines] == [
        (True, True),
        (False, True),
    ]
    assert (tmp_path / "run" / "curves.png").exists()
    assert not (tmp_path / "run" / "doubtful.png").exists()


def axis(values, name="error"):
    """The limits of the value axis of a curve, and the ticks within them, as text."""
    from keras_ilsvrc.runs import pictures

    other = {"loss": "error", "error": "loss"}[name]
    history = [{"epoch": n + 1, name: x, other: 1.0} for n, x in enumerate(values)]
    with pytest.MonkeyPatch.context() as patch:
        held = []
        patch.setattr(pictures, "save", lambda figure, path: held.append(figure))
        pictures.curves(history, None, "")
    axes = held[0].axes[("loss", "error").index(name)]
    held[0].draw_without_rendering()
    low, high = axes.get_ylim()
    labels = [text.get_text() for text in axes.get_yticklabels(which="both")]
    ticks = axes.get_yticks()
    return low, high, [label for label, tick in zip(labels, ticks) if low <= tick <= high]


def test_the_axis_of_a_curve_is_as_long_as_its_values_need():
    low, high, ticks = axis([80.0, 60.0, 50.0])
    assert 40 < low < 50 < 80 < high < 90
    low, high, ticks = axis([90.0, 20.0, 2.0])
    assert 0.5 < low < 2
    assert 90 < high < 200
    assert ticks[-4:] == ["10", "20", "50", "100"]
    low, high, ticks = axis([90.0, 2.0, 0.0])
    assert low == 0
    assert ticks == ["0", "0.5", "1", "2", "5", "10", "20", "50", "100"]
    assert axis([0.0, 0.0])[0] == 0
    low, high, ticks = axis([3.0, 0.2], "loss")
    assert ticks == ["0.2", "0.5", "1", "2"]
    assert all("e" not in tick and "10^" not in tick for tick in axis([3.0, 2.0], "loss")[2])


WATCH = 'watch=["gradients","responses"]'
NAMES = (b"caf\xe9", b"$x^{2", "犬 \u202e\x1b[31m".encode())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A run with its page on classes of odd names: its path, its result, and what was called.

    The command trains it, with its pictures and its page.
    """
    path, counts = tmp_path_factory.mktemp("pictures"), Counter()
    photos = draw_photos(path / "photos")
    for part in photos.iterdir():
        shutil.copytree(part / "dark", part / "darker")
        for label, name in zip(("dark", "darker", "light"), NAMES, strict=True):
            os.rename(part / label, os.path.join(os.fsencode(part), name))
    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            (experiment, "build"),
            (evaluate, "evaluate"),
            (experiment, "open_source"),
        ):
            real = getattr(module, name)

            def counted(*args, real=real, name=name, **keywords):
                counts[name] += 1
                return real(*args, **keywords)

            patch.setattr(module, name, counted)
        on_photos(photos)
        keys = ("--set", "build.classes=3", "--set", "report=true", "--set", WATCH)
        words = ("train", photos.with_suffix(".toml"), *keys, "--json")
        result = json.loads(said(*words, "--out", path / "run"))
        del result["out"]
        return path / "run", result, counts


def test_classes_of_any_name_are_trained_and_drawn(drawn):
    out, result, _ = drawn
    assert RunFiles(out).result() == result
    assert sorted(file.name for file in out.iterdir()) == sorted([*FILES, PAGE])
    assert len(RunFiles(out).identity.classes) == 3
    assert all(x.isprintable() for x in RunFiles(out).identity.classes)


def test_a_run_that_ends_with_its_page_builds_and_tests_once(drawn):
    """It is validated after both epochs, and tested once."""
    assert drawn[2] == {"build": 1, "evaluate": 3, "open_source": 1}
