"""Tests of recipe keys that change training: their effect, and exact resumption."""

from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError
from small import draw_photos, on_photos, run, short, weights_of

from keras_ilsvrc import InputError
from keras_ilsvrc.layers.graph import batch_norms
from keras_ilsvrc.recipe import training
from keras_ilsvrc.runs import fit
from keras_ilsvrc.runs.evaluate import errors_of, restore
from keras_ilsvrc.runs.experiment import set_up
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.runs.update import OPTIMIZERS, OURS, make_update
from keras_ilsvrc.training.records import History
from keras_ilsvrc.training.stopping import Stopped
from keras_ilsvrc.training.strategy import mirrored

pytestmark = pytest.mark.tensorflow
KEYS = [
    'schedule={name="cosine", epochs=8, warm_up=[0.5, 0.001], learning_rate=0.01}',
    'optimizer={name="adamw", beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=0.1}',
    "optimizer.average=0.9",
    "keep=best",
    "keep_epochs=[3]",
    "freeze=conv1",
    "early_stopping.patience=2",
    "loss.class_weights=balanced",
    "loss.label_smoothing=0.1",
    "data.mixup=0.2",
]
PER_EPOCH = 5  # steps, of 20 images in batches of 4
ERRORS = [40.0, 30.0, 20.0, 20.0, 35.0]  # validation errors of the epochs


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """A recipe with all of the keys, on 8 dark and 12 light photographs."""
    folder = draw_photos(tmp_path_factory.mktemp("data") / "photos")
    for number in range(4):
        (folder / "train" / "dark" / f"{number}.jpg").unlink()
    return on_photos(folder, *KEYS)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_key_of_an_optimizer_reaches_it(name):
    """All values are either 0.25 or, for keys that refuse numbers, True."""
    (table,) = (x for x in vars(training).values() if is_table_of(x, name))
    keys = set(table.model_fields) - OURS - {"rates"}
    given = {key: 0.25 if takes(table, key, 0.25) else True for key in keys}
    config = OPTIMIZERS[name](0.1, **given).get_config()
    assert {key: config[key] for key in keys} == given


def is_table_of(thing, optimizer):
    fields = getattr(thing, "model_fields", {})
    return "name" in fields and get_args(fields["name"].annotation) == (optimizer,)


def takes(table, key, value):
    """Whether a value of a key is valid."""
    with pytest.raises(ValidationError) as caught:
        table.model_validate({key: value, "no such key": 1})
    return all(error["loc"] != (key,) for error in caught.value.errors())


def test_a_recipe_trains_with_the_squared_error(tmp_path):
    """Of probabilities it is at most 1; the cross-entropy of a new net on ten classes is 2.3."""
    run(short("loss.name=squared_error", "data.validation=validation"), tmp_path)
    (row,) = RunFiles(tmp_path).history()
    assert 0.2 < row["loss"] <= 1
    assert 0.2 < row["validation_loss"] <= 1


def test_mixup_of_single_images_is_refused(recipe):
    recipe = recipe.model_copy(update={"accumulate": 4})
    experiment = set_up(recipe, mirrored(1))
    with pytest.raises(
        InputError, match=r"^data.mixup .* data.batch_size = 4 is divided into 4 pieces;"
    ):
        make_update(experiment)


def trained(recipe, path, stops=(), on_stop=lambda: None):
    """Train with the errors of `ERRORS`, after stops at the end of some epochs."""

    def validate(experiment, update, stop):
        epoch = int(update.optimizer.iterations.numpy()) // PER_EPOCH
        return {"loss": 1.0, "error": ERRORS[epoch - 1]}

    def stopping(self, epoch, logs=None):
        if epoch + 1 in left:
            left.remove(epoch + 1)
            raise Stopped("stopped")
        written(self, epoch, logs)

    written, left = History.on_epoch_end, list(stops)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "_validate", validate)
        patch.setattr(History, "on_epoch_end", stopping)
        for _ in stops:
            with pytest.raises(Stopped):
                run(recipe, path)
            on_stop()
        return run(recipe, path)


def check(path):
    """Check that a run ended two epochs after its third, whose averages it kept."""
    run = RunFiles(path)
    result = run.result()
    assert (result["kept_epoch"], result["stopped_epoch"]) == (3, 5)
    assert [row["validation_error"] for row in run.history()] == ERRORS
    kept, final = weights_of(run.kept_weights()[3]), weights_of(run.weights())
    assert kept.keys() == final.keys()
    for name, value in kept.items():
        np.testing.assert_array_equal(value, final[name])
    assert not {"best", "checkpoints"} & {x.name for x in path.iterdir()}
    return run, final


def test_a_stopped_run_ends_early_with_the_averages_of_its_best_epoch(recipe, tmp_path):
    """It is resumed and evaluated without the file of weights from which it has started."""
    start = tmp_path / "start.weights.h5"
    set_up(recipe, mirrored(1)).model.save_weights(start)
    recipe = recipe.model_copy(update={"initial": str(start)})
    result = trained(recipe, tmp_path / "run", [4], start.unlink)
    check(tmp_path / "run")
    again = errors_of([restore(tmp_path / "run", 1)])
    del again["probabilities"]
    assert again == {key: result[key] for key in again}


@pytest.mark.slow
def test_a_stopped_run_ends_in_the_same_bits(recipe, tmp_path):
    ends = []
    for name, stops in (("whole", []), ("parts", [1, 3, 4, 5])):
        trained(recipe, tmp_path / name, stops)
        run, final = check(tmp_path / name)
        timed = {"images_per_second": 0, "input_wait": 0}
        ends.append(([row | timed for row in run.history()], final))
    (history, one), (again, other) = ends
    assert history == again
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])


def test_lengths_in_epochs_become_steps_and_balanced_classes_weights(recipe):
    stage = set_up(recipe, mirrored(1))
    update = make_update(stage)
    assert (stage.steps_per_epoch, stage.steps) == (PER_EPOCH, 8 * PER_EPOCH)
    assert stage.schedule.warm_up == [3, 0.001]  # half an epoch of 5 steps
    assert update.loss.class_weights == (20 / (2 * 8), 20 / (2 * 12))


def test_a_frozen_layer_and_all_before_it_are_not_trained():
    stage = set_up(short("freeze=conv3_1"), mirrored(1))
    before = {x.path: x.numpy() for x in stage.model.variables}
    update = make_update(stage)
    frozen = {x.name: not x.trainable for x in stage.model.layers if x.weights}
    assert frozen == {name: name in ("conv1", "conv1_bn", "conv2_1", "conv3_1") for name in frozen}
    slots = len(update.optimizer.variables) - 2  # besides iterations and rate
    assert slots == len(stage.model.trainable_weights) == len(update.model.trainable_weights)
    images = np.random.default_rng(0).normal(size=(4, 8, 8, 1)).astype("float32")
    stage.model(images, training=True)
    changed = {x.path for x in stage.model.variables if (x.numpy() != before[x.path]).any()}
    live = [x for x in batch_norms(stage.model) if x.trainable]
    assert live
    assert changed == {y.path for x in live for y in (x.moving_mean, x.moving_variance)}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conv3_11", "freeze: .* has no layer 'conv3_11'; did you mean 'conv3_1'"),
        ("predictions", "freeze is 'predictions', which leaves no weights to train"),
    ],
)
def test_what_cannot_be_frozen_is_refused(name, message):
    stage = set_up(short(f"freeze={name}"), mirrored(1))
    with pytest.raises(InputError, match=message):
        make_update(stage)
