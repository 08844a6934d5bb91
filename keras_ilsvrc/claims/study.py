"""Test of a claim: its arms are trained, each with its best learning rate, and compared."""

import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import keras

from keras_ilsvrc.accounting import account
from keras_ilsvrc.claims.arms import OF_ARM, Study
from keras_ilsvrc.claims.pool import ImagesOfRun, Job, Pool
from keras_ilsvrc.claims.verdict import Effect, effect_of, overall
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.recipe import Recipe, changed
from keras_ilsvrc.runs.experiment import set_up
from keras_ilsvrc.training.strategy import mirrored
from keras_ilsvrc.utils.bars import tracked
from keras_ilsvrc.utils.errors import InputError, counted

QUICK = "8x8 digits, few epochs and our own learning rate, so not a test on photographs"
START = "initial.weights"
FIRST = 0  # index of the seed with which all learning rates are tried


@dataclass
class Arm:
    """Results of an arm of a claim.

    Attributes:
        name: Name of the arm.
        net: Name of its net, with variations.
        parameters: Number of trainable parameters.
        macs: Multiply-adds for one image; None if unknown.
        rates: {factor of the recipe's learning rate: value of the measure `chosen_by`}.
        rate: Factor with the lowest value.
        values: {measure: one value for each seed}.
        curves: For each seed, rows of [step, training error, validation error].
        seconds: Total seconds of the runs of all seeds at this rate.
    """

    name: str
    net: str
    parameters: int
    macs: int | None
    rates: dict[str, float] = field(default_factory=dict)
    rate: float = 1.0
    values: dict[str, list[float]] = field(default_factory=dict)
    curves: list[list[list[float | None]]] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class Outcome:
    """Outcome of a claim: the content of `claim.json`.

    Attributes:
        claim: Name of the claim.
        title: Title of the claim.
        says: Statement of the claim.
        source: Paper that makes the claim, with sections.
        quick: Whether this is the quick form on small images.
        dataset: Short name of the data set.
        images: Number of training images.
        seeds: Number of seeds.
        reduced: What is smaller than in the paper.
        reason: Possible reason why the claim is not seen; empty if none is known.
        arms: Results of the arms.
        effects: Results of the comparisons.
        verdict: Verdict of the whole claim.
        seconds: Total seconds of the runs of all arms at their best rates, on one core or GPU each.
        version: Version of the package.
    """

    claim: str
    title: str
    says: str
    source: str
    quick: bool
    dataset: str
    images: int
    seeds: int
    reduced: str
    reason: str
    arms: list[Arm]
    effects: list[Effect]
    verdict: str
    seconds: float
    version: str = field(default_factory=lambda: version("keras_ilsvrc"))

    @property
    def summary(self) -> str:
        """Verdict of the claim, or the number of each verdict if its comparisons differ."""
        counts = Counter(effect.verdict for effect in self.effects)
        if len(counts) < 2:
            return self.verdict
        (first, number), *others = counts.most_common()
        rest = ", ".join(f"{verdict} in {count}" for verdict, count in others)
        return f"{first} in {number} of {len(self.effects)} comparisons, {rest}"

    def table(self) -> dict[str, Any]:
        """Return the content of `claim.json`; a number that is not finite is None."""
        return _finite(asdict(self))

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> "Outcome":
        """Create an outcome from the content of `claim.json`."""
        arms = [Arm(**arm) for arm in table["arms"]]
        effects = [Effect(**effect) for effect in table["effects"]]
        return cls(**{**table, "arms": arms, "effects": effects})


def outcome_of(study: Study, pool: Pool) -> Outcome:
    """Train the missing runs of a claim, measure all runs, and compare the arms.

    Raises:
        InputError: If the images do not fit the arms, the disk is too small, or a run fails.
        Stopped: If a signal was received; call this function again to continue.
    """
    started = time.monotonic()
    pool.images = images_of(next(iter(study.recipes.values())))
    arms = {name: _arm(study, name) for name in study.recipes}
    here = [name for name in arms if pool.gpus or study.devices[name] != "gpu"]
    _check_disk(study, pool, arms, here)
    # Arms that start from other arms are trained last, because they need the best rates of those.
    stages = {name: (study.devices[name], study.start(name) is not None) for name in here}
    for stage in sorted(set(stages.values()), key=str):
        names = [name for name in here if stages[name] == stage]
        _train(study, pool.on(stage[0]), arms, names)
        _measure(study, pool.on(stage[0]), arms, names)
    claim = study.claim
    effects = []
    for row in claim.expect:
        measure = claim.measure_of(row)
        effects.append(
            effect_of(row, measure, {x: arms[x].values.get(measure, []) for x in row.arms})
        )
    pool.log(f"{study.name}: took {time.monotonic() - started:.0f} s")
    return Outcome(
        claim=study.name,
        title=claim.title,
        says=claim.says,
        source=claim.source,
        quick=study.quick,
        dataset=pool.images.label,
        images=pool.images.number,
        seeds=study.seeds,
        reduced=QUICK if study.quick else claim.reduced,
        reason=_reason(study, [name for name in arms if name not in here]),
        arms=list(arms.values()),
        effects=effects,
        verdict=overall(effects),
        seconds=round(sum(arm.seconds for arm in arms.values()), 1),
    )


