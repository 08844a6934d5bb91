"""Fair timing of functions: they take turns, and their median times are compared."""

import statistics
import time
from collections.abc import Callable, Mapping

UNCOUNTED = 2  # warm-up rounds
ENOUGH = 10  # least number of rounds that gives a meaningful spread of a ratio


def alternate(functions: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each function, timed by `take_turns`."""
    times = take_turns(functions, rounds)
    return {name: statistics.median(values) for name, values in times.items()}


def take_turns(
    functions: Mapping[str, Callable[[], object]],
    rounds: int,
    progress: Callable[[str, int], None] = lambda name, number: None,
) -> dict[str, list[float]]:
    """Time each function once per round, in turn; return its seconds in every round.

    Because they take turns, other load on the machine affects all functions alike. `UNCOUNTED`
    warm-up rounds come first.

    Args:
        functions: Functions by name; each must return only when its work is done.
        rounds: Number of timed rounds, at least 1.
        progress: Function called with the name of the next function and its round, from 0.
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
