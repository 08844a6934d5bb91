"""Benchmark of loading weight files: time and peak memory, measured in a new process per file."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from keras_ilsvrc.bench.processes import in_process, peak
from keras_ilsvrc.bench.timing import Progress


@dataclass(frozen=True)
class Cost:
    """Cost of loading one file: medians over the rounds.

    Attributes:
        file: Path of the file; None if the net is built without weights.
        read_seconds: Time of reading the bytes of the file.
        build_seconds: Time of building the net and loading the weights of the file.
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
    """Measure the cost of building a net without weights and with each file, in new processes.

    Raises:
        InputError: If the net cannot be built with the weights of a file.
    """
    names = [None, *map(str, files)]
    found: dict[str | None, list[list[float]]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names:
            progress(f"building {net} with {name or 'no weights'}", number / rounds)
            found[name].append(in_process(__name__, net, *([name] if name else [])))
    costs = []
    for name, rows in found.items():
        read, build, processor, peak, limit = map(median, zip(*rows, strict=True))
        pairs = zip(rows, found[None], strict=True)
        ratio = median(row[1] / (row[0] + plain[1]) for row, plain in pairs)
        costs.append(Cost(name, read, build, processor, ratio, peak / 1e6, limit / 1e6))
    return costs


def _once(net: str, file: str | None = None) -> list[float]:
    """Read a weight file, build a net with its weights, and return the time and memory.

    The list contains the seconds of reading, the seconds and CPU seconds of building, the peak
    memory and its limit, both in bytes.
    """
    import keras  # noqa: F401
    import tensorflow  # noqa: F401

    from keras_ilsvrc.nets.build import build

    before, start = peak(), time.perf_counter()
    if file:
        with open(file, "rb") as opened:
            while opened.read(2**20):
                pass
    middle, processor = time.perf_counter(), time.process_time()
    model = build(net, weights=file)
    end, processor = time.perf_counter(), time.process_time() - processor
    limit = 4 * model.count_params() + (1.2 * Path(file).stat().st_size if file else 0)
    return [middle - start, end - middle, processor, peak() - before, limit]


if __name__ == "__main__":
    print(json.dumps(_once(*sys.argv[1:])))
