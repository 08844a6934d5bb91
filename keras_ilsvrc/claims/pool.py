"""Training of the runs of claims, several at a time; claims share runs and their records."""

import hashlib
import json
import math
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from copy import copy
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from keras_ilsvrc.claims import records
from keras_ilsvrc.claims.cores import Places, cores
from keras_ilsvrc.claims.measures import LEVEL, MEASURES, Trained
from keras_ilsvrc.claims.records import Record
from keras_ilsvrc.recipe import Recipe
from keras_ilsvrc.runs import places
from keras_ilsvrc.runs.apart import Apart
from keras_ilsvrc.runs.reading import RESULT, RUN, RunFiles
from keras_ilsvrc.training.cluster import Log, log_stderr
from keras_ilsvrc.training.stopping import StopRequest
from keras_ilsvrc.utils.bars import bar
from keras_ilsvrc.utils.errors import InputError

DIVERGED = "diverged at"  # part of the message of `train` if the run diverged
COPIES = 10  # bytes on disk per byte of weights during training: checkpoints and result
COLUMNS = ("step", "error", "validation_error")  # recorded columns of `history.csv`
EACH = 2_000_000  # bytes on disk for each run, in addition to its weights
RUNS = "runs"


class ImagesOfRun(NamedTuple):
    """Data set of a claim.

    Attributes:
        label: Short name of the data set.
        digest: Digest of the images.
        number: Number of training images.
    """

    label: str
    digest: str
    number: int


class Job(NamedTuple):
    """Run of an arm, with the measures that are needed.

    Attributes:
        recipe: Recipe of the run.
        measures: Names of the measures.
        at: Training error for the measure `steps_to_error`, in %.
        test: Test protocol of the arm; None for the protocol in the recipe.
        start: Run whose trained weights initialise this one; None if there is none.
        weights: Whether another run starts from the weights of this one.
    """

    recipe: Recipe
    measures: Sequence[str] = ()
    at: float | None = None
    test: Mapping[str, Any] | None = None
    start: "Job | None" = None
    weights: bool = False

    def recorded(self, measure: str) -> str:
        """Return the key of a measure in records: its name, and `at` and the test protocol."""
        level = f" {self.at:g}" if measure == LEVEL else ""
        return measure + level + f" {json.dumps(self.test)}" * bool(self.test)


