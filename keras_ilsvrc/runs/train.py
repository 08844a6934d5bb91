"""Training and testing of a recipe's network; all results are saved in a run directory."""

import gc
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from importlib.metadata import version
from typing import Any

import keras
import tensorflow as tf

from keras_ilsvrc.data.source import BadFile
from keras_ilsvrc.evaluation.baseline import svm
from keras_ilsvrc.recipe.schema import Recipe
from keras_ilsvrc.runs.directory import NoDirectory, RunDirectory
from keras_ilsvrc.runs.evaluate import errors_of
from keras_ilsvrc.runs.experiment import Experiment, naming_bad_limit, set_up
from keras_ilsvrc.runs.finished import FinishedRun
from keras_ilsvrc.runs.fit import fit, write_weights
from keras_ilsvrc.runs.machine import HERE, Machine
from keras_ilsvrc.runs.pictures import Page, draw
from keras_ilsvrc.runs.reading import WEIGHTS
from keras_ilsvrc.runs.update import check_update, make_update
from keras_ilsvrc.training.checkpoint import State
from keras_ilsvrc.training.cluster import log_stderr
from keras_ilsvrc.training.replicas import as_tested, from_chief
from keras_ilsvrc.training.stopping import StopRequest
from keras_ilsvrc.training.strategy import mirrored, multi_worker
from keras_ilsvrc.utils.bars import bar
from keras_ilsvrc.utils.errors import InputError, out_of_memory
from keras_ilsvrc.utils.files import whole

BASELINES = {"svm": svm}
ADVICE = "set a smaller data.batch_size, or raise accumulate"


def train(
    recipe: Recipe,
    directory: RunDirectory,
    machine: Machine = HERE,
    overrides: Sequence[str] = (),
    page: Page | None = None,
) -> dict[str, Any]:
    """Train and test a recipe's network; resume from the run's last checkpoint if there is one.

    Args:
        recipe: Recipe as loaded.
        directory: Directory of the run; `NoDirectory()` on a worker that is not the chief.
        machine: Settings of this machine.
        overrides: Changes to the recipe, such as "seed=1", which `result.json` records.
        page: Function that writes the HTML report, called after the result is saved.

    Returns:
        The content of `result.json`.

    Raises:
        InputError: If a name in the recipe is unknown, if the images do not fit the network, or
            if the images of a resumed run have changed.
        Stopped: If SIGTERM, SIGHUP or SIGINT is received.
        Diverged: If the gradients are repeatedly not finite.
        LostWorker: If another worker is lost.
    """
    advised = _naming_on_bad(recipe.data.on_bad)
    with directory, _strategy_of(machine) as strategy, out_of_memory(ADVICE), advised:
        if recipe.first:
            _train_first(recipe, directory, machine, strategy, overrides)
        return _train(recipe, directory, machine, strategy, overrides, page)


@contextmanager
def _naming_on_bad(on_bad: str | None) -> Iterator[None]:
    """Add a hint to errors about bad files in a block, unless the recipe leaves such files out."""
    try:
        yield
    except BadFile as error:
        if on_bad == "skip":
            raise
        raise InputError(
            f"{error}; list all bad files with `keras-ilsvrc data check`; to leave bad training "
            "images out, set data.on_bad = 'skip' and data.bad_limit"
        ) from error


def _strategy_of(machine: Machine) -> AbstractContextManager[tf.distribute.Strategy]:
    if machine.cluster is None:
        return nullcontext(mirrored(machine.replicas))
    return multi_worker(machine.cluster, machine.deadline)


def _train_first(
    recipe: Recipe,
    directory: RunDirectory,
    machine: Machine,
    strategy: tf.distribute.Strategy,
    overrides: Sequence[str],
) -> None:
    """Train the first stage of a recipe, unless it is finished."""
    if from_chief(strategy, State({}) if directory.past_first else None) is not None:
        return
    first = Recipe.model_validate(recipe.first_table())
    with directory.of_first(first) as inside:
        if not isinstance(inside, NoDirectory):
            log_stderr(f"first stage: {first.schedule.length}, in {inside.path}")
        complete = replace(machine, stop_epoch=None)  # it counts the main stage only
        _train(first, inside, complete, strategy, overrides, later=recipe)
    gc.collect()  # free the model and the optimizer of the first stage


