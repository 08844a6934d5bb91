"""Tests of runs on folders that contain bad files."""

import pytest
from small import on_photos, run

from keras_ilsvrc import InputError
from keras_ilsvrc.training.strategy import mirrored

pytestmark = pytest.mark.tensorflow
SKIP = "data.on_bad=skip"


@pytest.fixture
def bad(photos):
    """The photographs, of which two training images are bad."""
    train = photos / "train"
    (train / "dark" / "3.jpg").write_bytes(b"")
    whole = (train / "light" / "5.jpg").read_bytes()  # behind tables of 623 bytes
    (train / "light" / "5.jpg").write_bytes(whole[: 623 + (len(whole) - 623) // 4])
    return photos


def test_bad_files_are_left_out_of_training_and_listed(bad, tmp_path, capsys):
    recipe = on_photos(bad, SKIP, "data.bad_limit=2", "schedule.steps=6")
    result = run(recipe, tmp_path / "run")
    assert [line.rpartition("train/")[2] for line in result["left_out"]] == [
        "dark/3.jpg: an empty file, not an image (0 bytes)",
        f"light/5.jpg: a truncated JPEG ({(bad / 'train/light/5.jpg').stat().st_size} bytes)",
    ]
    said = [line for line in capsys.readouterr().err.splitlines() if "left out (" in line]
    assert len(said) == 1
    assert "light/5.jpg" in said[0]
    assert "returning to step" in said[0]


@pytest.mark.slow
def test_a_file_that_is_bad_behind_its_header_is_left_out_too(bad, tmp_path):
    (bad / "train" / "dark" / "3.jpg").unlink()  # so that none is known beforehand
    recipe = on_photos(bad, SKIP, "data.bad_limit=1")
    (line,) = run(recipe, tmp_path / "run")["left_out"]
    assert "light/5.jpg: a truncated JPEG" in line


def test_statistics_are_measured_without_bad_files(bad):
    from keras_ilsvrc.runs.experiment import set_up

    ops = '[{op="centre_crop", size=8}, {op="standardise"}]'
    overrides = f"data.train_ops={ops}", f"data.eval_ops={ops}"
    stage = set_up(on_photos(bad, SKIP, "data.bad_limit=2", *overrides), mirrored(1))
    assert len(stage.left_out.listed()) == 2
    assert 100 < stage.statistics["channel_mean"].mean() < 160


def test_one_bad_file_more_than_the_limit_ends_training(bad, tmp_path):
    recipe = on_photos(bad, SKIP, "data.bad_limit=1")
    with pytest.raises(
        InputError,
        match=r"light/5.jpg: a truncated JPEG .* limit of 1; repair .* in data.bad_limit; list all",
    ):
        run(recipe, tmp_path / "run")


def test_no_bad_file_is_left_out_unasked(bad, tmp_path):
    recipe = on_photos(bad)
    advice = r"`keras-ilsvrc data check`; to leave bad training images out, set data.on_bad"
    with pytest.raises(InputError, match=rf"dark/3.jpg: an empty file.*; list all .*{advice}"):
        run(recipe, tmp_path / "run")
    (bad / "train" / "dark" / "3.jpg").unlink()  # the other is found when training reads it
    with pytest.raises(InputError, match=rf"light/5.jpg: a truncated JPEG.*; list all .*{advice}"):
        run(recipe, tmp_path / "second")
