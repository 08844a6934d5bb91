"""Honest times: functions take turns, and the median counts."""

import statistics
import time
from collections.abc import Callable, Mapping

UNCOUNTED = 2  # rounds before the first that counts
ENOUGH = 10  # rounds from which the spread of a ratio says something


def alternate(functions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each function, which `take_turns`."""
    times = take_turns(functions, rounds)
    return {name: statistics.median(values) for name, values in times.items()}


def take_turns(
    functions: Mapping[str, Callable[[], object]],
    rounds: int,
    progress: Callable[[str, int], None] = lambda name, number: None,
) -> dict[str, list[float]]:
    """Seconds of each function, round by round.

    They run in turn, so that what else the machine does meets all of them alike, after
    `UNCOUNTED` rounds.

    Args:
        functions: By name; each returns only when its work is done.
        rounds: How often each is timed; at least 1.
        progress: Called with the name of the next function and its round, counted from 0.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + UNCOUNTED):
        for name, work in functions.items():
            progress(name, number)
            started = time.perf_counter()
            work()
            if number >= UNCOUNTED:
                times[name].append(time.perf_counter() - started)
    return times
