"""Tests of `bench scale`: its rows, with few files."""

import json

import pytest
from commands import refused, said

from keras_ilsvrc.bench import scale as bench
from keras_ilsvrc.data import kept
from keras_ilsvrc.utils import files

pytestmark = pytest.mark.tensorflow


@pytest.mark.parametrize("new", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_each_row_has_its_time_and_memory(new, monkeypatch):
    if not new:
        for name, value in (("MEASURED", 100), ("TESTED", 500), ("VALUES", 1000), ("CLASSES", 20)):
            monkeypatch.setattr(bench, name, value)
        monkeypatch.setattr(kept, "LEAST", 50)

        def here(module, *words, environment):
            monkeypatch.setenv(files.CACHE, environment[files.CACHE])
            return bench._once(*words)

        monkeypatch.setattr(bench, "in_process", here)
    rows = json.loads(said("bench", "scale", "--files", "1000", "--json"))
    assert [row["what"].split(",")[0] for row in rows][:3] == [
        "reading the folders",
        "first start",
        "later start",
    ]
    assert len(rows) == len({row["what"] for row in rows}) == 7
    assert all(row["seconds"] > 0 and row["megabytes"] >= 0 for row in rows)
    checkpoint, answers = (row["base_megabytes"] for row in rows[-2:])
    assert checkpoint == pytest.approx(4e-6 * bench.ARRAYS * bench.VALUES, rel=0.2)
    assert answers == pytest.approx(4e-6 * bench.TESTED * bench.CLASSES)


def test_fewer_files_than_classes_are_refused():
    assert "--files" in refused("bench", "scale", "--files", "999")
