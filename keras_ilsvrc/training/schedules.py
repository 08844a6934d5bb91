"""Learning rates by step."""

from collections.abc import Sequence

import keras


def steps(
    rows: Sequence[Sequence[float]],
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """A rate that changes at given steps.

    Args:
        rows: (first step, rate) pairs, the first at step 0, in rising order: each rate holds
            from its step up to the next row's.
    """
    starts, rates = zip(*rows)
    if len(rates) == 1:
        return rates[0]
    # Keras' boundary is the last step of the rate before it.
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        [int(start) - 1 for start in starts[1:]], list(rates)
    )
