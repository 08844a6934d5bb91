"""Tests of runs that watch gradients and responses, of their picture, and of decaying losses."""

from types import SimpleNamespace

import numpy as np
import pytest
from small import on_photos, run, short, stop_in_first_epoch, weights_of

from keras_ilsvrc import InputError
from keras_ilsvrc.runs import flow
from keras_ilsvrc.runs.experiment import set_up
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.runs.update import _loss, check_update
from keras_ilsvrc.training.gradient_flow import branch_placement, gradient_flow
from keras_ilsvrc.training.strategy import mirrored

pytestmark = pytest.mark.tensorflow
LAYERS = ["conv1", *(f"conv{n}_1/conv_{m}" for n in (2, 3, 4) for m in (1, 2)), "logits"]


@pytest.fixture(scope="module")
def watched(small_run, tmp_path_factory):
    """The small run again, with a watch, stopped in its first epoch and resumed."""
    path = tmp_path_factory.mktemp("watched") / "run"
    recipe = RunFiles(small_run).recipe().model_copy(update={"watch": ["gradients", "responses"]})
    stop_in_first_epoch(recipe, path)
    run(recipe, path)
    return path


def test_a_watched_run_ends_in_the_same_bits(small_run, watched):
    one, other = (weights_of(RunFiles(path).weights()) for path in (small_run, watched))
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name])


def test_its_rows_are_read_back_and_belong_to_its_files(watched):
    files = RunFiles(watched)
    assert "gradients.csv" in files.identity.files
    assert (watched / "gradients.png").stat().st_size > 10_000
    rows = files.gradients()
    assert [row["layer"] for row in rows] == LAYERS * 9
    steps = {row["step"]: row["epoch"] for row in rows}
    assert steps == {0: 0, 1: 1, 2: 1, 5: 1, 10: 1, 12: 1, 20: 2, 24: 2, 36: 3}
    assert all(row[name] > 0 for row in rows for name in [*row][3:])
    assert branch_placement(rows) is None
    assert branch_placement(rows, below=np.inf) == "logits"


def test_the_last_rows_are_those_of_the_trained_net_on_the_first_images(watched):
    """The images of step 0, at most 64, as in training."""
    recipe = RunFiles(watched).recipe()
    experiment = set_up(recipe, mirrored(1), RunFiles(watched).statistics())
    experiment.model.load_weights(watched / "final.weights.h5")
    images, labels = flow._first_images(experiment)
    assert len(labels) == 64 < recipe.data.batch_size
    found = gradient_flow(experiment.model, np.float32(_prepared(experiment, images)), labels)
    last = RunFiles(watched).gradients()[-len(LAYERS) :]
    assert [row.layer for row in found] == LAYERS
    for row, expected in zip(found, last, strict=True):
        assert row._asdict() == pytest.approx({name: expected[name] for name in row._fields})


def _prepared(experiment, images):
    from keras_ilsvrc.data.device import apply_to_batch

    return apply_to_batch(images, experiment.device_rows, experiment.statistics)


def test_a_run_without_a_watch_has_neither_file(small_run):
    assert RunFiles(small_run).gradients() == []
    assert not {"gradients.csv", "gradients.png"} & {x.name for x in small_run.iterdir()}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("[]", "watch"),
        ('["gradient"]', "watch.*gradients"),
        ('["gradients","gradients"]', "watch.*expected each name once"),
        ('"gradients"', "watch"),
    ],
)
def test_what_cannot_be_watched_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        short(f"watch={given}")


def drawn(rows):
    """The figure of some rows."""
    with pytest.MonkeyPatch.context() as patch:
        held = []
        patch.setattr(flow, "save", lambda figure, path: held.append(figure))
        flow.flow(rows, None, "title")
    held[0].draw_without_rendering()
    return held[0]


def rows(layers, steps, **columns):
    empty = dict.fromkeys(("weight_gradient", "activation_gradient", "response"))
    return [
        {"step": float(step), "epoch": 1.0, "layer": f"conv{layer}", **empty}
        | {name: value(layer, step) for name, value in columns.items()}
        for step in steps
        for layer in range(layers)
    ]


def test_a_picture_shows_depth_against_time_in_logarithmic_colours():
    steps = (0, 1, 2, 5)
    figure = drawn(rows(3, steps, response=lambda layer, step: 10.0 ** (layer - step)))
    axes, bar = figure.axes
    (image,) = axes.images
    assert image.get_array().tolist() == [[10.0 ** (n - step) for step in steps] for n in range(3)]
    assert image.norm.vmin == pytest.approx(1e-5)
    assert image.norm.vmax == pytest.approx(100)
    assert image.norm(0.0316) == pytest.approx(0.5, abs=1e-3)  # of the logarithms, the middle
    assert [x.get_text() for x in axes.get_yticklabels()] == ["conv0", "conv1", "conv2"]
    low, high = axes.get_ylim()
    assert low < high  # the first layer is at the bottom
    assert [x.get_text() for x in axes.get_xticklabels()] == ["0", "1", "2", "5"]
    assert bar.get_yscale() == "log"


def test_each_quantity_has_a_panel_and_of_many_layers_few_are_named():
    columns = {"weight_gradient": lambda *_: 1e-3, "activation_gradient": lambda *_: 1e-9}
    figure = drawn(rows(100, range(40), **columns))
    panels = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title()[:13] for axes in panels] == ["gradient of w", "gradient of r"]
    names = [text.get_text() for text in panels[0].get_yticklabels()]
    assert names == [f"conv{n}" for n in range(0, 100, 4)]
    assert len(panels[0].get_xticks()) <= 12
    assert max(figure.get_size_inches()) < 15


def test_values_of_zero_or_not_finite_are_drawn_too():
    values = iter([0.0, 1.0, float("nan"), float("inf"), 0.01, 0.1])
    (image,) = drawn(rows(2, range(3), response=lambda *_: next(values))).axes[0].images
    shown = image.get_array().filled(-1)  # nothing is drawn there
    assert shown.tolist() == [[0.01, -1, 0.01], [1.0, -1, 0.1]]  # 0 as the smallest above it
    drawn([])
    drawn(rows(2, range(3), response=lambda *_: 0.0))


def test_a_recipe_gives_its_loss_the_decay_of_its_epochs(photos):
    recipe = on_photos(photos, 'loss={name="cross_entropy", weights={aux=0.3}, decay="cnds"}')
    experiment = SimpleNamespace(
        recipe=recipe, steps_per_epoch=5, steps=22, train=SimpleNamespace(labels=np.zeros(20, int))
    )
    decay = _loss(experiment).decay
    assert decay.steps_per_epoch == 5
    assert decay.factors == pytest.approx([1, 1, 0.8, 0.48, 0.192])  # five epochs


def test_a_decay_without_an_auxiliary_output_is_refused():
    stage = set_up(short("loss.decay=linear"), mirrored(1))
    with pytest.raises(InputError, match=r"loss.decay is 'linear', but .* has no auxiliary output"):
        check_update(stage)
