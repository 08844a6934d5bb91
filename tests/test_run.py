"""A run from its first weights to its evaluation, in this process, on one device."""

import pytest

from keras_ilsvrc import InputError
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
    from keras_ilsvrc.run import evaluate, restore, set_stage, train

    start = tmp_path / "start.weights.h5"
    set_stage(short("seed=7"), mirrored(1)).model.save_weights(start)
    recipe = short(f"initial={start}")
    result = train(recipe, RunDirectory(recipe, "run", tmp_path / "run"), 1)
    start.unlink()
    again = evaluate(restore(tmp_path / "run", 1))
    del again["probabilities"]
    assert again == {key: result[key] for key in again}


def test_a_damaged_weight_file_to_start_from_is_named(tmp_path):
    from keras_ilsvrc.run import train

    start = tmp_path / "start.weights.h5"
    start.write_bytes(b"not HDF5")
    recipe = short(f"initial={start}")
    with pytest.raises(InputError, match=f"^{start}: cannot be read: "):
        train(recipe, RunDirectory(recipe, "run", tmp_path / "run"), 1)
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
        train(recipe, RunDirectory(recipe, "run", tmp_path / "run"), 1)
    assert not (tmp_path / "run").exists()


def test_initial_values_of_a_run_are_those_of_its_rule(tmp_path):
    from keras_ilsvrc.run import train

    history_of = {}
    for rule in ("he", "glorot"):
        recipe = short(f"initial={rule}")
        train(recipe, RunDirectory(recipe, rule, tmp_path / rule), 1)
        history_of[rule] = (tmp_path / rule / "history.csv").read_text()
    assert history_of["he"] != history_of["glorot"]


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
