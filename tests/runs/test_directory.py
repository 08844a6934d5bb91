"""Tests of run directories: the files that a failure leaves, and which runs can be resumed."""

import errno
import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest
from small import RESULT, identity

from keras_ilsvrc import InputError
from keras_ilsvrc import recipe as recipes
from keras_ilsvrc.runs.directory import NoDirectory, RunDirectory
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.runs.schema import Images, differences
from keras_ilsvrc.utils.files import sealed


@pytest.fixture
def recipe():
    return recipes.load(recipes.find("quickstart"))


def begun(recipe, out, steps=(), error=None):
    """A run that has begun, with checkpoints of some steps, and failed or not."""
    directory = RunDirectory(out, recipe, resume=True)
    with directory:
        directory.begin(identity(recipe))
        directory.keep_statistics({"mean": np.ones(3, "float32")})
        directory.write("history.csv", b"epoch\n")
        for step in steps:
            (directory.path / "checkpoints").mkdir(exist_ok=True)
            (directory.path / "checkpoints" / f"step-{step:09d}.ckpt").write_text("")
        if error:
            raise error
    return directory


def finished(recipe, out):
    directory = begun(recipe, out, [0, 5])
    with directory:
        directory.write("final.weights.h5", b"weights")
        directory.finish(RESULT)
    return directory


def names(path):
    return sorted(str(x.relative_to(path)) for x in path.rglob("*"))


def test_a_failure_before_the_first_step_leaves_nothing(recipe, tmp_path):
    with pytest.raises(RuntimeError):
        begun(recipe, tmp_path / "runs" / "one", [0], RuntimeError())
    assert names(tmp_path) == []


def test_a_failure_leaves_no_empty_folder(recipe, tmp_path):
    """As of a disk that is full before the first checkpoint is written."""
    out = tmp_path / "run"

    def fail():
        with RunDirectory(out, recipe):
            (out / "checkpoints").mkdir()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not out.exists()


def test_a_failure_keeps_what_was_there_before(recipe, tmp_path):
    out = tmp_path / "run"
    begun(recipe, out)
    (out / "notes.txt").write_text("mine")
    before = names(out)
    with pytest.raises(RuntimeError):
        begun(recipe, out, [0], RuntimeError())
    assert names(out) == before


def test_a_failure_after_a_checkpoint_leaves_all_to_be_resumed(recipe, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(RuntimeError):
        begun(recipe, out, [0, 5], RuntimeError())
    with pytest.raises(InputError, match=r"not empty \(5 entries\).*--resume"):
        RunDirectory(out, recipe)
    directory = RunDirectory(out, recipe, resume=True)
    assert not directory.finished
    with directory:
        assert directory.statistics()["mean"].tolist() == [1, 1, 1]
        directory.finish(RESULT)
    assert directory.result() == RESULT
    assert not (out / "checkpoints").exists()


def test_a_failure_after_the_result_keeps_the_run(recipe, tmp_path):
    """As of a signal while its pictures are drawn."""
    directory = RunDirectory(tmp_path / "run", recipe)

    def fail_after_the_result():
        with directory:
            directory.begin(identity(recipe))
            directory.finish(RESULT)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_the_result()
    assert RunFiles(tmp_path / "run").result() == RESULT


def test_files_of_others_beside_checkpoints_stay(recipe, tmp_path):
    directory = begun(recipe, tmp_path, [0, 5])
    (tmp_path / "checkpoints" / "notes.txt").write_text("mine")
    with directory:
        directory.finish(RESULT)
    assert names(tmp_path / "checkpoints") == ["notes.txt"]


def test_a_run_that_was_killed_as_it_began_is_begun_again(recipe, tmp_path):
    (tmp_path / ".part-recipe.toml").write_text("ne")
    with RunDirectory(tmp_path, recipe):
        assert recipes.load(tmp_path / "recipe.toml") == recipe


@pytest.mark.parametrize("steps", [[], [0], [0, 5]])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_is_one_line(recipe, tmp_path, steps, number):
    with pytest.raises(InputError) as caught:
        begun(recipe, tmp_path, steps, OSError(number, os.strerror(number)))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}: cannot be written: {os.strerror(number)}")
    assert ("--resume" in message) == (5 in steps)


def test_no_two_processes_train_in_one_directory(recipe, tmp_path):
    one, other = (RunDirectory(tmp_path / "x", recipe, resume=True) for _ in range(2))
    with one:
        with pytest.raises(InputError, match="another process is training here"):
            other.__enter__()
        assert names(tmp_path) == ["x", "x/.lock", "x/recipe.toml"]
    with other:
        pass
    assert not (tmp_path / "x" / ".lock").exists()


