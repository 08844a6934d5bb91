"""A run from its first weights to its evaluation, in this process, on one device."""

import csv

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_ilsvrc import InputError
from keras_ilsvrc.machine import HERE, Machine
from keras_ilsvrc.recipe import find, load
from keras_ilsvrc.rundir import RunDirectory
from keras_ilsvrc.training.callbacks import ProgressBar
from keras_ilsvrc.training.strategy import mirrored

pytestmark = pytest.mark.tensorflow
SHORT = ["schedule.steps=1", "schedule.learning_rate=[[0,0.1]]"]
SMALL = ["net=resnet_cifar", "build.depth=8"]


def short(*overrides):
    return load(find("quickstart"), [*SHORT, *SMALL, *overrides])


def test_a_run_from_a_weight_file_is_evaluated_without_that_file(tmp_path):
    from keras_ilsvrc.run import train
    from keras_ilsvrc.stage import set_stage
    from keras_ilsvrc.testing import errors_of, restore

    start = tmp_path / "start.weights.h5"
    set_stage(short("seed=7"), mirrored(1)).model.save_weights(start)
    recipe = short(f"initial={start}")
    result = train(recipe, RunDirectory(recipe, "run", tmp_path / "run"))
    start.unlink()
    again = errors_of([restore(tmp_path / "run", 1)])
    del again["probabilities"]
    assert again == {key: result[key] for key in again}


@pytest.mark.parametrize(
    ("recipe", "protocol", "by", "error"),
    [
        ("quickstart", "single_view", "measured", 2.0),
        ("quickstart", "ten_crop", None, None),  # the paper's figure is of other images
        ("vgg16", "dense", "published", 27.0),
        ("resnet50", "ten_crop", "published", 22.85),
        ("resnet50", "single_view", "published, ", 22.85),
    ],
)
def test_an_error_stands_beside_what_was_found_on_the_same_images(recipe, protocol, by, error):
    from types import SimpleNamespace

    from keras_ilsvrc.nets import info
    from keras_ilsvrc.testing import _expected

    loaded = load(find(recipe))
    found = _expected([SimpleNamespace(recipe=loaded, net=info(loaded.net))], protocol)
    assert (found or {}).get("top1_error") == error
    assert found is None if by is None else found["by"].startswith(by)