def _train(
    recipe: Recipe,
    directory: RunDirectory,
    machine: Machine,
    strategy: tf.distribute.Strategy,
    overrides: Sequence[str],
    page: Page | None = None,
    later: Recipe | None = None,
) -> dict[str, Any]:
    """Train and test one stage of a recipe; first check the recipe of the `later` stage, if any."""
    started = time.perf_counter()
    experiment = set_up(recipe, strategy, directory.statistics())
    _check_baseline(experiment)
    if later:
        check_update(replace(experiment, recipe=later), machine.xla)
    with strategy.scope():
        update = make_update(experiment, machine.xla)
    _record(experiment, directory)
    bad_limit = naming_bad_limit(recipe.data.bad_limit, experiment.files_left_out)
    with StopRequest() as stop, bad_limit:
        fitted = fit(experiment, update, directory, machine, stop)
    with as_tested(update):
        with StopRequest() as stop:
            result = _test(experiment, directory, stop)
            found = result.pop("probabilities")
            result["seconds"] = round(time.perf_counter() - started, 1)
            if isinstance(directory, NoDirectory):
                return result
            result |= fitted.facts | _facts(experiment, machine, overrides)
            directory.finish(result)
        if experiment.alone:
            stop.check()
        if later is None:
            draw(FinishedRun(directory, experiment, result, fitted.history, found, bar), page)
    return result


def _record(experiment: Experiment, directory: RunDirectory) -> None:
    """Record the images and statistics of a new run, or check the images of a resumed run."""
    if not isinstance(directory, NoDirectory):
        for line in (*experiment.source.notes, *directory.begin(experiment.identity())):
            log_stderr(line)
        directory.keep_statistics(experiment.statistics)


def _test(experiment: Experiment, directory: RunDirectory, stop: StopRequest) -> dict[str, Any]:
    """Test the network, write its weights, and return the result of `errors_of`."""
    path = directory.file(WEIGHTS)
    with bar("testing", path is not None) as progress:

        def checked(done: int, total: int) -> None:
            progress(done, total)
            if experiment.alone:  # with several workers, all must finish the test
                stop.check()

        result = errors_of([experiment], progress=checked)
    if path:
        with whole(path) as part:
            write_weights(experiment.model, part)
    return result


def _facts(experiment: Experiment, machine: Machine, overrides: Sequence[str]) -> dict[str, Any]:
    """Return the entries of `result.json` about the baseline, files left out, and settings."""
    return _baseline(experiment) | {
        "left_out": experiment.files_left_out(),
        "xla": machine.xla,
        **ending(overrides),
    }


def ending(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the entries of `result.json` about overrides, time of the end, and versions."""
    return {
        "overrides": list(overrides),
        "finished": datetime.now().astimezone().isoformat(timespec="seconds"),
        "versions": {
            "keras_ilsvrc": version("keras_ilsvrc"),
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "python": platform.python_version(),
        },
    }


def _check_baseline(experiment: Experiment) -> None:
    """Raise InputError if the recipe has a baseline but the dataset is not kept in memory."""
    name, splits = experiment.recipe.baseline, (experiment.train, experiment.test)
    if name and any(split.pixels is None for split in splits):
        raise InputError(
            f"baseline is {name!r}, which needs a dataset that is kept in memory; remove this key"
        )


def _baseline(experiment: Experiment) -> dict[str, Any]:
    """Train the recipe's baseline; return its entry of `result.json`, or {} without a baseline."""
    name = experiment.recipe.baseline
    if name is None:
        return {}
    train, test = experiment.train, experiment.test
    assert train.pixels is not None
    assert test.pixels is not None
    error = BASELINES[name](train.pixels, train.labels, test.pixels, test.labels)
    return {"baseline": {"name": name, "top1_error": round(error, 4)}}
