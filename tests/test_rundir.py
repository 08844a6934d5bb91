"""The directory of a run: what stays in it when the work fails, and whom it lets go on."""

import errno
import os

import pytest

from keras_ilsvrc import InputError
from keras_ilsvrc import recipe as recipes
from keras_ilsvrc.rundir import RunDirectory, differences


@pytest.fixture
def recipe():
    return recipes.load(recipes.find("quickstart"))


def work(directory, steps, error):
    """What a run leaves that has written checkpoints of some steps, and then fails."""
    with directory as path:
        leave(path, steps)
        raise error


def leave(path, steps):
    (path / "history.csv").write_text("epoch\n")
    for step in steps:
        (path / "checkpoints").mkdir(exist_ok=True)
        (path / "checkpoints" / f"step-{step:09d}.ckpt").write_text("")


def test_a_failure_before_the_first_step_leaves_nothing(recipe, tmp_path):
    out = tmp_path / "runs" / "one"
    with pytest.raises(RuntimeError):
        work(RunDirectory(recipe, "quickstart", out), [0], RuntimeError())
    assert not (tmp_path / "runs").exists()


def test_a_failure_behind_a_checkpoint_leaves_all_and_is_gone_on_with(recipe, tmp_path):
    with pytest.raises(RuntimeError):
        work(RunDirectory(recipe, "quickstart", tmp_path), [0, 5], RuntimeError())
    with pytest.raises(InputError, match=r"not empty \(3 entries\).*--resume"):
        RunDirectory(recipe, "quickstart", tmp_path)
    directory = RunDirectory(recipe, "quickstart", tmp_path, resume=True)
    with directory as path:
        assert sorted(x.name for x in path.iterdir()) == [
            ".lock",
            "checkpoints",
            "history.csv",
            "recipe.toml",
        ]
        assert directory.result() is None
        directory.finish({"top1_error": 1.0})
    assert directory.result() == {"top1_error": 1.0}
    assert not (tmp_path / "checkpoints").exists()


def test_a_run_that_was_killed_as_it_began_is_begun_again(recipe, tmp_path):
    (tmp_path / ".part").write_text("ne")
    with RunDirectory(recipe, "quickstart", tmp_path, resume=True) as path:
        assert recipes.load(path / "recipe.toml") == recipe


@pytest.mark.parametrize("steps", [[], [0], [0, 5]])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_full_disk_is_one_line(recipe, tmp_path, steps, number):
    full = OSError(number, os.strerror(number))
    with pytest.raises(InputError) as caught:
        work(RunDirectory(recipe, "quickstart", tmp_path), steps, full)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path}: cannot be written: {os.strerror(number)}")
    assert ("--resume" in said) == (5 in steps)


def test_no_two_processes_train_in_one_directory(recipe, tmp_path):
    directories = [RunDirectory(recipe, "quickstart", tmp_path, resume=True) for _ in range(2)]
    with directories[0] as path:
        leave(path, [0, 5])
        with pytest.raises(InputError, match="another process trains here"):
            directories[1].__enter__()
        assert (path / "checkpoints" / "step-000000005.ckpt").is_file()
    with directories[1]:
        pass
    assert not (tmp_path / ".lock").exists()


def test_what_came_in_meanwhile_is_not_overwritten(recipe, tmp_path):
    directory = RunDirectory(recipe, "quickstart", tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        directory.__enter__()
    assert [x.name for x in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("content", [b"", b"seed = ", b"\xff"])
def test_a_damaged_recipe_is_named(recipe, tmp_path, content):
    (tmp_path / "recipe.toml").write_bytes(content)
    with pytest.raises(InputError, match=r"recipe.toml: damaged|holds a run of another recipe"):
        RunDirectory(recipe, "quickstart", tmp_path, resume=True)


def test_a_damaged_result_is_named(recipe, tmp_path):
    with RunDirectory(recipe, "quickstart", tmp_path) as path:
        (path / "result.json").write_text("{")
    with pytest.raises(InputError, match=r"result.json: damaged"):
        RunDirectory(recipe, "quickstart", tmp_path, resume=True).result()


def test_resume_without_a_directory_goes_on_with_the_first(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with RunDirectory(recipe, "quickstart") as path:
        leave(path, [5])
    assert RunDirectory(recipe, "quickstart", resume=True).path == path
    assert RunDirectory(recipe, "quickstart").path.name == "quickstart-2"


def test_other_recipes_are_refused_with_what_differs(recipe, tmp_path):
    with RunDirectory(recipe, "quickstart", tmp_path):
        pass
    path = recipes.find("quickstart")
    other = recipes.load(path, ["seed=7", "optimizer.clip_norm=2.0", "data.batch_size=64"])
    with pytest.raises(InputError) as caught:
        RunDirectory(other, "quickstart", tmp_path, resume=True)
    said = str(caught.value)
    for part in ("seed 2 -> 7", "optimizer.clip_norm none -> 2.0", "data.batch_size 128 -> 64"):
        assert part in said
    assert "momentum" not in said


def test_differences_go_both_ways():
    one, two = {"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 1}, "d": [2]}
    assert differences(one, two) == ["a.c 2 -> none", "d [1] -> [2]"]
    assert differences(two, one) == ["a.c none -> 2", "d [2] -> [1]"]
    assert differences(one, one) == []
