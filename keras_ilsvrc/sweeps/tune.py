"""Complete sweeps: trials, comparison of the winner with the recipe, test, and result files."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_ilsvrc.sweeps.board import board, line_of
from keras_ilsvrc.sweeps.oracle import SweepOracle, make_oracle, space_of
from keras_ilsvrc.sweeps.outcome import (
    Comparison,
    Row,
    best_of,
    compare,
    rows_of,
    test_winner,
    write_best,
    write_outcome,
    write_trials,
)
from keras_ilsvrc.sweeps.page import write_page
from keras_ilsvrc.sweeps.schema import Sweep
from keras_ilsvrc.sweeps.search import directory, search, worker_directory
from keras_ilsvrc.sweeps.trial import Runner
from keras_ilsvrc.sweeps.workers import Processes, joined, name_of, run_local
from keras_ilsvrc.training.cluster import log_stderr
from keras_ilsvrc.training.stopping import StopRequest

ALONE = "tuner0"  # name of the worker if a single process runs all trials


@dataclass(frozen=True)
class Finished:
    """A finished sweep.

    Attributes:
        home: Directory of the sweep.
        sweep: Sweep.
        rows: Trials in the order of their numbers.
        best: Completed trial with the smallest objective.
        comparison: Comparison of the best trial with the recipe, on new seeds; None if the recipe
            itself is the best trial.
        result: Test result of `best.toml`.
    """

    home: Path
    sweep: Sweep
    rows: list[Row]
    best: Row
    comparison: Comparison | None
    result: dict[str, Any]

    @property
    def verdict(self) -> str:
        """Sentence that says whether the best trial is better than the recipe."""
        if self.comparison is None:
            return "no trial was better than the recipe"
        return self.comparison.verdict(" points" if "error" in self.sweep.table.objective else "")


def tune(
    sweep: Sweep, out: Path, resume: bool, processes: Processes, stop: StopRequest
) -> Finished:
    """Run or resume a sweep, and write its result files and its HTML page.

    Args:
        sweep: Sweep.
        out: Directory of the sweep.
        resume: Whether the directory may contain this sweep already.
        processes: Processes that run the trials.
        stop: Request to stop.

    Raises:
        InputError: If the directory contains anything else, or no trial is completed.
        Stopped: If a signal was received; the sweep can be resumed.
        LostWorker: If all workers on this machine ended before all trials were done.
    """
    with directory(out, sweep, resume) as home:
        oracle = make_oracle(sweep)
        oracle.prepare(home, sweep.defaults(), log_stderr)
        oracle.reload()
        hide_gpus()
        # With one GPU per worker, the final runs use one GPU too.
        own = {"CUDA_VISIBLE_DEVICES": processes.devices[0]} if processes.devices else {}
        runner = Runner(sweep, home, processes.options, own, stop)
        with board(oracle, sweep, home, total(sweep), processes.local or 1):
            search_all(oracle, runner, processes)
        return _finish(oracle, runner)


def work(sweep: Sweep, out: Path, address: str, options: Sequence[str], stop: StopRequest) -> None:
    """Join the chief at an address as a worker, and run trials until none is left.

    Raises:
        InputError: If the chief has another version of the package or another sweep, or the
            directory contains anything other than this sweep.
        LostWorker: If the chief does not answer.
    """
    hide_gpus()
    runner = Runner(sweep, worker_directory(out, sweep), options, stop=stop)
    with joined(address, sweep) as oracle:
        search(oracle, runner, name_of(sweep), lambda: None)


def hide_gpus() -> None:
    """Hide the GPUs from TensorFlow in this process, since the training processes need them."""
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")


def total(sweep: Sweep) -> int | None:
    """Return the number of trials of a sweep; None for Hyperband."""
    table = sweep.table
    if table.tuner != "grid":
        return table.trials
    size = math.prod(len(each.values) for each in space_of(sweep).space)
    return min(size, table.trials or size)


def search_all(oracle: SweepOracle, runner: Runner, processes: Processes) -> None:
    """Run all trials. After each trial, print a line and update `trials.csv`."""
    sweep, home, objective = runner.sweep, runner.home, runner.sweep.table.objective
    known = set(oracle.end_order)

    def seen() -> None:
        new = [number for number in oracle.end_order if number not in known]
        if new:
            known.update(new)
            rows = rows_of(oracle, sweep)
            for row in rows:
                if row.number in new:
                    log_stderr(line_of(row, objective))
            write_trials(home, rows, objective)

    if processes.local or processes.listen:
        run_local(oracle, sweep, home, processes, runner.stop, seen)
    else:
        search(oracle, runner, ALONE, seen)


def _finish(oracle: SweepOracle, runner: Runner) -> Finished:
    """Compare the best trial with the recipe, test it, and write the result files."""
    sweep, home = runner.sweep, runner.home
    rows = rows_of(oracle, sweep)
    write_trials(home, rows, sweep.table.objective)
    best = best_of(rows, sweep.table.objective)
    write_best(home, sweep, best)
    comparison = None
    if best.values != rows[0].values:  # Hyperband may continue trial 0 under another number
        log_stderr(f"trial {best.number} is the best; training it and the recipe with new seeds")
        comparison = compare(runner, best)
    finished = Finished(home, sweep, rows, best, comparison, test_winner(runner, best))
    write_outcome(home, comparison, finished.result)
    write_page(finished)
    return finished
