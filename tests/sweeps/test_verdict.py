"""Tests of the verdict on the best trial of a sweep, from the errors of several seeds."""

import pytest

from keras_ilsvrc.sweeps.outcome import Comparison


@pytest.mark.parametrize(
    ("recipe", "winner", "step", "failure", "expected"),
    [
        ([5.0, 5.2, 5.1], [4.0, 4.1, 4.2], 0.0, "", "better by 1.00 +- 0.06 points"),
        ([4.0, 4.1, 4.2], [5.0, 5.2, 5.1], 0.0, "", "worse by 1.00 +- 0.06 points"),
        ([5.0, 5.2, 5.1], [4.0, 5.2, 5.3], 0.0, "", "no difference seen (-0.27 +- 0.37 points)"),
        # t is 3.5 and 2.6, with 2 degrees of freedom; 2.92 is needed
        ([1.0, 2.0, 3.0], [0.5, 1.0, 1.5], 0.0, "", "better by 1.00 +- 0.29 points"),
        ([1.0, 2.0, 3.0], [0.5, 1.5, 1.5], 0.0, "", "no difference seen (-0.83 +- 0.33 points)"),
        ([5.0, 5.0], [5.0, 5.0], 0.0, "", "no difference seen (+0.00 +- 0.00 points)"),
        # equal differences of a few images are not exact
        ([5.0, 5.0], [4.0, 4.0], 0.5, "", "no difference seen (-1.00 +- 0.35 points)"),
        ([5.0, 5.0, 5.0], [4.0, 4.0, 4.0], 0.5, "", "better by 1.00 +- 0.29 points"),
        ([5.0], [], 0.5, "it diverged", "not compared with the recipe: it diverged"),
    ],
)
def test_the_verdict_needs_more_than_the_spread(recipe, winner, step, failure, expected):
    comparison = Comparison(range(len(recipe)), recipe, winner, step, failure)
    assert comparison.verdict(" points") == expected