def test_two_runs_of_one_second_take_two_names(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = [RunDirectory(Path("runs/x"), recipe, numbered=True) for _ in range(3)]
    for directory in made:
        with directory:
            pass
    assert [str(x.path) for x in made] == ["runs/x", "runs/x-2", "runs/x-3"]
    assert str(RunDirectory(Path("runs/x"), recipe, resume=True).path) == "runs/x"


def test_what_came_in_meanwhile_is_not_overwritten(recipe, tmp_path):
    directory = RunDirectory(tmp_path, recipe)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        directory.__enter__()
    assert names(tmp_path) == ["notes.txt"]


def test_a_finished_run_is_never_trained_again(recipe, tmp_path):
    """Whatever of it is damaged or gone, and whoever followed which advice."""
    for name, change in (
        ("result.json", "null"),
        ("result.json", None),
        ("run.json", "{}"),
        ("run.json", None),
        ("recipe.toml", None),
        ("statistics.npz", None),
    ):
        out = tmp_path / f"{name}-{change}"
        finished(recipe, out)
        (out / name).unlink()
        if change is not None:
            (out / name).write_text(change)
        before = names(out)
        try:
            assert RunDirectory(out, recipe, resume=True).finished
        except InputError as error:
            assert name.partition(".")[0] in str(error)  # noqa: PT017
        assert names(out) == before


def test_other_recipes_are_refused_with_what_differs(recipe, tmp_path):
    begun(recipe, tmp_path)
    path = recipes.find("quickstart")
    other = recipes.load(path, ["seed=7", "optimizer.clip_norm=2.0", "data.batch_size=64"])
    with pytest.raises(InputError) as caught:
        RunDirectory(tmp_path, other, resume=True)
    message = str(caught.value)
    for part in ("seed 2 -> 7", "optimizer.clip_norm none -> 2.0", "data.batch_size 128 -> 64"):
        assert part in message
    assert "momentum" not in message


def test_other_images_are_refused_with_what_differs(recipe, tmp_path):
    begun(recipe, tmp_path)
    directory = RunDirectory(tmp_path, recipe, resume=True)
    images = Images(number=9, digest="a" * 64, stamp="c" * 64)
    fewer = {"train": images.model_copy(update={"number": 5}), "test": images}
    renamed = {"train": images.model_copy(update={"digest": "d" * 64}), "test": images}
    for changes, message in (
        ({"classes": ["dog", "cat"]}, "class 0 was 'cat' and is now 'dog'"),
        ({"classes": ["cat"]}, "2 classes in the run, 1 in the dataset; class 1 was 'dog'"),
        ({"splits": fewer}, "train had 9 images and now has 5"),
        ({"splits": renamed}, "train has images with other names, sizes or labels"),
    ):
        with pytest.raises(InputError, match=message):
            directory.begin(identity(recipe, **changes))
    (warning, _) = directory.begin(identity(recipe, splits={"train": images, "test": images}))
    assert "files of test were rewritten" in warning
    assert directory.begin(identity(recipe)) == []


def test_a_run_of_a_newer_version_says_so(recipe, tmp_path):
    finished(recipe, tmp_path)
    table = json.loads((tmp_path / "run.json").read_text())
    del table["sha256"]
    (tmp_path / "run.json").write_bytes(sealed(table | {"version": "99.0", "new": 1}))
    for use in (lambda x: x.result(), lambda x: x.recipe()):
        with pytest.raises(InputError, match=r"written by keras_ilsvrc 99.0, but this is \d"):
            use(RunFiles(tmp_path))


@pytest.mark.parametrize("name", ["result.json", "recipe.toml", "run.json", "checkpoints", ".lock"])
@pytest.mark.parametrize("kind", ["folder", "FIFO", "socket", "loop"])
def test_what_is_in_the_way_is_named_at_once(recipe, tmp_path, name, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)  # paths of sockets are short
    begun(recipe, tmp_path, [0, 5])
    path = tmp_path / name
    if path.is_dir():
        os.rename(path, tmp_path / "away")
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(name)
    else:
        path.symlink_to(name)
    if (name, kind) == ("checkpoints", "folder"):
        return  # as it ought to be
    with pytest.raises(InputError, match=name):
        RunDirectory(tmp_path, recipe, resume=True).__enter__()


def test_a_worker_that_writes_nothing_writes_nothing(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with NoDirectory() as directory:
        assert directory.statistics() is None
        directory.keep_statistics({"mean": np.ones(3)})
        directory.finish(RESULT)
        assert directory.file("history.csv") is None
    assert names(tmp_path) == []


def test_differences_go_both_ways():
    one, two = {"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 1}, "d": [2]}
    assert differences(one, two) == ["a.c 2 -> none", "d [1] -> [2]"]
    assert differences(two, one) == ["a.c none -> 2", "d [2] -> [1]"]
    assert differences(one, one) == []
