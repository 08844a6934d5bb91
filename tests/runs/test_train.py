"""Tests of a run from its initial weights to its evaluation, in this process, on one device."""

import shutil
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from small import run, short, weights_of

from keras_ilsvrc import InputError
from keras_ilsvrc.layers.graph import synchronize
from keras_ilsvrc.nets import info
from keras_ilsvrc.recipe import find, load
from keras_ilsvrc.runs.evaluate import _expected, restore
from keras_ilsvrc.runs.experiment import set_up
from keras_ilsvrc.runs.fit import write_weights
from keras_ilsvrc.runs.initial import set_initial
from keras_ilsvrc.runs.machine import Machine
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.runs.update import make_update
from keras_ilsvrc.training.callbacks import ProgressBar
from keras_ilsvrc.training.initial import RULES, set_initial_values
from keras_ilsvrc.training.strategy import mirrored

pytestmark = pytest.mark.tensorflow


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
    loaded = load(find(recipe))
    found = _expected([SimpleNamespace(recipe=loaded, net=info(loaded.net))], protocol)
    assert (found or {}).get("top1_error") == error
    assert found is None if by is None else found["by"].startswith(by)


def test_a_damaged_weight_file_to_start_from_is_named(tmp_path):
    start = tmp_path / "start.weights.h5"
    start.write_bytes(b"not HDF5")
    recipe = short(f"initial={start}")
    with pytest.raises(InputError, match=f"^{start}: cannot read the hdf5 file: .*download"):
        run(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "part"),
    [
        (
            "optimizer.rates={biases=2.0}",
            r"optimizer.rates.biases: .* has no layer 'biases'.*'bias'",
        ),
        ("loss.weights={aux1=0.3}", "loss.weights.aux1: .* has no output 'aux1'"),
        (
            "accumulate=3",
            "data.batch_size is 128, which 1 replica cannot share evenly with accumulate = 3",
        ),
    ],
)
def test_what_the_net_does_not_have_is_refused(tmp_path, override, part):
    recipe = short(override)
    with pytest.raises(InputError, match=part):
        run(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_initial_values_are_those_of_the_recipes_rule_and_seed():
    experiment = set_up(short(), mirrored(1))
    for rule in ("he", "glorot"):
        set_initial(experiment.model, short(f"initial={rule}", "seed=5"), experiment.net)
        found = experiment.model.get_weights()
        set_initial_values(experiment.model, RULES[rule], 5)
        for one, other in zip(found, experiment.model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_how_a_machine_trains_changes_no_weight(small_run, tmp_path):
    """Several steps a call, which do not divide an epoch, and files for TensorBoard beside it."""
    recipe, out = RunFiles(small_run).recipe(), tmp_path / "other"
    run(recipe, out, machine=Machine(steps_per_call=5, tensorboard=True))
    one, other = (weights_of(RunFiles(path).weights()) for path in (small_run, out))
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])
    (events,) = (out / "tensorboard").iterdir()
    losses = {int(row["step"]): row["loss"] for row in RunFiles(out).history()}
    assert losses.keys() == {12, 24, 36}
    assert scalars(events)["loss"] == pytest.approx(losses)
    assert not (small_run / "tensorboard").exists()


def scalars(events):
    """Values of an event file: by name, then by step."""
    found = {}
    for event in tf.compat.v1.train.summary_iterator(str(events)):
        for value in event.summary.value:
            found.setdefault(value.tag, {})[event.step] = float(tf.make_ndarray(value.tensor))
    return found


def test_xla_and_statistics_over_replicas_are_refused():
    stage = set_up(short(), mirrored(1))
    synchronize(stage.model, True)
    with pytest.raises(InputError, match=r"--xla: .*set batch_norm.statistics to 'replica'"):
        make_update(stage, xla=True)


def test_a_run_lends_the_named_layers_to_another_net(small_run):
    """As VGG's deeper nets start from net A."""
    layers = ["conv1", "conv2_1"]
    deeper = [f'initial={{weights="{small_run}", layers={layers}, rest="he"}}', "build.depth=14"]
    stage = set_up(short(*deeper), mirrored(1))
    drawn = stage.model.get_layer("logits").get_weights()
    set_initial(stage.model, stage.recipe, stage.net)
    lender = restore(small_run).model
    for layer in layers:
        values = (model.get_layer(layer).get_weights() for model in (stage.model, lender))
        for one, other in zip(*values, strict=True):
            np.testing.assert_array_equal(one, other)
    assert (stage.model.get_layer("logits").get_weights()[0] != drawn[0]).any()
    assert (stage.model.get_layer("conv2_2").get_weights()[0] != 0).any()


def test_layers_that_cannot_be_lent_are_refused(small_run):
    stage = set_up(short("build.width=0.5"), mirrored(1))
    for table, part in (
        ('weights="nowhere", layers=["conv1"]', "weights is 'nowhere', which is neither a file"),
        ('weights="RUN", layers=["conv11"]', "has no layer 'conv11'; did you mean 'conv1'"),
        (
            'weights="RUN", layers=["logits"]',
            r"shapes differ: logits/kernel \(64, 10\), expected \(32, 10\)",
        ),
    ):
        table = table.replace("RUN", str(small_run))
        recipe = short(f'initial={{{table}, rest="he"}}', "build.width=0.5")
        with pytest.raises(InputError, match=part):
            set_initial(stage.model, recipe, stage.net)


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
    inputs = keras.Input((1000,))
    net = keras.Model(inputs, keras.layers.Dense(100)(inputs))  # 400 kB
    for free, there in ((300_000, False), (500_000, True)):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda path, usage=usage: usage)
        path = tmp_path / "net.weights.h5"
        if not there:
            with pytest.raises(OSError, match="No space left"):
                write_weights(net, path)
        else:
            write_weights(net, path)
        assert path.exists() == there
