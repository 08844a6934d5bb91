"""The runs of claims: trained several at a time, recorded, and shared between claims."""

import hashlib
import json
import math
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from keras_ilsvrc import files
from keras_ilsvrc.claims.measures import LEVEL, MEASURES, Trained
from keras_ilsvrc.claims.schema import OF_ARM
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.recipe import Recipe, changed
from keras_ilsvrc.runs.apart import Apart
from keras_ilsvrc.runs.reading import RUN, WEIGHTS, RunFiles
from keras_ilsvrc.terminal.bars import bar
from keras_ilsvrc.training.cluster import Log, log_stderr
from keras_ilsvrc.training.stopping import StopRequest

DIVERGED = "diverged at"  # in the reason for which `train` failed
COPIES = 10  # bytes on the disk per byte of weights: checkpoints with momenta, and the result
COLUMNS = ("step", "error", "validation_error")
EACH = 2_000_000  # bytes on the disk of a run in addition to its weights
START = "initial.weights"
RUNS, RECORDS = "runs", "runs.json"
Curve = list[list[float | None]]


class ImagesOfRun(NamedTuple):
    """Images of a claim: the short name of the data set, its digest, and its training images."""

    label: str
    digest: str
    number: int


@dataclass
class Record:
    """Results of a run, which stay when its directory is removed.

    Attributes:
        net: Name of the network.
        version: Version of the package that trained it.
        seconds: Seconds of training and testing.
        diverged: Why training ended, if it diverged; else empty.
        curve: Rows of [step, training error, validation error].
        measures: Value of each measure that was needed, by name, level and protocol.
    """

    net: str
    version: str
    seconds: float = 0.0
    diverged: str = ""
    curve: Curve = field(default_factory=list)
    measures: dict[str, float | None] = field(default_factory=dict)


