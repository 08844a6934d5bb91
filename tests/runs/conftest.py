"""Fixtures: a folder of small photographs, and a training run that is stopped in the middle."""

import shutil

import pytest
from small import RESIZE, STANDARDISE, as_made, draw_photos, on_photos, run, stop_in_first_epoch


@pytest.fixture
def photos(tmp_path):
    """A folder of small JPEGs of two classes."""
    return draw_photos(tmp_path / "photos")


@pytest.fixture(scope="session")
def first_runs(tmp_path_factory):
    """A folder `photos`, a run on them that was `stopped`, and its end in `finished`."""
    path = tmp_path_factory.mktemp("runs")
    recipe = on_photos(
        draw_photos(path / "photos"),
        f"data.eval_ops=[{RESIZE}, {STANDARDISE}]",
        "data.train_ops=[" + RESIZE + ", {op = 'flip'}, " + STANDARDISE + "]",
    )
    stop_in_first_epoch(recipe, path / "stopped")
    run(recipe, shutil.copytree(path / "stopped", path / "finished"))
    shutil.copytree(path, path.with_name(f"{path.name}-kept"))
    return path


@pytest.fixture
def runs(first_runs):
    """The same folder, whatever an earlier test has done in it."""
    return as_made(first_runs)