def test_a_damaged_weight_file_to_start_from_is_named(tmp_path):
    from keras_ilsvrc.run import train

    start = tmp_path / "start.weights.h5"
    start.write_bytes(b"not HDF5")
    recipe = short(f"initial={start}")
    with pytest.raises(InputError, match=f"^{start}: cannot be read: "):
        train(recipe, RunDirectory(recipe, "run", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "part"),
    [
        ("optimizer.rates={biases=2.0}", r"optimizer.rates.biases: .* has none.*'bias'"),
        ("loss.weights={aux1=0.3}", "loss.weights.aux1: .* has none"),
        ("accumulate=3", "data.batch_size is 128, which 1 replicas .* in 3 pieces"),
    ],
)
def test_what_the_net_does_not_have_is_refused(tmp_path, override, part):
    from keras_ilsvrc.run import train

    recipe = short(override)
    with pytest.raises(InputError, match=part):
        train(recipe, RunDirectory(recipe, "run", tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_initial_values_of_a_run_are_those_of_its_rule(tmp_path):
    from keras_ilsvrc.run import train

    history_of = {}
    for rule in ("he", "glorot"):
        recipe = short(f"initial={rule}")
        train(recipe, RunDirectory(recipe, rule, tmp_path / rule))
        history_of[rule] = (tmp_path / rule / "history.csv").read_text()
    assert history_of["he"] != history_of["glorot"]


def test_how_a_machine_trains_changes_no_weight(tmp_path):
    """Several steps a call, and files for TensorBoard beside it."""
    from keras_ilsvrc.run import train
    from keras_ilsvrc.testing import restore

    recipe = short("schedule.steps=5")
    weights = {}
    for name, machine in (("plain", HERE), ("other", Machine(steps_per_call=3, tensorboard=True))):
        train(recipe, RunDirectory(recipe, name, tmp_path / name), machine)
        weights[name] = restore(tmp_path / name).model.get_weights()
    for one, other in zip(weights["plain"], weights["other"], strict=True):
        np.testing.assert_array_equal(one, other)
    (events,) = (tmp_path / "other" / "tensorboard").iterdir()
    with open(tmp_path / "other" / "history.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert scalars(events)["loss"] == {5: pytest.approx(float(row["loss"]))}
    assert not (tmp_path / "plain" / "tensorboard").exists()


def scalars(events):
    """Values of an event file: by name, then by step."""
    found = {}
    for event in tf.compat.v1.train.summary_iterator(str(events)):
        for value in event.summary.value:
            found.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_xla_and_statistics_over_replicas_are_refused():
    from keras_ilsvrc.layers.graph import synchronize
    from keras_ilsvrc.stage import make_update, set_stage

    stage = set_stage(short(), mirrored(1))
    synchronize(stage.model, True)
    with pytest.raises(InputError, match=r"--xla: .*set batch_norm.statistics to 'replica'"):
        make_update(stage, xla=True)


def test_a_run_lends_the_named_layers_to_another_net(tmp_path):
    """As VGG's deeper nets start from net A."""
    from keras_ilsvrc.run import train
    from keras_ilsvrc.stage import set_initial, set_stage
    from keras_ilsvrc.testing import restore

    recipe = short()
    train(recipe, RunDirectory(recipe, "run", tmp_path / "run"))
    layers = ["conv1", "conv2_1"]
    deeper = [f'initial={{weights="{tmp_path / "run"}", layers={layers}, rest="he"}}']
    deeper.append("build.depth=14")
    stage = set_stage(short(*deeper), mirrored(1))
    drawn = stage.model.get_layer("logits").get_weights()
    set_initial(stage.model, stage.recipe, stage.net)
    lender = restore(tmp_path / "run").model
    for layer in layers:
        values = (model.get_layer(layer).get_weights() for model in (stage.model, lender))
        for one, other in zip(*values, strict=True):
            np.testing.assert_array_equal(one, other)
    assert (stage.model.get_layer("logits").get_weights()[0] != drawn[0]).any()
    assert (stage.model.get_layer("conv2_2").get_weights()[0] != 0).any()


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ('weights="nowhere", layers=["conv1"]', "initial.weights is 'nowhere'; expected the dir"),
        ('weights="run", layers=["conv11"]', "has no layer 'conv11'; did you mean 'conv1'"),
        (
            'weights="run", layers=["logits"]',
            r"logits of run has weights of \[\(64, 10\), .* needs",
        ),
    ],
)
def test_layers_that_cannot_be_lent_are_refused(tmp_path, monkeypatch, table, part):
    from keras_ilsvrc.stage import set_initial, set_stage, without_optimizer

    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.toml").write_text(short().toml())
    weights = tmp_path / "run" / "final.weights.h5"
    without_optimizer(set_stage(short(), mirrored(1)).model).save_weights(weights)
    recipe = short(f'initial={{{table}, rest="he"}}', "build.width=0.5")
    stage = set_stage(recipe, mirrored(1))
    with pytest.raises(InputError, match=part):
        set_initial(stage.model, recipe, stage.net)


def test_a_run_that_goes_on_needs_its_first_weights_no_more(tmp_path, monkeypatch):
    from keras_ilsvrc import run
    from keras_ilsvrc.training.stopping import Stopped

    start = tmp_path / "start.weights.h5"
    run.set_stage(short("seed=7"), mirrored(1)).model.save_weights(start)
    recipe = short(f"initial={start}", "schedule.steps=24")
    stop_at_epoch_end = run.History.on_epoch_end

    def stop(self, epoch, logs=None):
        raise Stopped("stopped")

    monkeypatch.setattr(run.History, "on_epoch_end", stop)
    with pytest.raises(Stopped):
        run.train(recipe, RunDirectory(recipe, "run", tmp_path / "run"))
    start.unlink()
    monkeypatch.setattr(run.History, "on_epoch_end", stop_at_epoch_end)
    result = run.train(recipe, RunDirectory(recipe, "run", tmp_path / "run", resume=True))
    assert result["images"] == 360


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
    from keras_ilsvrc import run

    monkeypatch.setattr(run, "_check_baseline", lambda stage: None)
    monkeypatch.setattr(run, "_baseline", lambda stage: {})


def test_bad_files_are_left_out_of_training_and_listed(photos, tmp_path, no_baseline, capsys):
    from keras_ilsvrc.run import train

    recipe = on_photos(photos, "data.on_bad=skip", "data.bad_limit=2")
    result = train(recipe, RunDirectory(recipe, "run", tmp_path / "run"))
    assert [line.rpartition("train/")[2] for line in result["left_out"]] == [
        "dark/3.jpg: an empty file, not an image (0 bytes)",
        f"light/5.jpg: a truncated JPEG ({(photos / 'train/light/5.jpg').stat().st_size} bytes)",
    ]
    said = [line for line in capsys.readouterr().err.splitlines() if "left out (" in line]
    assert len(said) == 1
    assert "light/5.jpg" in said[0]
    assert "back to step" in said[0]


def test_a_file_that_is_bad_behind_its_header_is_left_out_too(photos, tmp_path, no_baseline):
    from keras_ilsvrc.run import train

    (photos / "train" / "dark" / "3.jpg").unlink()  # so that none is known beforehand
    recipe = on_photos(photos, "data.on_bad=skip", "data.bad_limit=1")
    (line,) = train(recipe, RunDirectory(recipe, "run", tmp_path / "run"))["left_out"]
    assert "light/5.jpg: a truncated JPEG" in line


def test_statistics_are_measured_without_bad_files(photos, no_baseline):
    from keras_ilsvrc.stage import set_stage

    ops = '[{op="centre_crop", size=8}, {op="standardise"}]'
    overrides = f"data.train_ops={ops}", f"data.eval_ops={ops}"
    stage = set_stage(
        on_photos(photos, "data.on_bad=skip", "data.bad_limit=2", *overrides), mirrored(1)
    )
    assert len(stage.left_out.listed()) == 2
    assert 100 < stage.statistics["channel_mean"].mean() < 160


def test_one_bad_file_more_than_the_limit_ends_training(photos, tmp_path, no_baseline):
    from keras_ilsvrc.run import train

    recipe = on_photos(photos, "data.on_bad=skip", "data.bad_limit=1")
    with pytest.raises(InputError, match=r"light/5.jpg: a truncated JPEG .* data.bad_limit is 1"):
        train(recipe, RunDirectory(recipe, "run", tmp_path / "run"))


def test_no_bad_file_is_left_out_unasked(photos, tmp_path, no_baseline):
    from keras_ilsvrc.run import train

    recipe = on_photos(photos)
    with pytest.raises(InputError, match=r"dark/3.jpg: an empty file"):
        train(recipe, RunDirectory(recipe, "run", tmp_path / "run"))


def test_the_progress_bar_gives_the_terminal_back_when_training_breaks_off(monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")  # rich then takes stderr for a terminal
    progress = ProgressBar(10, 5, 2)

    def break_off():
        with progress:
            progress.on_train_begin()
            assert progress.bar.live.is_started
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert not progress.bar.live.is_started


def test_weights_that_the_disk_has_no_room_for_are_not_begun(tmp_path, monkeypatch):
    import shutil
    from types import SimpleNamespace

    import keras

    from keras_ilsvrc.run import _write_weights

    inputs = keras.Input((1000,))
    net = keras.Model(inputs, keras.layers.Dense(100)(inputs))  # 400 kB
    for free, there in ((300_000, False), (500_000, True)):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda path, usage=usage: usage)
        path = tmp_path / "net.weights.h5"
        if not there:
            with pytest.raises(OSError, match="No space left"):
                _write_weights(net, path)
        else:
            _write_weights(net, path)
        assert path.exists() == there
