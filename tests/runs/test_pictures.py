"""Pictures and the page come after the result, cost at most a line, and repeat no work."""

import os

import pytest
from small import on_photos, run, short

from keras_ilsvrc.runs.reading import RunFiles

pytestmark = pytest.mark.tensorflow


def test_a_picture_that_fails_costs_a_line_and_no_result(tmp_path, monkeypatch, capfd):
    from keras_ilsvrc.runs import pictures

    def fail(*args, **keywords):
        raise MemoryError("no room\nfor a picture")

    monkeypatch.setattr(pictures, "doubtful", fail)
    result = run(short(), tmp_path / "run", page=fail)
    assert RunFiles(tmp_path / "run").result() == result
    lines = [x for x in capfd.readouterr().err.splitlines() if "not drawn: no room for a" in x]
    assert [("doubtful.png" in x, "--resume" in x) for x in lines] == [
        (True, True),
        (False, True),
    ]
    assert (tmp_path / "run" / "curves.png").exists()
    assert not (tmp_path / "run" / "doubtful.png").exists()


@pytest.mark.parametrize("name", [b"caf\xe9", b"$x^{2", "犬 \u202e\x1b[31m".encode()])
def test_a_class_of_any_name_is_trained_drawn_and_resumed(photos, tmp_path, name):
    from keras_ilsvrc.report import write_page

    for part in photos.iterdir():
        os.rename(part / "dark", os.path.join(os.fsencode(part), name))
    out = tmp_path / "run"
    result = run(on_photos(photos), out, page=write_page)
    assert RunFiles(out).result() == result
    for picture in ("curves.png", "doubtful.png", "report.html"):
        assert (out / picture).exists()
    assert all(x.isprintable() for x in RunFiles(out).identity.classes)


def test_a_run_that_ends_with_its_page_builds_and_tests_once(tmp_path, monkeypatch):
    from keras_ilsvrc.report import write_page
    from keras_ilsvrc.runs import evaluate, experiment

    counts = {"build": 0, "evaluate": 0, "open_source": 0}
    for module, name in (
        (experiment, "build"),
        (evaluate, "evaluate"),
        (experiment, "open_source"),
    ):
        real = getattr(module, name)

        def counted(*args, real=real, name=name, **keywords):
            counts[name] += 1
            return real(*args, **keywords)

        monkeypatch.setattr(module, name, counted)
    run(short(), tmp_path / "run", page=write_page)
    assert counts == {"build": 1, "evaluate": 1, "open_source": 1}
    assert (tmp_path / "run" / "report.html").exists()
