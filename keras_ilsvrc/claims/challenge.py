"""Training and testing of the nets of the challenge; the results are in `challenge.json`."""

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from keras_ilsvrc.accounting import account
from keras_ilsvrc.claims.arms import OF_ARM
from keras_ilsvrc.claims.challenge_file import By, Contest
from keras_ilsvrc.claims.pool import Job, Pool
from keras_ilsvrc.claims.study import START, images_of
from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.recipe import changed
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import InputError, reason

OUTCOME = "challenge.json"
TEN_CROP = {"protocol": "ten_crop"}
OnResult = Callable[["Outcome"], None]
Run = tuple[str, By, int]  # name of an entry, name of a recipe, index of a seed


@dataclass
class Trained:
    """Results of an entry trained with one recipe. Each list has one value per measured seed.

    Attributes:
        rate: Initial learning rate.
        test_error: Top-1 test errors in %, with the centre crop of each image.
        ten_crop: Top-1 test errors in %, with ten crops of each image.
        training_error: Top-1 errors in % on the augmented training images in the last epoch.
        seconds: Seconds of training on one core or GPU, computed from the median speed of the
            epochs; without runs that diverged.
        diverged: Number of runs that diverged; their errors are those of random guesses.
    """

    rate: float
    test_error: list[float] = field(default_factory=list)
    ten_crop: list[float] = field(default_factory=list)
    training_error: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    diverged: int = 0


@dataclass
class Result:
    """Entry of the challenge: its net, the published errors, and the results of its runs.

    Attributes:
        name: Name of the entry.
        net: Name of the net, with variations.
        competes: Whether it is one of the ten nets that are compared.
        year: Year of the paper.
        depth: Number of layers with weights on the longest path.
        size: Height and width of the input images, in pixels.
        parameters: Number of trainable parameters.
        macs: Multiply-adds for one image of this size.
        top1_error: Published top-1 error of a single net in %; None if none was published.
        top5_error: Published top-5 error of a single net in %; None if none was published.
        protocol: Test protocol of the published errors.
        by: Results by recipe.
    """

    name: str
    net: str
    competes: bool
    year: int
    depth: int
    size: int
    parameters: int
    macs: int
    top1_error: float | None
    top5_error: float | None
    protocol: str | None
    by: dict[By, Trained]


@dataclass
class Outcome:
    """Outcome of the challenge: the content of `challenge.json`.

    Attributes:
        title: Title of the challenge.
        form: Name of the form: "small", "full" or "quick".
        dataset: Short name of the data set.
        images: Number of training images.
        epochs: Number of epochs of each run.
        seeds: Number of seeds.
        gap: Names of two entries. The outcome says how much of the difference between their
            errors is due to the net, and how much to the training.
        orders: Pairs of entries, with the higher and the lower published error.
        beside: Accuracies that others published for the same images.
        departures: Differences from the papers: under "all" for all entries, and by entry.
        results: Entries in the order of the table.
        version: Version of the package.
    """

    title: str
    form: str
    dataset: str
    images: int
    epochs: float
    seeds: int
    gap: list[str]
    orders: list[dict[str, str]]
    beside: list[dict[str, Any]]
    departures: dict[str, list[str]]
    results: list[Result]
    version: str = field(default_factory=lambda: version("keras_ilsvrc"))

    def table(self) -> dict[str, Any]:
        """Return the content of `challenge.json`."""
        return asdict(self)

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> "Outcome":
        """Create an outcome from the content of `challenge.json`."""
        results = [
            Result(**{**row, "by": {by: Trained(**x) for by, x in row["by"].items()}})
            for row in table["results"]
        ]
        return cls(**{**table, "results": results})

    def errors(self, name: str, by: By = "era") -> list[float]:
        """Return the test errors of an entry with a recipe; an empty list if there are none."""
        found = next(result for result in self.results if result.name == name).by.get(by)
        return found.test_error if found else []


def compete(contest: Contest, pool: Pool, on_result: OnResult) -> Outcome:
    """Train and measure the missing runs of a contest, nets with few multiply-adds first.

    Args:
        contest: Entries and recipes of the challenge in one form.
        pool: Pool that trains the runs and records their measures.
        on_result: Function called with the outcome so far, before the first run and after every
            group of `pool.jobs` runs.

    Raises:
        InputError: If the images do not fit the nets, the disk is too small, or a run fails.
        Stopped: If a signal was received; call this function again to continue.
    """
    pool.images = images_of(next(iter(contest.recipes.values())))
    results = [_result(contest, name) for name in contest.entries]
    sizes = {result.name: (result.macs, result.parameters) for result in results}
    runs: list[Run] = [
        (name, by, seed)
        for name, by in contest.recipes
        for seed in range(contest.seeds)
        if name in contest.only
    ]
    runs.sort(key=lambda run: sizes[run[0]][0])
    missing = [x for x in runs if not all(_recorded(pool, y) for y in _jobs(contest, pool, x))]
    new = [x for x in missing if not pool.has(_jobs(contest, pool, x)[0].recipe)]
    pool.check_disk({str(run): (1, sizes[run[0]][1]) for run in new})
    outcome = _outcome(contest, pool, results)
    on_result(outcome)
    groups = [missing[x : x + pool.jobs] for x in range(0, len(missing), pool.jobs)]
    for number, group in enumerate(groups, 1):
        jobs = [job for run in group for job in _jobs(contest, pool, run)]
        names = ", ".join(dict.fromkeys(name for name, *_ in group))
        pool.log(f"challenge: group {number} of {len(groups)}: {names}")
        pool.train(jobs, names)
        for job in jobs:
            pool.stop.check()
            pool.record(job)
        keras.backend.clear_session()
        outcome = _outcome(contest, pool, results)
        on_result(outcome)
    return outcome


