"""Timing of functions that take turns, so that other load on the machine affects all equally."""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping

UNCOUNTED = 2  # number of warm-up rounds, which are not timed
ENOUGH = 10  # minimum number of rounds for meaningful quartiles of a ratio
Progress = Callable[[str, float], None]  # called with (current activity, completed fraction)


def quartiles(ratios: Iterable[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile of at least two ratios."""
    lower, median, upper = statistics.quantiles(ratios, n=4, method="inclusive")
    return lower, median, upper


def take_turns(
    functions: Mapping[str, Callable[[], object]],
    rounds: int,
    progress: Progress = lambda what, share: None,
    uncounted: int = UNCOUNTED,
) -> dict[str, list[float]]:
    """Time each function once per round; return {function name: its seconds in each round}.

    Because the functions take turns, other load on the machine affects all of them equally.
    Warm-up rounds come first.

    Args:
        functions: Functions by name; each must return only after its work is done, even on a GPU.
        rounds: Number of timed rounds, at least 1.
        progress: Callback, called before each timing, for example with ("timing fit", 0.5).
        uncounted: Number of warm-up rounds.
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for number in range(rounds + uncounted):
        for name, work in functions.items():
            progress(f"timing {name}", number / (rounds + uncounted))
            started = time.perf_counter()
            work()
            if number >= uncounted:
                times[name].append(time.perf_counter() - started)
    return times
