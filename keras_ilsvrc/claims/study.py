"""A claim tested: its arms are trained, each at the best of its rates, and then compared."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

import keras

from keras_ilsvrc.accounting import account
from keras_ilsvrc.claims.pool import ImagesOfRun, Pool
from keras_ilsvrc.claims.schema import OF_ARM, Study
from keras_ilsvrc.claims.verdict import Effect, effect_of, overall
from keras_ilsvrc.errors import InputError, counted
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.recipe import Recipe
from keras_ilsvrc.runs.experiment import set_up
from keras_ilsvrc.terminal.bars import tracked
from keras_ilsvrc.training.strategy import mirrored

QUICK = "8x8 digits and few epochs, a rate chosen by us: no test of the claim on photographs"
FIRST = 0  # the seed with which all rates are tried


@dataclass
class Arm:
    """Arm of a claim as trained.

    Attributes:
        name: Name of the arm.
        net: Name of its network, with variations.
        parameters: Number of trainable parameters.
        macs: Multiply-adds for one image; None if unknown.
        rates: {factor of the recipe's rate: value by which the best was chosen}.
        rate: The best factor.
        values: {measure: one value for each seed}.
        curves: For each seed, rows of [step, training error, validation error].
        seconds: Seconds that the runs of all seeds took together.
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
    """Outcome of a claim: what `claim.json` holds.

    Attributes:
        claim: Name of the claim.
        title: Its title.
        says: The claim in one sentence.
        source: Where it is made.
        quick: Whether this is the quick form on small images.
        dataset: Short name of the data set.
        images: Number of training images.
        seeds: Number of seeds.
        reduced: What is smaller than in the paper.
        reason: Why a small data set does not show the claim, if that is known.
        arms: Arms as trained.
        effects: Comparisons.
        verdict: Verdict of the whole claim.
        seconds: Sum of the seconds of all runs, on one core or GPU each.
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

    def table(self) -> dict[str, Any]:
        """Return the content of `claim.json`."""
        return asdict(self)

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> "Outcome":
        """Return the outcome that `table` wrote."""
        arms = [Arm(**arm) for arm in table["arms"]]
        effects = [Effect(**effect) for effect in table["effects"]]
        return cls(**{**table, "arms": arms, "effects": effects})


def test_claim(study: Study, pool: Pool) -> Outcome:
    """Train what is missing of a claim's runs, measure all, and compare the arms.

    Raises:
        InputError: If the data do not fit the arms, the disk is too small, or a run fails.
        Stopped: If a signal was received; a repetition goes on where it stopped.
    """
    started = time.monotonic()
    pool.images = images_of(next(iter(study.recipes.values())))
    arms = {name: _arm(name, recipe) for name, recipe in study.recipes.items()}
    _check_disk(study, pool, arms)
    here = [name for name in arms if pool.gpus or study.devices[name] != "gpu"]
    stages = {(study.devices[name], bool(_start(study, name))) for name in here}
    for device, starts in sorted(stages, key=str):
        names = [x for x in here if (study.devices[x], bool(_start(study, x))) == (device, starts)]
        some = {name: arms[name] for name in names}
        _train(study, pool.on(device), arms, some)
        _measure(study, pool.on(device), arms, some)
    claim = study.claim
    effects = []
    for row in claim.expect:
        measure = claim.measure_of(row)
        effects.append(
            effect_of(row, measure, {x: arms[x].values.get(measure, []) for x in row.arms})
        )
    pool.log(f"{study.name}: {time.monotonic() - started:.0f} s")
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
        reason=claim.reason,
        arms=list(arms.values()),
        effects=effects,
        verdict=overall(effects),
        seconds=round(sum(arm.seconds for arm in arms.values()), 1),
    )


def images_of(recipe: Recipe) -> ImagesOfRun:
    """Open the data of a recipe.

    Raises:
        InputError: If it has other classes than the net, or fewer images than a batch.
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


def _arm(name: str, recipe: Recipe) -> Arm:
    """Build the network of an arm for its account."""
    model = build(recipe.net, **recipe.build.model_dump(exclude_none=True))
    found = account(model)
    keras.backend.clear_session()
    return Arm(name, model.name, found.parameters, found.macs)


def _check_disk(study: Study, pool: Pool, arms: Mapping[str, Arm]) -> None:
    runs = len(study.rates) + study.seeds - 1
    pool.check_disk({name: (runs, arm.parameters) for name, arm in arms.items()})


def _start(study: Study, name: str) -> str | None:
    """Return the arm from whose weights an arm starts, if any."""
    initial = study.recipes[name].initial
    weights = initial if isinstance(initial, str) else initial.weights
    return weights.removeprefix(OF_ARM) if weights.startswith(OF_ARM) else None


def _recipe(study: Study, pool: Pool, arms: Mapping[str, Arm], name: str, seed: int) -> Recipe:
    """Return the recipe of an arm at its best rate, with the weights it starts from."""
    return _at(study, pool, arms, name, seed, arms[name].rate)


def _at(
    study: Study, pool: Pool, arms: Mapping[str, Arm], name: str, seed: int, factor: float
) -> Recipe:
    recipe, start = study.recipe(name, seed, factor), _start(study, name)
    return pool.resolved(recipe, _recipe(study, pool, arms, start, seed) if start else None)


def _train(study: Study, pool: Pool, every: Mapping[str, Arm], arms: Mapping[str, Arm]) -> None:
    """Try all rates of the arms with the first seed, then train the other seeds at the best."""
    chosen_by = study.claim.chosen_by
    trials = {
        (name, factor): _at(study, pool, every, name, FIRST, factor)
        for name in arms
        for factor in study.rates
    }
    pool.train(trials.values(), f"{study.name}: rates")
    for (name, factor), recipe in trials.items():
        found = pool.record(recipe, [chosen_by], study.claim.at)[1][chosen_by]
        arms[name].rates[f"{factor:.3g}"] = float("inf") if found is None else found
    for arm in arms.values():
        best = min(arm.rates, key=lambda factor: arm.rates[factor])
        arm.rate = study.rates[list(arm.rates).index(best)]
    seeds = range(1, study.seeds)
    pool.train(
        [_recipe(study, pool, every, name, seed) for name in arms for seed in seeds],
        f"{study.name}: seeds",
    )


def _measure(study: Study, pool: Pool, every: Mapping[str, Arm], arms: Mapping[str, Arm]) -> None:
    """Fill in the measures and curves of some arms."""
    claim = study.claim
    needed = {name: {claim.measure} for name in arms}
    for row in claim.expect:
        for name in set(row.arms) & set(arms):
            needed[name].add(claim.measure_of(row))
    jobs = [(name, seed) for name in arms for seed in range(study.seeds)]
    for name, seed in tracked(jobs, len(jobs), f"{study.name}: measuring"):
        arm, recipe = arms[name], _recipe(study, pool, every, name, seed)
        record, found = pool.record(recipe, sorted(needed[name]), claim.at, study.tests[name])
        for measure, value in found.items():
            arm.values.setdefault(measure, []).append(float("nan") if value is None else value)
        arm.seconds = round(arm.seconds + record.seconds, 1)
        if record.curve:
            arm.curves.append(record.curve)