def images_of(recipe: Recipe) -> ImagesOfRun:
    """Return the name, digest and size of the data set of a recipe.

    Raises:
        InputError: If the images do not fit the net, or are fewer than a batch.
    """
    experiment = set_up(recipe, mirrored(1))
    count, batch = len(experiment.train), recipe.data.batch_size
    if count < batch:
        raise InputError(
            f"{experiment.source.name} has {counted(count, 'training image')}, fewer than a batch "
            f"of {batch}; use a larger data set"
        )
    keras.backend.clear_session()
    digest = experiment.identity().owner["data"]
    return ImagesOfRun(experiment.source.label, digest, count)


def _reason(study: Study, untrained: Sequence[str]) -> str:
    """Return why the claim may not be seen: an arm without its GPU, or the reason in the file."""
    if untrained:
        return f"{', '.join(untrained)} needs a GPU, and none was found"
    return "" if study.quick else study.claim.reason


def _arm(study: Study, name: str) -> Arm:
    """Return an arm without runs, with the parameters and multiply-adds of its net."""
    recipe = study.recipes[name]
    try:
        model = build(recipe.net, **recipe.build.model_dump(exclude_none=True))
    except InputError as error:
        raise InputError(f"{study.path}: arms.{name}: {error}") from error
    found = account(model)
    keras.backend.clear_session()
    return Arm(name, model.name, found.parameters, found.macs)


def _check_disk(study: Study, pool: Pool, arms: Mapping[str, Arm], here: Sequence[str]) -> None:
    """Raise InputError if the disk is too small for all runs that must be trained."""
    sizes = {}
    for name in here:
        own, others = pool.on(study.devices[name]), range(1, study.seeds)

        def count(seeds: Iterable[int], factor: float, name: str = name, own: Pool = own) -> int:
            jobs = (_job(study, own, arms, name, seed, factor) for seed in seeds)
            return sum(not own.has(job.recipe) for job in jobs)

        runs = sum(count([FIRST], factor) for factor in study.rates)
        runs += min(count(others, factor) for factor in study.rates)
        sizes[name] = runs, arms[name].parameters
    pool.check_disk(sizes)


def _job(
    study: Study,
    pool: Pool,
    arms: Mapping[str, Arm],
    name: str,
    seed: int,
    factor: float | None = None,
    measures: Sequence[str] = (),
) -> Job:
    """Return the job of an arm with a seed and a rate factor (None: the arm's best)."""
    recipe = study.recipe(name, seed, arms[name].rate if factor is None else factor)
    start = None
    if other := study.start(name):
        start = _job(study, pool, arms, other, seed)
        recipe = changed(recipe, {START: str(pool.path(start.recipe).absolute())}, OF_ARM)
    return Job(recipe, measures, study.claim.at, study.tests[name], start)


def _train(study: Study, pool: Pool, arms: Mapping[str, Arm], names: Sequence[str]) -> None:
    """Train arms at all rates with the first seed, then at the best rate with the others."""
    by = study.claim.chosen_by
    tried = {
        name: [
            _job(study, pool, arms, name, FIRST, x, [by])._replace(test=None) for x in study.rates
        ]
        for name in names
    }
    pool.train((job for jobs in tried.values() for job in jobs), f"{study.name}: rates")
    for name, jobs in tried.items():
        found = []
        for job in jobs:
            record, measured = pool.record(job)
            value = measured[by]
            found.append(math.inf if record.diverged or value is None else value)
        arms[name].rates = {f"{x:g}": value for x, value in zip(study.rates, found)}
        arms[name].rate = study.rates[found.index(min(found))]
    pool.train(_all(study, pool, arms, names).values(), f"{study.name}: seeds")


def _all(
    study: Study, pool: Pool, arms: Mapping[str, Arm], names: Sequence[str]
) -> dict[tuple[str, int], Job]:
    """Return {(arm, seed): job} for all seeds of some arms at their best rates."""
    return {
        (name, seed): _job(study, pool, arms, name, seed, measures=study.measures(name))
        for name in names
        for seed in range(study.seeds)
    }


def _measure(study: Study, pool: Pool, arms: Mapping[str, Arm], names: Sequence[str]) -> None:
    """Add the measures, curves and seconds of the runs of some arms to `arms`."""
    jobs = _all(study, pool, arms, names)
    for (name, _), job in tracked(jobs.items(), len(jobs), f"{study.name}: measuring"):
        pool.stop.check()
        arm = arms[name]
        record, found = pool.record(job)
        for measure, value in found.items():
            arm.values.setdefault(measure, []).append(math.nan if value is None else value)
        arm.seconds = round(arm.seconds + record.seconds, 1)
        if record.curve:
            arm.curves.append(record.curve)


def _finite(table: Any) -> Any:
    """Replace NaN and infinity, which JSON does not have, by None."""
    if isinstance(table, dict):
        return {key: _finite(value) for key, value in table.items()}
    if isinstance(table, list | tuple):
        return [_finite(value) for value in table]
    return None if isinstance(table, float) and not math.isfinite(table) else table
