"""The challenge run again: its runs are trained, measured, and gathered in one outcome."""

import json
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras

from keras_ilsvrc import files
from keras_ilsvrc.accounting import account
from keras_ilsvrc.claims.challenge_file import By, Contest
from keras_ilsvrc.claims.pool import Pool
from keras_ilsvrc.claims.study import images_of
from keras_ilsvrc.errors import InputError, reason
from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.recipe import Recipe

OUTCOME = "challenge.json"
TEN_CROP = {"protocol": "ten_crop"}
MEASURED = ("test_error", "ten_crop", "training_error", "seconds")
OnResult = Callable[["Outcome"], None]
Job = tuple[str, By, int]  # an entry, a recipe, the number of a seed


@dataclass
class Trained:
    """Runs of an entry by one recipe, one value for each seed that was trained.

    Attributes:
        rate: First learning rate.
        test_error: Top-1 error in % of the centre crop of each test image.
        ten_crop: Top-1 error in % of ten crops of each test image.
        training_error: Top-1 error in % of the training images in the last epoch, augmented.
        seconds: Seconds of training on one core or GPU, from the median speed of the epochs.
        diverged: Number of runs that diverged, which count as answers at random.
    """

    rate: float
    test_error: list[float] = field(default_factory=list)
    ten_crop: list[float] = field(default_factory=list)
    training_error: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    diverged: int = 0


@dataclass
class Result:
    """Entry of the challenge: its net, what was published of it, and its runs.

    Attributes:
        name: Name of the entry.
        net: Name of the net, with variations.
        competes: Whether it is one of the nets of the challenge.
        year: Year of the paper.
        depth: Number of layers with weights on the longest path.
        size: Height and width of the images, in pixels.
        parameters: Number of trainable parameters.
        macs: Multiply-adds for one image of this size.
        top1_error: Published top-1 error of one net in %.
        top5_error: Published top-5 error of one net in %.
        protocol: Test protocol of the published errors.
        by: Runs by recipe.
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
    """Outcome of the challenge: what `challenge.json` holds.

    Attributes:
        title: Title of the challenge.
        form: Name of the form.
        dataset: Short name of the data set.
        images: Number of training images.
        epochs: Number of epochs of each run.
        seeds: Number of seeds.
        gap: Names of two entries, the gap between which is explained.
        orders: Entries with the higher and the lower published error, and the published errors.
        beside: What others measured on the same images.
        departures: What differs from the papers, for all entries and by entry.
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
        """Return the outcome that `table` wrote."""
        results = [
            Result(**{**row, "by": {by: Trained(**x) for by, x in row["by"].items()}})
            for row in table["results"]
        ]
        return cls(**{**table, "results": results})

    def errors(self, name: str, by: By = "era") -> list[float]:
        """Return the test errors of an entry by a recipe; an empty list if there are none."""
        found = next(result for result in self.results if result.name == name).by.get(by)
        return found.test_error if found else []


def compete(contest: Contest, pool: Pool, on_result: OnResult) -> Outcome:
    """Train and measure what is missing of the runs of a contest, the least work first.

    Args:
        contest: Challenge in one form.
        pool: Runs, whose records are kept.
        on_result: Function called with the outcome so far, at the start and after each few runs.

    Raises:
        InputError: If the data do not fit, the disk is too small, or a run fails.
        Stopped: If a signal was received; a repetition goes on where it stopped.
    """
    pool.images = images_of(next(iter(contest.recipes.values())))
    results = [_result(contest, name) for name in contest.entries]
    sizes = {result.name: (result.macs, result.parameters) for result in results}
    jobs: list[Job] = [
        (name, by, seed)
        for name, by in contest.recipes
        for seed in range(contest.seeds)
        if name in contest.only
    ]
    jobs.sort(key=lambda job: sizes[job[0]][0])
    missing = [job for job in jobs if not _known(pool, _resolved(contest, pool, job))]
    for job in missing:  # a record without all measures is no help
        pool.records.pop(pool.key(_resolved(contest, pool, job)), None)
    pool.check_disk({str(job): (1, sizes[job[0]][1]) for job in missing})
    outcome = _outcome(contest, pool, results)
    on_result(outcome)
    groups = [missing[x : x + pool.jobs] for x in range(0, len(missing), pool.jobs)]
    for number, group in enumerate(groups, 1):
        recipes = [_resolved(contest, pool, job) for job in group]
        names = ", ".join(dict.fromkeys(name for name, *_ in group))
        pool.log(f"challenge: {number} of {len(groups)}: {names}")
        pool.train(recipes, names)
        for recipe in recipes:
            _measures(pool, recipe)
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
    """Return the mean of some values; NaN if there are none."""
    return statistics.fmean(values) if values else math.nan


def _result(contest: Contest, name: str) -> Result:
    """Build the net of an entry for its account; return the entry without runs."""
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


def _resolved(contest: Contest, pool: Pool, job: Job) -> Recipe:
    """Return the recipe of a run, with the weights that it starts from."""
    name, by, seed = job
    start = contest.entries[name].start
    of_start = _resolved(contest, pool, (start, by, seed)) if start else None
    return pool.resolved(contest.recipe(name, by, seed), of_start)


def _measures(pool: Pool, recipe: Recipe) -> tuple[dict[str, float | None], bool]:
    """Return the measures of a trained run, and whether it diverged."""
    record, found = pool.record(recipe, ["test_error", "training_error", "images_per_second"])
    crops = pool.record(recipe, ["test_error"], test=TEN_CROP)[1]
    speed, epochs = found["images_per_second"], recipe.schedule.epochs
    assert epochs is not None
    seconds = pool.images.number * epochs / speed if speed else record.seconds
    return {**found, "ten_crop": crops["test_error"], "seconds": seconds}, bool(record.diverged)


def _known(pool: Pool, recipe: Recipe) -> bool:
    """Whether a run of this version has a record, and its measures are known or can be measured."""
    record = pool.records.get(pool.key(recipe))
    if record is None or record.version != version("keras_ilsvrc"):
        return False
    try:
        _measures(pool, recipe)
    except InputError:  # the record lacks a measure, and the run directory is gone
        return False
    return True


def _outcome(contest: Contest, pool: Pool, results: Sequence[Result]) -> Outcome:
    """Return the outcome with the runs that are measured so far."""
    for result in results:
        result.by = {}
    by_name = {result.name: result for result in results}
    for name, by in contest.recipes:
        entry = contest.entries[name]
        trained = by_name[name].by[by] = Trained(entry.rates[by])
        for seed in range(contest.seeds):
            recipe = _resolved(contest, pool, (name, by, seed))
            if not _known(pool, recipe):
                continue
            found, diverged = _measures(pool, recipe)
            for key in MEASURED:
                if (value := found[key]) is not None and not (diverged and key == "seconds"):
                    getattr(trained, key).append(float(f"{value:.6g}"))
            trained.diverged += diverged
    pool.starts = {}
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