def write(outcome: Outcome, folder: Path) -> None:
    """Write `challenge.json`."""
    with files.whole(folder / OUTCOME) as part:
        part.write_text(json.dumps(outcome.table(), indent=1) + "\n")


def read(folder: Path) -> Outcome:
    """Read the outcome of the challenge from its folder.

    Raises:
        InputError: If `challenge.json` is missing or damaged.
    """
    path = folder / OUTCOME
    try:
        return Outcome.of(json.loads(files.read(path)))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: damaged: {reason(error)}; repeat `keras-ilsvrc challenge` to write it again"
        ) from error


def mean_of(values: Sequence[float]) -> float:
    """Return the mean of the values; NaN if there are none."""
    return statistics.fmean(values) if values else math.nan


def _result(contest: Contest, name: str) -> Result:
    """Return an entry without runs, with the depth, parameters and multiply-adds of its net."""
    recipe = next(recipe for (other, _), recipe in contest.recipes.items() if other == name)
    model = build(recipe.net, **recipe.build.model_dump(exclude_none=True))
    found, net = account(model), info(recipe.net)
    keras.backend.clear_session()
    assert found.macs is not None
    return Result(
        name=name,
        net=model.name,
        competes=contest.entries[name].competes,
        year=net.year,
        depth=found.depth,
        size=contest.size(name),
        parameters=found.parameters,
        macs=found.macs,
        top1_error=net.top1_error,
        top5_error=net.top5_error,
        protocol=net.protocol,
        by={},
    )


def _jobs(contest: Contest, pool: Pool, run: Run) -> tuple[Job, Job]:
    """Return two jobs for a run: its measures with a single view, and with ten crops."""
    name, by, seed = run
    recipe, start = contest.recipe(name, by, seed), None
    if other := contest.entries[name].start:
        start = _jobs(contest, pool, (other, by, seed))[0]
        recipe = changed(recipe, {START: str(pool.path(start.recipe).absolute())}, OF_ARM)
    single = Job(recipe, ("test_error", "training_error", "images_per_second"), start=start)
    return single, Job(recipe, ("test_error",), test=TEN_CROP, start=start)


def _recorded(pool: Pool, job: Job) -> bool:
    """Return whether this version recorded all measures of a job, or that its run diverged."""
    record = pool.records.get(pool.key(job.recipe))
    if record is None or record.version != version("keras_ilsvrc"):
        return False
    return bool(record.diverged) or all(job.recorded(x) in record.measures for x in job.measures)


def _outcome(contest: Contest, pool: Pool, results: Sequence[Result]) -> Outcome:
    """Return the outcome with the results of all runs measured so far."""
    for result in results:
        result.by = {}
    by_name = {result.name: result for result in results}
    for name, by in contest.recipes:
        entry = contest.entries[name]
        trained = by_name[name].by[by] = Trained(entry.rates[by])
        for seed in range(contest.seeds):
            jobs = _jobs(contest, pool, (name, by, seed))
            if all(_recorded(pool, job) for job in jobs):
                _add(trained, pool, *jobs)
    challenge = contest.challenge
    return Outcome(
        title=challenge.title,
        form=contest.name,
        dataset=pool.images.label,
        images=pool.images.number,
        epochs=contest.form.epochs,
        seeds=contest.seeds,
        gap=challenge.gap,
        orders=[order.model_dump() for order in challenge.orders],
        beside=[row.model_dump() for row in challenge.beside],
        departures=contest.departures(),
        results=list(results),
    )


def _add(trained: Trained, pool: Pool, single: Job, crops: Job) -> None:
    """Add the measures of a recorded run to the results of its entry."""
    record, found = pool.record(single)
    epochs, speed = single.recipe.schedule.epochs or 0, found["images_per_second"]
    if record.diverged:
        trained.diverged += 1
    else:
        seconds = pool.images.number * epochs / speed if speed else record.seconds
        trained.seconds.append(round(seconds, 1))
    for values, value in (
        (trained.test_error, found["test_error"]),
        (trained.training_error, found["training_error"]),
        (trained.ten_crop, pool.record(crops)[1]["test_error"]),
    ):
        if value is not None:
            values.append(value)
