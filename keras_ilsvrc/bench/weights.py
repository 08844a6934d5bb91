"""Benchmark of loading weight files: time and peak memory, measured in a new process per file."""

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from keras_ilsvrc.bench.timing import Progress
from keras_ilsvrc.errors import InputError

UNIT = 1 if sys.platform == "darwin" else 1024  # bytes per unit of `ru_maxrss`, the peak memory


@dataclass(frozen=True)
class Cost:
    """Cost of loading one file: medians over the rounds. Processor time is that of all threads.

    Attributes:
        file: Path of the file; None if the net is built without weights.
        read_seconds: Time of reading the bytes of the file.
        build_seconds: Time of building the net, with the weights of the file.
        processor_seconds: Processor time of building the net, with the weights of the file.
        ratio: Time of building, divided by the time of reading plus that of building without
            weights, in the same round.
        peak_megabytes: Peak memory of the process, above that after the imports.
        limit_megabytes: Size of the net's weights, and 1.2 times the size of the file.
    """

    file: str | None
    read_seconds: float
    build_seconds: float
    processor_seconds: float
    ratio: float
    peak_megabytes: float
    limit_megabytes: float


def measure(
    net: str, files: Sequence[Path], rounds: int, progress: Progress = lambda what, share: None
) -> list[Cost]:
    """Measure building a net without weights and with each file, each time in a new process.

    Args:
        net: Name of the net.
        files: Files of weights for the net.
        rounds: Number of rounds, at least 1.
        progress: Callback that gets the current activity as text and the completed fraction.

    Raises:
        InputError: If the net cannot be built with the weights of a file.
    """
    names = [None, *map(str, files)]
    found: dict[str | None, list[dict[str, float]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            progress(f"building {net} with {name or 'no weights'}", number / rounds)
            found[name].append(_in_process(net, name))
    return [_cost(name, found[name], found[None]) for name in names]


def _cost(name: str | None, rounds: list[dict[str, float]], plain: list[dict[str, float]]) -> Cost:
    bare = [one["build"] for one in plain]
    ratios = [one["build"] / (one["read"] + base) for one, base in zip(rounds, bare, strict=True)]
    read, build, processor, peak = (
        statistics.median(one[key] for one in rounds)
        for key in ("read", "build", "processor", "peak")
    )
    size = Path(name).stat().st_size if name else 0
    limit = (rounds[0]["model"] + 1.2 * size) / 1e6
    return Cost(name, read, build, processor, statistics.median(ratios), peak / 1e6, limit)


def _in_process(net: str, file: str | None) -> dict[str, float]:
    """Run `_once` in a new process, and return its measurements."""
    words = [sys.executable, "-m", __name__, net, *([file] if file else [])]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise InputError((done.stderr.strip().splitlines() or ["the process ended"])[-1])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _once(net: str, file: str | None = None) -> dict[str, float]:
    """Measure, in this process, the seconds and bytes of reading a file and building a net."""
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    from keras_ilsvrc.nets.build import build

    before = _peak()
    read = _seconds(lambda: _read(file) if file else None)
    start = time.process_time()
    made = []
    seconds = _seconds(lambda: made.append(build(net, weights=file)))
    model = sum(4 * weight.shape.num_elements() for weight in made[0].weights)
    processor = time.process_time() - start
    peak = _peak() - before
    return {"read": read, "build": seconds, "processor": processor, "peak": peak, "model": model}


def _read(file: str) -> None:
    with open(file, "rb") as opened:
        while opened.read(2**20):
            pass


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


if __name__ == "__main__":
    print(json.dumps(_once(*sys.argv[1:])))
