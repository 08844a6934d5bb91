"""Benchmark of loading weight files: time and peak memory, measured in a new process per file."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from keras_ilsvrc.bench.timing import Progress
from keras_ilsvrc.errors import InputError

UNIT = 1 if sys.platform == "darwin" else 1024  # bytes per unit of `ru_maxrss`, the peak memory


@dataclass(frozen=True)
class Cost:
    """Cost of loading one file: medians over the rounds.

    Attributes:
        file: Path of the file; None if the net is built without weights.
        read_seconds: Time of reading the bytes of the file.
        build_seconds: Time of building the net, with the weights of the file.
        processor_seconds: CPU time of building the net, summed over all threads.
        ratio: `build_seconds`, divided by the sum of `read_seconds` and the time of building the
            net without weights. All three times are from the same round.
        peak_megabytes: Peak memory of the process, minus the memory that the imports need.
        limit_megabytes: Accepted peak memory: the size of the net's weights plus 1.2 times the
            size of the file.
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

    Raises:
        InputError: If the net cannot be built with the weights of a file.
    """
    names = [None, *map(str, files)]
    found: dict[str | None, list[list[float]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            progress(f"building {net} with {name or 'no weights'}", number / rounds)
            found[name].append(_in_process(net, name))
    costs = []
    for name, rows in found.items():
        read, build, processor, peak, limit = map(median, zip(*rows, strict=True))
        pairs = zip(rows, found[None], strict=True)
        ratio = median(row[1] / (row[0] + plain[1]) for row, plain in pairs)
        costs.append(Cost(name, read, build, processor, ratio, peak / 1e6, limit / 1e6))
    return costs


def _in_process(net: str, file: str | None) -> list[float]:
    """Run `_once` in a new process, and return its measurements."""
    words = [sys.executable, "-m", __name__, net, *([file] if file else [])]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise InputError((done.stderr.strip().splitlines() or ["the process ended"])[-1])
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _once(net: str, file: str | None = None) -> list[float]:
    """Read a weight file, build a net with its weights, and return the time and memory.

    The list contains the seconds of reading, the seconds and CPU seconds of building, the peak
    memory and its limit, both in bytes.
    """
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    from keras_ilsvrc.nets.build import build

    before, start = peak_memory(), time.perf_counter()
    if file:
        with open(file, "rb") as opened:
            while opened.read(2**20):
                pass
    middle, processor = time.perf_counter(), time.process_time()
    model = build(net, weights=file)
    end, processor = time.perf_counter(), time.process_time() - processor
    limit = 4 * model.count_params() + (1.2 * Path(file).stat().st_size if file else 0)
    return [middle - start, end - middle, processor, peak_memory() - before, limit]


def peak_memory() -> int:
    """Return the peak memory of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


if __name__ == "__main__":
    print(json.dumps(_once(*sys.argv[1:])))
