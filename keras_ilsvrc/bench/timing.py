"""Honest times: contestants take turns, and the median counts."""

import statistics
import time
from collections.abc import Callable, Mapping

UNCOUNTED = 2  # rounds before the first that counts
ENOUGH = 10  # rounds from which the spread of a ratio says something


def alternate(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each contestant, which `take_turns`."""
    times = take_turns(contestants, rounds)
    return {name: statistics.median(values) for name, values in times.items()}


def take_turns(
    contestants: Mapping[str, Callable[[], object]],
    rounds: int,
    tell: Callable[[str, int], None] = lambda name, number: None,
) -> dict[str, list[float]]:
    """Seconds of each contestant, round by round.

    They run in turn, so that what else the machine does meets all of them alike, after
    `UNCOUNTED` rounds.

    Args:
        contestants: By name; each returns only when its work is done.
        rounds: How often each is timed; at least 1.
        tell: Told who is about to run, and in which round, counted from 0 with those that are
            not counted.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + UNCOUNTED):
        for name, work in contestants.items():
            tell(name, number)
            started = time.perf_counter()
            work()
            if number >= UNCOUNTED:
                times[name].append(time.perf_counter() - started)
    return times
