"""Runs on folders in which some files are bad."""

import numpy as np
import pytest
from PIL import Image

from keras_ilsvrc import InputError
from keras_ilsvrc.recipe import find, load
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.training.strategy import mirrored

pytestmark = pytest.mark.tensorflow
SHORT = ["schedule.steps=1", "schedule.learning_rate=[[0,0.1]]"]
SMALL = ["net=resnet_cifar", "build.depth=8"]


def short(*overrides):
    return load(find("quickstart"), [*SHORT, *SMALL, *overrides])


@pytest.fixture
def photos(tmp_path):
    """A folder of small JPEGs of two classes; two of the training images are bad."""
    random = np.random.default_rng(0)
    for part, count in (("train", 12), ("validation", 3), ("test", 3)):
        for label in ("dark", "light"):
            folder = tmp_path / "photos" / part / label
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 128, (32, 32, 3)) + 127 * (label == "light")
                Image.fromarray(pixels.astype("uint8")).save(folder / f"{number}.jpg")
    train = tmp_path / "photos" / "train"
    (train / "dark" / "3.jpg").write_bytes(b"")
    whole = (train / "light" / "5.jpg").read_bytes()  # behind tables of 623 bytes
    (train / "light" / "5.jpg").write_bytes(whole[: 623 + (len(whole) - 623) // 4])
    return tmp_path / "photos"


def on_photos(photos, *overrides):
    normalise = '{op="normalise", mean=[127.0, 127.0, 127.0], std=[60.0, 60.0, 60.0]}'
    ops = f'[{{op="centre_crop", size=8}}, {normalise}]'
    return short(
        f"data.dataset=folder:{photos}",
        "data.train=train",
        "data.batch_size=4",
        "build={classes=2, input_shape=[8, 8, 3], depth=8}",
        "schedule.steps=12",
        f"data.train_ops={ops}",
        f"data.eval_ops={ops}",
        "expect={protocol='single_view', top1_error=0.0}",
        *overrides,
    )


@pytest.fixture
def no_baseline(monkeypatch):
    """The recipe of the quickstart asks for one, and photographs have none."""
    from keras_ilsvrc.runs import train as run

    monkeypatch.setattr(run, "_check_baseline", lambda stage: None)
    monkeypatch.setattr(run, "_baseline", lambda stage: {})


def test_bad_files_are_left_out_of_training_and_listed(photos, tmp_path, no_baseline, capsys):
    from keras_ilsvrc.runs.train import train

    recipe = on_photos(photos, "data.on_bad=skip", "data.bad_limit=2")
    result = train(recipe, RunDirectory(tmp_path / "run", recipe))
    assert [line.rpartition("train/")[2] for line in result["left_out"]] == [
        "dark/3.jpg: an empty file, not an image (0 bytes)",
        f"light/5.jpg: a truncated JPEG ({(photos / 'train/light/5.jpg').stat().st_size} bytes)",
    ]
    said = [line for line in capsys.readouterr().err.splitlines() if "left out (" in line]
    assert len(said) == 1
    assert "light/5.jpg" in said[0]
    assert "back to step" in said[0]


def test_a_file_that_is_bad_behind_its_header_is_left_out_too(photos, tmp_path, no_baseline):
    from keras_ilsvrc.runs.train import train

    (photos / "train" / "dark" / "3.jpg").unlink()  # so that none is known beforehand
    recipe = on_photos(photos, "data.on_bad=skip", "data.bad_limit=1")
    (line,) = train(recipe, RunDirectory(tmp_path / "run", recipe))["left_out"]
    assert "light/5.jpg: a truncated JPEG" in line


def test_statistics_are_measured_without_bad_files(photos, no_baseline):
    from keras_ilsvrc.runs.experiment import set_up

    ops = '[{op="centre_crop", size=8}, {op="standardise"}]'
    overrides = f"data.train_ops={ops}", f"data.eval_ops={ops}"
    stage = set_up(
        on_photos(photos, "data.on_bad=skip", "data.bad_limit=2", *overrides), mirrored(1)
    )
    assert len(stage.left_out.listed()) == 2
    assert 100 < stage.statistics["channel_mean"].mean() < 160


def test_one_bad_file_more_than_the_limit_ends_training(photos, tmp_path, no_baseline):
    from keras_ilsvrc.runs.train import train

    recipe = on_photos(photos, "data.on_bad=skip", "data.bad_limit=1")
    with pytest.raises(InputError, match=r"light/5.jpg: a truncated JPEG .* data.bad_limit is 1"):
        train(recipe, RunDirectory(tmp_path / "run", recipe))


def test_no_bad_file_is_left_out_unasked(photos, tmp_path, no_baseline):
    from keras_ilsvrc.runs.train import train

    recipe = on_photos(photos)
    with pytest.raises(InputError, match=r"dark/3.jpg: an empty file"):
        train(recipe, RunDirectory(tmp_path / "run", recipe))