class Pool:
    """Pool of processes that train the runs of claims in one folder.

    The name of a run depends on its recipe and images. A run with a record is not trained again,
    and an interrupted run is resumed. Each process uses one core, so that the weights do not depend
    on the number of cores; if there are GPUs, it uses one GPU.

    Args:
        home: Folder for the runs and their records.
        jobs: Number of runs to train at the same time.
        gpus: IDs of the GPUs, as in `CUDA_VISIBLE_DEVICES`; empty to train on CPU cores.
        stop: Stop request, after which all processes write a checkpoint and end; None for a new
            one.
        log: Function that prints a message.

    Attributes:
        images: Data set of the claim that is being tested.
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
        self.stop = StopRequest() if stop is None else stop
        self.device: str | None = None  # only device of the runs, "cpu" or "gpu"; None for any
        self.records = records.read(home)

    def on(self, device: str | None) -> "Pool":
        """Return a copy of this pool for a device, with the same records; "cpu" hides all GPUs."""
        other = copy(self)
        other.device = device
        if device == "cpu":
            other.gpus = ()
        return other

    def key(self, recipe: Recipe) -> str:
        """Return the name of the run of a recipe, which depends on the images, not on their path.

        For arms that are trained on one device only, the name includes the device.
        """
        table = recipe.table()
        table["data"] = {**table["data"], "dataset": self.images.digest}
        if isinstance(start := table["initial"], dict):
            start["weights"] = Path(start["weights"]).name
        text = json.dumps(table, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return f"{recipe.net}-{digest}" + (f"-{self.device}" if self.device else "")

    def path(self, recipe: Recipe) -> Path:
        """Return the run directory of a recipe."""
        return self.home / RUNS / self.key(recipe)

    def train(self, jobs: Iterable[Job], label: str) -> None:
        """Train all runs that have a missing measure and no finished run directory.

        Runs from whose weights other runs start are trained first.

        Args:
            jobs: Runs with their measures.
            label: Label of the progress bar.

        Raises:
            Stopped: If a signal was received.
            InputError: If a run fails for another reason than divergence.
        """
        unique = {self.key(job.recipe): job for job in jobs if not self._known(job)}
        if starts := [x.start._replace(weights=True) for x in unique.values() if x.start]:
            self.train(starts, f"{label}: starts")
        for key, job in list(unique.items()):
            if job.start and self._diverged(self.key(job.start.recipe)):
                self._note(key, job.recipe, "its start diverged")
                del unique[key]
        self._train([job.recipe for job in unique.values()], label)

    def _train(self, recipes: Sequence[Recipe], label: str) -> None:
        free = Places(self.gpus or cores(), bool(self.gpus), self.device == "cpu")
        with ThreadPoolExecutor(self.jobs) as threads, bar(label) as progress:
            waiting = {threads.submit(self._run, recipe, free): recipe for recipe in recipes}
            try:
                for done, future in enumerate(as_completed(waiting), 1):
                    if reason := future.result():
                        recipe = waiting[future]
                        self._note(self.key(recipe), recipe, reason.partition(DIVERGED)[2])
                    progress(done, len(waiting))
            except BaseException:
                for future in waiting:
                    future.cancel()
                raise

    def has(self, recipe: Recipe) -> bool:
        """Return whether a run has a record or a result."""
        key = self.key(recipe)
        return key in self.records or (self.home / RUNS / key / RESULT).exists()

    def _known(self, job: Job) -> bool:
        """Return whether a job's measures are recorded, or its run directory is finished.

        The directory of a run of another version, or with a damaged `run.json`, is renamed.
        """
        key = self.key(job.recipe)
        path, record = self.home / RUNS / key, self.records.get(key)
        missing = (
            [x for x in map(job.recorded, job.measures) if x not in record.measures]
            if record
            else []
        )
        own = version("keras_ilsvrc")
        if record and record.version == own and (record.diverged or not (missing or job.weights)):
            return True
        why, finished = "", False
        if (path / RUN).exists():
            try:
                run = RunFiles(path)
                finished = run.finished
                why = f"trained by version {run.identity.version}" * (run.identity.version != own)
            except InputError as error:
                why = str(error)
            if why:
                path.rename(places.free(path.with_name(f"{key}-before")))
        if record and record.version != own:
            why = f"trained by version {record.version}"
        elif record and not finished:
            what = "its weights are" if job.weights else f"{missing[0]} is"
            why = f"{what} needed, and the run directory is gone"
        if why:
            self.log(f"{key}: {why}; it is trained again")
        if record and record.version != own:
            del self.records[key]  # otherwise its other measures remain valid
        return finished and not why

    def _diverged(self, key: str) -> bool:
        return key in self.records and bool(self.records[key].diverged)

    def _note(self, key: str, recipe: Recipe, diverged: str) -> None:
        """Record that a run diverged, without the paths of the images, which others do not have."""
        why = re.sub(r" \(.*\):", ":", diverged).strip()
        self.records[key] = Record(recipe.net, version("keras_ilsvrc"), diverged=why)
        records.write(self.home, self.records)

    def _run(self, recipe: Recipe, free: Places) -> str | None:
        """Train a run; return the error message if it diverged, else None."""
        self.stop.check()
        path = self.path(recipe)
        with free.taken() as environment:
            reason = Apart(environment=environment, stop=self.stop).train(recipe, path)
        self.stop.check()  # the child may end before this process handles the same signal
        if reason and DIVERGED not in reason:
            raise InputError(f"{path}: {reason}")
        return reason

    def record(self, job: Job) -> tuple[Record, dict[str, float | None]]:
        """Return the record of a trained run, and its measures by name.

        A run that diverged has the errors of random guesses; its other measures are None.

        Raises:
            InputError: If a file of the run is damaged.
        """
        key, found = self.key(job.recipe), dict[str, float | None]()
        path = self.path(job.recipe)
        run = Trained(path, job.at, job.test)
        try:
            if key not in self.records:
                curve = [[_rounded(row[x]) for x in COLUMNS] for row in run.history]
                seconds, by = run.result["seconds"], run.run.identity.version
                self.records[key] = Record(job.recipe.net, by, seconds, curve=curve)
            record = self.records[key]
            for name in job.measures:
                kind, full = MEASURES[name], job.recorded(name)
                if record.diverged:
                    classes = job.recipe.build.classes or 10
                    found[name] = 100 * (1 - 1 / classes) if kind.chance else None
                    continue
                if full not in record.measures:
                    record.measures[full] = _rounded(kind.of(run))
                    records.write(self.home, self.records)
                found[name] = record.measures[full]
        except InputError as error:
            raise InputError(f"{error}; or remove {path} to train the run again") from error
        return record, found

    def check_disk(self, parameters: Mapping[str, tuple[int, int]]) -> None:
        """Check that the disk has enough space for all runs.

        Args:
            parameters: {arm: (number of runs that must be trained, number of parameters)}.

        Raises:
            InputError: If there is too little space.
        """
        needed = sum(runs * (4 * size + EACH) for runs, size in parameters.values())
        most = max((size for runs, size in parameters.values() if runs), default=0)
        needed += self.jobs * COPIES * 4 * most
        free = shutil.disk_usage(self.home).free
        if needed > free:
            raise InputError(
                f"{self.home}: {free / 1e9:.1f} GB are free, but the runs need up to "
                f"{needed / 1e9:.1f} GB; free some space, or choose another --out"
            )


def _rounded(value: float | None) -> float | None:
    """Round a number to six significant digits; return None if it is not finite."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None
