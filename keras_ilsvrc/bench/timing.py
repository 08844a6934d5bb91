"""Honest times: contestants take turns, and the median counts."""

import statistics
import time
from collections.abc import Callable, Mapping


def alternate(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each contestant.

    They run in turn, so that what else the machine does meets all of them alike, after two
    rounds that are not counted.

    Args:
        contestants: By name; each returns only when its work is done.
        rounds: How often each is timed; at least 1.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 2):
        for name, work in contestants.items():
            started = time.perf_counter()
            work()
            if number >= 2:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}
