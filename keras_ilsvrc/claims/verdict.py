"""Verdict on a claim, by a rule that is fixed before training.

A difference counts if it is larger than twice its standard error over the seeds.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from keras_ilsvrc.claims.measures import MEASURES
from keras_ilsvrc.claims.schema import Row

Verdict = Literal["seen", "not seen", "contradicted", "no verdict"]
STANDARD_ERRORS = 2.0  # minimum size of a difference that counts, in standard errors


@dataclass(frozen=True)
class Effect:
    """Result of one comparison of a claim.

    Attributes:
        sentence: What the claim expects, as a sentence with the measured values.
        measure: Name of the measure.
        kind: What `value` is: the "difference" of two means, their "ratio", or the "mean" of a
            single arm.
        value: Measured value; None if it could not be computed.
        low: Lower end of the interval, two standard errors below `value`; for a ratio, the standard
            error is that of its logarithm.
        high: Upper end of the interval, two standard errors above `value`.
        verdict: "seen", "not seen", "contradicted", or "no verdict" if seeds or values are missing.
    """

    sentence: str
    measure: str
    kind: Literal["difference", "ratio", "mean"]
    value: float | None
    low: float | None
    high: float | None
    verdict: Verdict


def effect_of(row: Row, measure: str, values: Mapping[str, Sequence[float]]) -> Effect:
    """Compare the measured values of one or two arms.

    Args:
        row: Comparison that the claim expects.
        measure: Name of the measure.
        values: {arm: values of the measure, one for each seed}.
    """
    samples = [list(values[arm]) for arm in row.arms]
    kind = MEASURES[measure]
    sentence = _sentence(row, measure, samples)
    logs = kind.ratio and len(samples) == 2 and not row.alike
    what: Literal["difference", "ratio", "mean"] = (
        "ratio" if logs else "difference" if len(samples) == 2 else "mean"
    )
    if any(len(x) < 2 or not all(map(math.isfinite, x)) for x in samples):
        return Effect(sentence, measure, what, None, None, None, "no verdict")
    if logs:
        samples = [[math.log(max(x, 1e-30)) for x in each] for each in samples]
    means = [statistics.fmean(x) for x in samples]
    error = math.sqrt(sum(statistics.variance(x) / len(x) for x in samples))
    value = means[0] - means[1] if len(means) == 2 else means[0]
    low, high = value - STANDARD_ERRORS * error, value + STANDARD_ERRORS * error
    verdict = _verdict(row, low, high)
    if logs:
        value, low, high = math.exp(value), math.exp(low), math.exp(high)
    return Effect(sentence, measure, what, value, low, high, verdict)


def _verdict(row: Row, low: float, high: float) -> Verdict:
    """Return the verdict for the interval of a difference, or of the mean of a single arm."""
    if row.alike:
        assert row.within is not None
        if -row.within < low and high < row.within:
            return "seen"
        return "contradicted" if low > row.within or high < -row.within else "not seen"
    if row.below is not None:
        low, high = row.below - high, row.below - low
    elif row.above is not None:
        low, high = low - row.above, high - row.above
    return "seen" if low > 0 else "contradicted" if high < 0 else "not seen"


def _sentence(row: Row, measure: str, samples: Sequence[Sequence[float]]) -> str:
    """Return what a comparison expects, with the measured means."""
    kind = MEASURES[measure]
    unit = f" {kind.unit}".rstrip()
    arms = [f"{name} ({_mean(x, unit)})" for name, x in zip(row.arms, samples)]
    if row.alike:
        expected = f"{arms[0]} and {arms[1]} should differ by less than {row.within:g}{unit}"
    elif row.arm:
        bound = f"above {row.above:g}" if row.above is not None else f"below {row.below:g}"
        expected = f"{arms[0]} should be {bound}{unit}"
    else:
        expected = f"{arms[0]} should be higher than {arms[1]}"
    return f"{kind.words}: {expected}"


def _mean(values: Sequence[float], unit: str) -> str:
    """Return the mean with its unit, or "not measured"."""
    mean = statistics.fmean(values) if values else math.nan
    if not math.isfinite(mean):
        return "not measured"
    return f"{mean:,.0f}{unit}" if abs(mean) >= 100 else f"{mean:.3g}{unit}"


def overall(effects: Iterable[Effect]) -> Verdict:
    """Return the verdict of a claim: the worst of its comparisons."""
    found = {effect.verdict for effect in effects}
    order: tuple[Verdict, ...] = ("contradicted", "no verdict", "not seen")
    return next((x for x in order if x in found), "seen")
