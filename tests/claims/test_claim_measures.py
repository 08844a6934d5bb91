"""Tests of the measures of claims."""

import pytest

from keras_ilsvrc.claims.measures import MEASURES, Trained

pytestmark = pytest.mark.tensorflow


def test_the_measures_of_a_run(small_run):
    """A real run: 36 steps of a small net on the digits."""
    run = Trained(small_run, at=50.0)
    found = {
        name: MEASURES[name].of(run) for name in MEASURES if "watch" not in MEASURES[name].needs
    }
    rows = run.history
    assert found["training_error"] == rows[-1]["error"]
    assert found["training_loss"] == rows[-1]["loss"]
    assert found["test_error"] == run.result["top1_error"]
    assert found["gap"] == found["test_error"] - run.error_on_training_images
    assert 0 <= run.error_on_training_images < 60
    assert 0 <= found["dead_filters"] <= 100
    assert found["images_per_second"] > 0
    assert 0 <= found["input_wait"] <= 100
    same = Trained(small_run, test={"protocol": "single_view"})
    assert MEASURES["test_error"].of(same) == pytest.approx(found["test_error"], abs=1e-6)
    mirrored = Trained(small_run, test={"protocol": "multi_scale", "scales": [8] * 5})
    assert MEASURES["test_error"].of(mirrored) > found["test_error"]  # digits are no mirror images


ERRORS = [(10.0, 80.0), (20.0, 40.0), (30.0, 30.0)]


@pytest.mark.parametrize(
    ("at", "expected"), [(90.0, 5.0), (80.0, 10.0), (50.0, 17.5), (30.0, 30.0), (29.0, 30.0)]
)
def test_steps_to_a_level_are_interpolated_between_epochs(tmp_path, at, expected):
    run = Trained(tmp_path, at=at)
    run.history = [{"step": step, "error": error} for step, error in ERRORS]
    assert MEASURES["steps_to_error"].of(run) == pytest.approx(expected)


def test_gradients_are_averaged_over_the_first_steps(tmp_path):
    run = Trained(tmp_path)
    keys = ("step", "layer", "weight_gradient", "response")
    rows = [(0, "a", 0.1, 1.0), (0, "b", 1.0, 1.0), (50, "a", 0.3, 1.0), (50, "b", 3.0, 1.0)]
    rows += [(60, "a", 9.0, 2.0), (60, "b", 9.0, 4.0)]
    run.flow = [dict(zip(keys, row)) for row in rows]
    assert MEASURES["first_gradient"].of(run) == pytest.approx(-0.69897)
    assert MEASURES["gradient_ratio"].of(run) == pytest.approx(-1)
    assert MEASURES["response"].of(run) == 3
