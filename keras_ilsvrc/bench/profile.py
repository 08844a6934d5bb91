"""Profile of one training or inference step: the share of time per kind of operation."""

import re
import statistics
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from keras_ilsvrc.bench.peers import Case
from keras_ilsvrc.bench.steps import Work, keras_step, policy
from keras_ilsvrc.bench.timing import Progress, take_turns
from keras_ilsvrc.layers.graph import batch_norms
from keras_ilsvrc.nets.build import build

STEPS = 3  # number of steps with the profiler, and of timed steps without it
BACK = ".*(gradient_tape|backward)/.*"  # names of operations in the backward pass
# Rows of (kind of operation, pattern of its "name:type"). The first pattern that matches gives the
# kind. The name of an operation contains the part of the step and the layer that created it. BN is
# replaced by the names of all batch normalisation layers.
# fmt: off
KINDS = (
    ("optimizer",                 r"optimizer/.*|.*:ResourceApply\w*|.*:Assign\w*"),
    ("gradient to kernels",       r".*:\w*Conv2DBackpropFilter\w*"),
    ("gradient to maps",          rf".*:\w*Conv2DBackpropInput\w*|{BACK}:\w*Conv2D"),
    ("convolution",               r".*:\w*Conv2D\w*"),
    ("gradient of normalisation", rf".*:\w*FusedBatchNormGrad\w*|{BACK}/(BN)(_\d+)?/.*"),
    ("batch normalisation",       r".*:\w*FusedBatchNorm\w*|.*/(BN)(_\d+)?/.*"),
    ("pooling",                   r".*:\w*(Max|Avg)Pool\w*"),
    ("matmul",                    r".*:\w*MatMul\w*"),
    ("casts",                     r".*:\w*Cast"),
    ("layout and copies",         r".*:\w*(Transpose|Concat|Slice|Split|Pad|Reverse|Tile|Pack|"
                                  r"Reshape|Broadcast|Gather|Copy|ToTf)\w*"),
    ("sums and means",            r".*:(Sum|Mean|Max|Prod|BiasAddGrad|SquaredDifference)"),
    ("element-wise",              r".*:\w*(Relu|Add|Mul|Sub|Div|Neg|Sqrt|Square|Exp|Log|Maximum|"
                                  r"Minimum|Select|Greater|Less|Equal|Pow|Sigmoid|Tanh|Softmax|"
                                  r"Random|Floor|Fill|Like|Bias)\w*"),
)
# fmt: on
OTHER = "other"
SHOWN = 3  # number of operation types that are listed for each kind
# Operations that only call other operations. The times of the latter are counted instead.
CALLERS = {"StatefulPartitionedCall", "PartitionedCall", "While", "StatelessWhile", "If", "Case"}


class Share(NamedTuple):
    """Share of one kind of operation in the time of a step.

    Attributes:
        kind: Kind of operation, for example "convolution".
        milliseconds: Time per step.
        share: Fraction of the time of all operations.
        operations: Number of operations per step.
        types: {TensorFlow's operation type: milliseconds per step}, for the slowest types.
    """

    kind: str
    milliseconds: float
    share: float
    operations: float
    types: dict[str, float]


@dataclass(frozen=True)
class Profile:
    """Shares of all kinds of operations, and the median time of a step without the profiler.

    Operations may run in parallel, so the sum of their times can exceed the time of a step.
    """

    step_milliseconds: float
    shares: list[Share]


def measure(case: Case, progress: Progress = lambda what, share: None) -> Profile:
    """Run a few steps of a net under TensorFlow's profiler, and sum the times by kind.

    Args:
        case: The net and the settings. `against`, `steps` and `jit` are ignored.
        progress: Callback that gets the current activity as text and the completed fraction.

    Raises:
        InputError: If the machine does not support the number format.
    """
    with policy(case.dtype):
        model = build(case.net)
        work = keras_step(model, case.batch, case.inference, jit=False)
        times = take_turns({case.net: work}, STEPS, progress)[case.net]
    progress("profiling", 1)
    norms = [layer.name for layer in batch_norms(model)]
    return Profile(1000 * statistics.median(times), summarize(_operations(work), STEPS, norms))


def summarize(
    operations: Iterable[tuple[str, float]], steps: int, norms: Iterable[str] = ()
) -> list[Share]:
    """Return the share of each kind of operation in a step, the longest time first.

    Args:
        operations: Pairs of an operation's "name:type" and its milliseconds, for all steps.
        steps: Number of steps.
        norms: Names of the batch normalisation layers.
    """
    names = "|".join(map(re.escape, sorted(set(norms)))) or "(?!)"
    kinds = [(kind, re.compile(form.replace("BN", names))) for kind, form in KINDS]
    times: dict[str, dict[str, list[float]]] = {}
    for name, milliseconds in operations:
        kind = next((kind for kind, form in kinds if form.fullmatch(name)), OTHER)
        types = times.setdefault(kind, {})
        types.setdefault(name.rpartition(":")[2], []).append(milliseconds / steps)
    total = sum(sum(map(sum, types.values())) for types in times.values())
    rows = []
    for kind, types in times.items():
        own, count = sum(map(sum, types.values())), sum(map(len, types.values())) / steps
        ordered = sorted(((sum(values), key) for key, values in types.items()), reverse=True)
        rows.append(Share(kind, own, own / total, count, {key: ms for ms, key in ordered[:SHOWN]}))
    return sorted(rows, key=lambda row: -row.milliseconds)


def _operations(work: Work) -> Iterator[tuple[str, float]]:
    """Run `STEPS` steps under the profiler; yield each operation's "name:type" and milliseconds."""
    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=3, python_tracer_level=0)
    with tempfile.TemporaryDirectory() as directory:
        with tf.profiler.experimental.Profile(directory, options):
            for _ in range(STEPS):
                work()
        (path,) = Path(directory).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                found = re.fullmatch(r"[\w./>-]+:(_?[A-Z]\w*)", name)
                if found and found[1] not in CALLERS:
                    yield name, event.duration_ps / 1e9
