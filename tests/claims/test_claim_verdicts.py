"""Tests of the rule of the verdict: with values whose intervals are computed by hand."""

import math

import pytest

from keras_ilsvrc.claims.schema import Row
from keras_ilsvrc.claims.verdict import effect_of, overall

NAN = math.nan
HIGHER = {"higher": "a", "lower": "b"}
ALIKE = {"alike": ["a", "b"], "within": 2.0}


def effect(row, measure="training_error", **values):
    return effect_of(Row(**row), measure, values)


# The variance of (x - 1, x, x + 1) is 1, so two of them differ with an error of sqrt(2/3) = 0.816.
@pytest.mark.parametrize(
    ("row", "a", "b", "value", "verdict"),
    [
        (HIGHER, [9, 10, 11], [7.3, 8.3, 9.3], 1.7, "seen"),
        (HIGHER, [9, 10, 11], [7.4, 8.4, 9.4], 1.6, "not seen"),
        (HIGHER, [9, 10, 11], [9, 10, 11], 0.0, "not seen"),
        (HIGHER, [7.4, 8.4, 9.4], [9, 10, 11], -1.6, "not seen"),
        (HIGHER, [7.3, 8.3, 9.3], [9, 10, 11], -1.7, "contradicted"),
        (HIGHER, [5, 5], [5, 5], 0.0, "not seen"),
        (ALIKE, [9, 10, 11], [8.7, 9.7, 10.7], 0.3, "seen"),
        (ALIKE, [9, 10, 11], [8.6, 9.6, 10.6], 0.4, "not seen"),
        (ALIKE, [9, 10, 11], [6.3, 7.3, 8.3], 2.7, "not seen"),
        (ALIKE, [9, 10, 11], [5.3, 6.3, 7.3], 3.7, "contradicted"),
        (ALIKE, [5.3, 6.3, 7.3], [9, 10, 11], -3.7, "contradicted"),
    ],
)
def test_a_difference_counts_beyond_two_standard_errors(row, a, b, value, verdict):
    found = effect(row, a=a, b=b)
    assert found.value == pytest.approx(value)
    error = 2 * math.sqrt(2 / 3) if len(a) == 3 else 0
    assert (found.low, found.high) == pytest.approx((value - error, value + error))
    assert found.kind == "difference"
    assert found.verdict == verdict


# The mean of (x - 1, x, x + 1) has an error of sqrt(1/3) = 0.577.
@pytest.mark.parametrize(
    ("bound", "verdict"),
    [
        ({"below": 11.2}, "seen"),
        ({"below": 11.1}, "not seen"),
        ({"below": 8.9}, "not seen"),
        ({"below": 8.8}, "contradicted"),
        ({"above": 8.8}, "seen"),
        ({"above": 8.9}, "not seen"),
        ({"above": 11.1}, "not seen"),
        ({"above": 11.2}, "contradicted"),
    ],
)
def test_one_arm_is_compared_with_a_number(bound, verdict):
    found = effect({"arm": "a", **bound}, a=[9, 10, 11])
    assert found.kind == "mean"
    assert found.value == 10
    assert (found.low, found.high) == pytest.approx((10 - 1.1547, 10 + 1.1547), abs=1e-4)
    assert found.verdict == verdict


def test_speeds_are_compared_by_their_ratio():
    found = effect(HIGHER, "images_per_second", a=[100, 400], b=[20, 20])
    # The logarithms are ln 200 +- ln 2, with an error of ln 2; the ratio of the means is 10.
    assert found.kind == "ratio"
    assert found.value == pytest.approx(10)
    assert (found.low, found.high) == pytest.approx((2.5, 40))
    assert found.verdict == "seen"
    found = effect(HIGHER, "images_per_second", a=[100, 400], b=[60, 60])
    assert found.low == pytest.approx(5 / 6)
    assert found.verdict == "not seen"


def test_alike_is_a_difference_also_of_speeds():
    found = effect({"alike": ["a", "b"], "within": 5}, "images_per_second", a=[99, 101], b=[98, 98])
    assert (found.kind, found.value) == ("difference", 2)
    assert found.verdict == "seen"


@pytest.mark.parametrize("a", [[], [9], [9, NAN], [9, math.inf]])
def test_without_a_spread_there_is_no_verdict(a):
    for row in (HIGHER, ALIKE, {"arm": "a", "below": 100}):
        found = effect(row, a=a, b=[1, 2])
        assert (found.value, found.low, found.high) == (None, None, None)
        assert found.verdict == "no verdict"
        assert "nan" not in found.sentence


def test_a_comparison_says_its_values():
    assert effect(HIGHER, a=[9, 10], b=[1, 2]).sentence == (
        "training error: a (9.5 %) should be higher than b (1.5 %)"
    )
    assert effect(HIGHER, a=[], b=[1, 2]).sentence == (
        "training error: a (not measured) should be higher than b (1.5 %)"
    )
    assert effect(ALIKE, a=[9, 10], b=[1, 2]).sentence == (
        "training error: a (9.5 %) and b (1.5 %) should differ by less than 2 %"
    )
    assert effect({"arm": "a", "above": 3}, "steps_to_error", a=[1200, 1300]).sentence == (
        "steps to the target error: a (1,250 steps) should be above 3 steps"
    )


def test_a_claim_is_as_its_worst_comparison():
    seen, other = (effect(HIGHER, a=[9, 10], b=x) for x in ([1, 2], [9, 10]))
    none, against = effect(HIGHER, a=[9], b=[1]), effect(HIGHER, a=[1, 2], b=[9, 10])
    assert overall([seen, seen]) == "seen"
    assert overall([seen, other]) == "not seen"
    assert overall([none, other, seen]) == "no verdict"
    assert overall([none, against, other]) == "contradicted"
