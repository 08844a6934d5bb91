"""The runs of claims: trained several at a time, kept in one folder and shared between claims."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from keras_ilsvrc import files
from keras_ilsvrc.claims.measures import MEASURES, Trained
from keras_ilsvrc.claims.schema import OF_ARM
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.recipe import Recipe, changed
from keras_ilsvrc.runs.apart import Apart
from keras_ilsvrc.runs.reading import RUN, RunFiles
from keras_ilsvrc.terminal.bars import bar
from keras_ilsvrc.training.cluster import Log, log_stderr
from keras_ilsvrc.training.stopping import StopRequest

DIVERGED = "diverged at"  # in the reason for which `train` failed
COPIES = 10  # bytes on the disk per byte of weights: checkpoints with momenta, and the result
EACH = 2_000_000  # bytes on the disk of a run in addition to its weights
START = "initial.weights"


class Pool:
    """Folder of runs, each named after its recipe, and the processes that train them.

    A run that exists is not trained again, and an interrupted one resumes. Each process has one
    core, so that the weights do not depend on the number of cores; or one GPU, if there are any.

    Args:
        home: Folder of the runs.
        jobs: Number of runs that are trained at the same time.
        gpus: IDs of the GPUs, as in `CUDA_VISIBLE_DEVICES`; empty to train on the CPU.
        stop: Request to stop, which stops all processes after a checkpoint.
        log: Function that prints a message.
    """

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
        self.failed: dict[str, str] = {}

    def path(self, recipe: Recipe) -> Path:
        """Return the run directory of a recipe."""
        digest = hashlib.sha256(recipe.toml().encode()).hexdigest()
        return self.home / f"{recipe.net}-{digest[:12]}"

    def resolved(self, recipe: Recipe, start: Recipe | None) -> Recipe:
        """Return a recipe that starts from the weights of another arm's run, if it names one."""
        if start is None:
            return recipe
        return changed(recipe, {START: str(self.path(start))}, OF_ARM)

    def finished(self, recipe: Recipe) -> bool:
        """Whether a run is finished, or is known to diverge. A run of another version is not."""
        path = self.path(recipe)
        if path.name in self.failed:
            return True
        if not (path / RUN).exists():
            return False
        run = RunFiles(path)
        if run.identity.version != version("keras_ilsvrc"):
            old = path.with_name(f"{path.name}-version-{run.identity.version}")
            path.rename(old)
            self.log(f"{path}: trained by version {run.identity.version}; it is trained again")
            return False
        return run.finished

    def train(self, recipes: Iterable[Recipe], label: str) -> None:
        """Train all runs that are not finished.

        Raises:
            Stopped: If a signal was received.
            InputError: If a run fails, unless it diverges.
        """
        unique = {self.path(recipe).name: recipe for recipe in recipes}
        pending = [recipe for recipe in unique.values() if not self.finished(recipe)]
        cores = _Places(self.gpus or _cores(), bool(self.gpus))
        done = len(unique) - len(pending)
        with ThreadPoolExecutor(self.jobs) as pool, bar(label) as progress:
            progress(done, len(unique))
            waiting = [pool.submit(self._run, recipe, cores) for recipe in pending]
            try:
                for future in as_completed(waiting):
                    future.result()
                    done += 1
                    progress(done, len(unique))
            except BaseException:
                for future in waiting:
                    future.cancel()
                raise

    def _run(self, recipe: Recipe, places: "_Places") -> None:
        self.stop.check()
        path = self.path(recipe)
        with places.taken() as environment:
            reason = Apart(environment=environment, stop=self.stop).train(recipe, path)
        if reason and DIVERGED in reason:
            self.failed[path.name] = reason
        elif reason:
            raise InputError(f"{path}: {reason}")

    def measured(
        self, recipe: Recipe, names: Iterable[str], at: float | None, test: Any
    ) -> dict[str, float | None]:
        """Return the measures of a finished run by name. They are kept beside the run.

        A run that diverged answers at random; its other measures are None.
        """
        path = self.path(recipe)
        if path.name in self.failed:
            classes = recipe.build.classes or 10
            chance = 100 * (1 - 1 / classes)
            return {x: chance if MEASURES[x].chance else None for x in names}
        kept = path.with_name(f"{path.name}.measures.json")
        table = json.loads(kept.read_text()) if kept.exists() else {}
        run, found = Trained(path, at, test), {}
        for name in names:
            key = f"{name} {json.dumps([at, test])} {run.run.identity.recipe[:12]}"
            if key not in table:
                table[key] = MEASURES[name].of(run)
                with files.whole(kept) as part:
                    part.write_text(json.dumps(table, indent=1))
            found[name] = table[key]
        return found

    def check_disk(self, parameters: Mapping[str, tuple[int, int]]) -> None:
        """Raise InputError if the disk has too little space for all runs.

        Args:
            parameters: {arm: (number of runs still to train, number of parameters)}.
        """
        needed = sum(runs * (4 * size + EACH) for runs, size in parameters.values())
        most = max((size for _, size in parameters.values()), default=0)
        needed += self.jobs * COPIES * 4 * most
        free = shutil.disk_usage(_existing(self.home)).free
        if needed > free:
            raise InputError(
                f"{self.home}: {free / 1e9:.1f} GB are free, but the runs need up to "
                f"{needed / 1e9:.1f} GB; free some space, or choose another --out"
            )


class _Places:
    """Cores or GPUs, each of which one run has for itself."""

    def __init__(self, names: Sequence[str], are_gpus: bool):
        self.free, self.are_gpus, self.lock = list(names), are_gpus, threading.Lock()

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
            yield {"CUDA_VISIBLE_DEVICES": name} if name is not None and self.are_gpus else {}
        finally:
            if name is not None:
                with self.lock:
                    self.free.append(name)


def _cores() -> list[str]:
    """Return the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return [str(x) for x in sorted(os.sched_getaffinity(0))]
    return [str(x) for x in range(os.cpu_count() or 1)]


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)
