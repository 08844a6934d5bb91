"""Benchmark of the first training steps of nets of different depths, each in a new process."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from keras_ilsvrc.bench.processes import in_process, peak
from keras_ilsvrc.bench.timing import Progress

STEPS = 3  # number of timed steps after the first; their shortest time is reported


@dataclass(frozen=True)
class Start:
    """Cost of starting to train one net.

    Attributes:
        net: Name of the net.
        build_seconds: Time of building the net and the optimizer.
        trace_seconds: Time of tracing the training step.
        first_seconds: Time of the first step after tracing, including graph optimization.
        step_seconds: Shortest time of a later step.
        nodes: Number of nodes in the graph of the step, including those of its functions.
        peak_megabytes: Peak memory of the process, minus the memory that the imports need.
    """

    net: str
    build_seconds: float
    trace_seconds: float
    first_seconds: float
    step_seconds: float
    nodes: int
    peak_megabytes: float

    @property
    def seconds(self) -> float:
        """Time from the call of `build` to the end of the first step."""
        return self.build_seconds + self.trace_seconds + self.first_seconds


def measure(
    nets: Sequence[str], batch: int, progress: Progress = lambda what, share: None
) -> list[Start]:
    """Measure the first training steps of each net on random images, in a new process per net.

    Raises:
        InputError: If a process fails, for example because it runs out of memory.
    """
    found = []
    for number, net in enumerate(nets):
        progress(f"training {net}", number / len(nets))
        found.append(Start(**in_process(__name__, net, str(batch))))
    return found


def first_steps(net: str, batch: int) -> Start:
    """Measure building a net and taking `STEPS` + 1 training steps with our trainer.

    As in `keras-ilsvrc train`, very deep nets run without TensorFlow's graph optimizer on a CPU.
    """
    import tensorflow as tf

    from keras_ilsvrc.nets.build import build
    from keras_ilsvrc.training.keras_fit import disable_slow_cpu_options
    from keras_ilsvrc.training.losses import CrossEntropy
    from keras_ilsvrc.training.optimizers import SGD
    from keras_ilsvrc.training.update import Update

    def make() -> Update:
        model = build(net)
        disable_slow_cpu_options(model)
        return Update(model, SGD(1e-4, 0.9, 1e-4), CrossEntropy(), batch, 0)

    before = peak()
    update, built = _timed(make)
    images = tf.random.stateless_normal((batch, *update.model.input_shape[1:]), seed=(0, 0))
    data = tf.data.Dataset.from_tensors((images, tf.zeros(batch, "int32"))).repeat()
    iterator = iter(data)
    step, traced = _timed(lambda: _trace(update, iterator))
    times = [_timed(lambda: update.take(iterator, 0, 1))[1] for _ in range(STEPS + 1)]
    graph = step.graph.as_graph_def()
    nodes = len(graph.node) + sum(len(x.node_def) for x in graph.library.function)
    memory = (peak() - before) / 1e6
    return Start(net, built, traced, times[0], min(times[1:]), nodes, memory)


def _trace(update: Any, iterator: Any) -> Any:
    """Trace the graph of one training step, which `Update.take` then runs."""
    import tensorflow as tf

    first, wishes = tf.constant(0, tf.int64), tf.zeros(2)
    return update._take.get_concrete_function(iterator, first, 1, wishes)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    return work(), time.perf_counter() - started


if __name__ == "__main__":
    print(json.dumps(asdict(first_steps(sys.argv[1], int(sys.argv[2])))))