class Pool:
    """Runs of claims in one folder, named after recipe and images, and the processes to train them.

    A run with a record is not trained again, and an interrupted one resumes. Each process has one
    core, so that the weights do not depend on the number of cores; or one GPU, if there are any.

    Args:
        home: Folder of the claims.
        jobs: Number of runs that are trained at the same time.
        gpus: IDs of the GPUs, as in `CUDA_VISIBLE_DEVICES`; empty to train on the CPU.
        stop: Request to stop, which stops all processes after a checkpoint.
        log: Function that prints a message.

    Attributes:
        images: Images of the claim that is being tested.
    """

    images: ImagesOfRun

    def __init__(
        self,
        home: Path,
        jobs: int,
        gpus: Sequence[str] = (),
        stop: StopRequest | None = None,
        log: Log = log_stderr,
    ):
        self.home, self.jobs, self.gpus, self.log = home, jobs, gpus, log
        self.stop = stop or StopRequest()
        self.hidden = False  # whether GPUs exist, but are not used
        self.starts: dict[str, Recipe] = {}  # runs from whose weights others start
        self.records: dict[str, Record] = {}
        if (home / RECORDS).exists():
            table = json.loads(files.read(home / RECORDS))
            self.records = {key: Record(**record) for key, record in table.items()}

    def on(self, device: str | None) -> "Pool":
        """Return this pool, or if there are GPUs and `device` is "cpu", one that hides them."""
        if device != "cpu" or not self.gpus:
            return self
        other = copy(self)
        other.gpus, other.hidden = (), True
        return other

    def key(self, recipe: Recipe) -> str:
        """Return the name of a recipe's run. The place of the images does not matter."""
        table = recipe.table()
        table["data"] = {**table["data"], "dataset": self.images.digest}
        if isinstance(start := table["initial"], dict):
            start["weights"] = Path(start["weights"]).name
        text = json.dumps(table, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{recipe.net}-{digest}{'-cpu' * self.hidden}"

    def path(self, recipe: Recipe) -> Path:
        """Return the run directory of a recipe."""
        return self.home / RUNS / self.key(recipe)

    def train(self, recipes: Iterable[Recipe], label: str) -> None:
        """Train all runs that have neither a record nor a finished directory.

        Raises:
            Stopped: If a signal was received.
            InputError: If a run fails, unless it diverges.
        """
        starts, self.starts = self.starts, {}
        for key in [key for key in starts if not (self.home / RUNS / key / WEIGHTS).exists()]:
            self.records.pop(key, None)  # its weights are gone, so the record alone is no help
        if starts:
            self.train(starts.values(), f"{label}: starts")
        unique = {self.key(recipe): recipe for recipe in recipes}
        pending = [recipe for key, recipe in unique.items() if not self._known(key)]
        places = _Places(self.gpus or _cores(), bool(self.gpus), self.hidden)
        done = len(unique) - len(pending)
        with ThreadPoolExecutor(self.jobs) as threads, bar(label) as progress:
            progress(done, len(unique))
            waiting = {threads.submit(self._run, recipe, places): recipe for recipe in pending}
            try:
                for future in as_completed(waiting):
                    if reason := future.result():
                        recipe = waiting[future]
                        self.records[self.key(recipe)] = self._diverged(recipe, reason)
                        self._write()
                    done += 1
                    progress(done, len(unique))
            except BaseException:
                for future in waiting:
                    future.cancel()
                raise

    def _known(self, key: str) -> bool:
        """Whether a run has a record. A run of another version is trained again."""
        record = self.records.get(key)
        if record and record.version == version("keras_ilsvrc"):
            return True
        path, other = self.home / RUNS / key, record.version if record else None
        if (path / RUN).exists():
            found = RunFiles(path).identity.version
            if found != version("keras_ilsvrc"):
                path.rename(path.with_name(f"{key}-version-{found}"))
                other = found
        if other:
            self.log(f"{key}: trained by version {other}; it is trained again")
            self.records.pop(key, None)
        return False

    def _run(self, recipe: Recipe, places: "_Places") -> str | None:
        """Train a run unless it is finished; return why it diverged, or None."""
        self.stop.check()
        path = self.path(recipe)
        if (path / RUN).exists() and RunFiles(path).finished:
            return None
        with places.taken() as environment:
            reason = Apart(environment=environment, stop=self.stop).train(recipe, path)
        self.stop.check()  # a process may end before this one notes the same signal
        if reason and DIVERGED not in reason:
            raise InputError(f"{path}: {reason}")
        return reason

    def _diverged(self, recipe: Recipe, reason: str) -> Record:
        return Record(recipe.net, version("keras_ilsvrc"), diverged=reason.partition(DIVERGED)[2])

    def record(
        self, recipe: Recipe, names: Iterable[str], at: float | None = None, test: Any = None
    ) -> tuple[Record, dict[str, float | None]]:
        """Return the record of a trained run, and some of its measures by name.

        A run that diverged answers at random; its other measures are None.

        Args:
            recipe: Recipe of the run.
            names: Names of the measures.
            at: Level of `steps_to_error`.
            test: Test protocol of the arm; None for that of the run.
        """
        key, found = self.key(recipe), dict[str, float | None]()
        run = Trained(self.path(recipe), at, test)
        if key not in self.records:
            curve = [[_rounded(row[x]) for x in COLUMNS] for row in run.history]
            seconds, by = run.result["seconds"], run.run.identity.version
            self.records[key] = Record(recipe.net, by, seconds, curve=curve)
        record = self.records[key]
        for name in names:
            kind = MEASURES[name]
            if record.diverged:
                classes = recipe.build.classes or 10
                found[name] = 100 * (1 - 1 / classes) if kind.chance else None
                continue
            full = f"{name} {at:g}" if name == LEVEL else name
            full += f" {json.dumps(test)}" * bool(test)
            if full not in record.measures:
                record.measures[full] = _rounded(kind.of(run))
                self._write()
            found[name] = record.measures[full]
        return record, found

    def _write(self) -> None:
        table = {key: asdict(self.records[key]) for key in sorted(self.records)}
        with files.whole(self.home / RECORDS) as part:
            part.write_text(json.dumps(table, separators=(",", ":")).replace("},", "},\n") + "\n")

    def resolved(self, recipe: Recipe, start: Recipe | None) -> Recipe:
        """Return a recipe that starts from the weights of another arm's run, if it names one."""
        if start is None:
            return recipe
        self.starts[self.key(start)] = start
        return changed(recipe, {START: str(self.path(start))}, OF_ARM)

    def check_disk(self, parameters: Mapping[str, tuple[int, int]]) -> None:
        """Raise InputError if the disk has too little space for all runs.

        Args:
            parameters: {arm: (number of runs still to train, number of parameters)}.
        """
        needed = sum(runs * (4 * size + EACH) for runs, size in parameters.values())
        most = max((size for _, size in parameters.values()), default=0)
        needed += self.jobs * COPIES * 4 * most
        free = shutil.disk_usage(self.home).free
        if needed > free:
            raise InputError(
                f"{self.home}: {free / 1e9:.1f} GB are free, but the runs need up to "
                f"{needed / 1e9:.1f} GB; free some space, or choose another --out"
            )


class _Places:
    """Cores or GPUs, each of which one run has for itself."""

    def __init__(self, names: Sequence[str], are_gpus: bool, hidden: bool):
        self.free, self.are_gpus, self.hidden = list(names), are_gpus, hidden
        self.lock = threading.Lock()

    @contextmanager
    def taken(self) -> Iterator[dict[str, str]]:
        """Take a place during the block; yield the environment of a process there.

        On Linux, a child process runs on the cores of the thread that starts it.
        """
        with self.lock:
            name = self.free.pop(0) if self.free else None
        try:
            if name is not None and not self.are_gpus and hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, {int(name)})
            visible = name if self.are_gpus else "" if self.hidden else None
            yield {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
        finally:
            if name is not None:
                with self.lock:
                    self.free.append(name)


def _cores() -> list[str]:
    """Return the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return [str(x) for x in sorted(os.sched_getaffinity(0))]
    return [str(x) for x in range(os.cpu_count() or 1)]


def _rounded(value: float | None) -> float | None:
    """Return a number with six digits; None instead of one that is not finite."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None
