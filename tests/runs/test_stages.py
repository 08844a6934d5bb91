"""Tests of runs with two stages: the second stage starts from the weights of the first."""

import shutil

import numpy as np
import pytest
from small import draw_photos, on_photos, run, weights_of

from keras_ilsvrc import InputError
from keras_ilsvrc.recipe import find, load
from keras_ilsvrc.runs import train
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.runs.results import rows_of
from keras_ilsvrc.training.records import History
from keras_ilsvrc.training.stopping import Stopped

pytestmark = pytest.mark.tensorflow
FIRST = 'first={freeze="conv4_1", schedule={steps=6, learning_rate=[[0, 0.05]]}}'
TWO = [FIRST, "optimizer.average=0.9", "optimizer.rates={head=2.0}", "data.batch_size=4"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    return on_photos(draw_photos(tmp_path_factory.mktemp("stages") / "photos"), *TWO)


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory):
    """A run of both stages; beside it is `between`, a copy as it was between them."""
    path = tmp_path_factory.mktemp("stages") / "whole"
    real, stages = train.fit, []

    def fit(*arguments):
        stages.append(arguments)
        if len(stages) == 2:
            shutil.copytree(path, path.with_name("between"))
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "fit", fit)
        run(recipe, path)
    return path


def stopped(recipe, path, count):
    """Train until the end of an epoch, counted over both stages."""
    left = [count]

    def stop(self, epoch, logs=None):
        left[0] -= 1
        if left[0] == 0:
            raise Stopped("stopped")
        written(self, epoch, logs)

    written = History.on_epoch_end
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(History, "on_epoch_end", stop)
        with pytest.raises(Stopped):
            run(recipe, path)


def test_a_second_stage_starts_from_the_weights_of_the_first(recipe, whole):
    first, second = RunFiles(whole).first, RunFiles(whole)
    assert first.recipe() == recipe.model_validate(recipe.first_table())
    assert (first.recipe().freeze, second.recipe().freeze) == ("conv4_1", None)
    assert second.recipe() == recipe
    start, end = weights_of(first.weights()), weights_of(second.weights())
    assert all((start[name] != end[name]).any() for name in start if "/vars/0" in name)
    assert [row.runs for row in rows_of([whole])] == [(str(whole),)]


def check_weights(path, other):
    """Both stages of two runs end in the same bits."""
    for files in (lambda x: x, lambda x: x.first):
        one, again = (weights_of(files(RunFiles(x)).weights()) for x in (path, other))
        for name, value in one.items():
            np.testing.assert_array_equal(value, again[name])


def test_a_run_that_ends_between_the_stages_goes_on_with_the_second(recipe, whole):
    between = whole.with_name("between")
    assert RunFiles(between).first.finished
    seconds = RunFiles(between).first.result()["seconds"]
    run(recipe, between)
    assert RunFiles(between).first.result()["seconds"] == seconds  # it was not trained again
    check_weights(whole, between)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2])  # epochs
def test_a_run_that_stops_in_either_stage_ends_in_the_same_bits(recipe, whole, tmp_path, count):
    """The first stage has one epoch, the second two."""
    stopped(recipe, tmp_path / "parts", count)
    assert RunFiles(tmp_path / "parts").first.finished == (count > 1)
    run(recipe, tmp_path / "parts")
    check_weights(whole, tmp_path / "parts")


def test_the_second_stage_is_checked_before_the_first_is_trained(recipe, tmp_path):
    wrong = recipe.model_copy(update={"freeze": "conv5_1"})
    with pytest.raises(InputError, match=r"freeze: .* has no layer 'conv5_1'; did you mean"):
        run(wrong, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ('first.frezee="conv1"', "first.frezee: unknown key; did you mean 'freeze'?"),
        ("first.schedule={epochs=3}", "first.schedule.epochs: 3: expected either steps or epochs"),
        ("first.optimizer={moment=0.1}", "first.optimizer.moment: unknown key; did you mean"),
        ("first.keep=best", "first.keep: needs data.validation"),
        ("first.schedule=3", "first.schedule: 3 should be a table"),
    ],
)
def test_wrong_keys_of_the_first_stage_are_named(override, message):
    with pytest.raises(InputError) as caught:
        load(find("quickstart"), [override])
    assert str(caught.value).startswith(f"--set {override}: {message}")


def test_a_table_with_a_name_replaces_that_of_the_recipe():
    adam = 'first.optimizer={name="adam", beta_1=0.9, beta_2=0.999, epsilon=1e-7}'
    table = load(find("quickstart"), [adam, "first.loss={label_smoothing=0.1}"]).first_table()
    assert set(table["optimizer"]) == {"name", "beta_1", "beta_2", "epsilon"}
    assert table["loss"] == {"name": "cross_entropy", "label_smoothing": 0.1}
    assert not {"first", "expect", "baseline", "report"} & table.keys()


def test_the_directory_of_a_worker_has_no_stages(recipe, tmp_path):
    directory = RunDirectory(tmp_path / "x", recipe)
    assert not directory.past_first
    assert directory.of_first(recipe).path.name == "first"
