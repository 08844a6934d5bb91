"""The `train` and `evaluate` commands."""

import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_ilsvrc import recipe as recipes
from keras_ilsvrc.cli.evaluate import print_errors
from keras_ilsvrc.cli.options import DIVERGED, STOPPED, Json, Replicas, check_replicas
from keras_ilsvrc.cli.workers import run_workers
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.nets import info
from keras_ilsvrc.recipe.schema import Recipe
from keras_ilsvrc.runs.directory import NoDirectory, RunDirectory
from keras_ilsvrc.runs.machine import Machine
from keras_ilsvrc.runs.reading import CURVES, DOUBTFUL, PAGE, RESULT, RunFiles
from keras_ilsvrc.terminal.bars import bar
from keras_ilsvrc.terminal.streams import quiet_tensorflow
from keras_ilsvrc.training.cluster import LOST, Cluster, LostWorker, cluster_of
from keras_ilsvrc.training.stopping import Diverged, Stopped, StopRequest, ignore_signals


def _path(text: str) -> Path:
    """Return a path; refuse an empty one, which typer takes for the working directory."""
    if not text:
        raise InputError("--out is empty; expected a directory, for example runs/mine")
    return Path(text)


def train(
    recipe: Annotated[str, typer.Argument(help="TOML file, or name of a recipe.")],
    out: Annotated[
        Path | None, typer.Option(parser=_path, help="Run directory; runs/NAME if not given.")
    ] = None,
    replicas: Replicas = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Change a key, e.g. schedule.steps=100.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the run in --out, or start it.")
    ] = False,
    checkpoint_steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Steps between checkpoints, besides one every epoch and every ten minutes.",
        ),
    ] = None,
    steps_per_call: Annotated[
        int, typer.Option(min=1, help="Steps per call of the graph; more are faster on GPUs.")
    ] = 1,
    xla: Annotated[
        bool, typer.Option("--xla", help="Compile each replica's step with XLA.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write files for TensorBoard.")
    ] = False,
    local_workers: Annotated[
        int | None,
        typer.Option(
            min=2, max=256, help="Number of local processes to train in, each on the CPU."
        ),
    ] = None,
    max_restarts: Annotated[
        int, typer.Option(min=0, help="How many times to restart lost --local-workers.")
    ] = 0,
    wait_for_workers: Annotated[
        float, typer.Option(min=1, help="Seconds to wait until all workers have started.")
    ] = 300,
    as_json: Json = False,
) -> None:
    """Train a network from a recipe, test it, and keep the run in a directory.

    On SIGTERM, SIGHUP or Ctrl-C, it writes a checkpoint and exits with 75; --resume resumes from
    it. If gradients are repeatedly not finite, it exits with 76.

    To train on several machines, start it on each one with TF_CONFIG set. If another worker is
    lost, it exits with 69.
    """
    with _ending(out) as named, StopRequest(at_once=True):
        check_replicas(replicas)
        cluster = cluster_of()
        _check_workers(cluster, local_workers, max_restarts, replicas)
        if not math.isfinite(wait_for_workers):
            raise InputError(f"--wait-for-workers is {wait_for_workers}; expected seconds")
        overrides = set_ or []
        path = recipes.find(recipe)
        loaded = recipes.load(path, overrides)
        try:
            info(loaded.net, **loaded.build.variations)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        machine = Machine(
            replicas,
            cluster,
            wait_for_workers,
            checkpoint_steps,
            steps_per_call,
            xla,
            tensorboard,
        )
        if cluster and not cluster.chief:
            named.append(cluster.name())
            finished = out and resume and (out / RESULT).is_file()  # on a shared disk
            if not finished:
                _work(loaded, NoDirectory(), machine, overrides)
            return
        directory = RunDirectory(
            out or Path("runs") / path.stem, loaded, resume, numbered=not (out or resume)
        )
        if directory.finished:
            _complete(loaded, directory, replicas)
        elif local_workers:
            command = [sys.executable, "-m", "keras_ilsvrc", "train", str(path), "--resume"]
            command += _again(machine) + [f"--set={override}" for override in overrides]
            _train_locally(loaded, directory, command, local_workers, max_restarts)
            _complete(loaded, RunDirectory(directory.path, loaded, resume=True), replicas)
        else:
            with directory:
                named.append(str(directory.path))
                _print_plan(loaded, directory, "TensorFlow")
                _work(loaded, directory, machine, overrides)
    result = RunFiles(directory.path).result()
    if as_json:
        print(json.dumps({**result, "out": str(directory.path)}, indent=2))
    else:
        _print_result(directory.path, result)


@contextmanager
def _ending(out: Path | None) -> Iterator[list[str]]:
    """Turn an exception that ends training early into one line and an exit status."""
    named = [str(out or "runs")]
    try:
        yield named
    except Stopped as error:
        ignore_signals()  # a second one must not change the exit status
        print(f"{named[-1]}: {error}; resume it with --resume", file=sys.stderr)
        raise typer.Exit(STOPPED) from error
    except LostWorker as error:
        print(error, file=sys.stderr)
        raise typer.Exit(LOST) from error
    except Diverged as error:
        print(f"{named[-1]}: diverged at {error}", file=sys.stderr)
        raise typer.Exit(DIVERGED) from error


def _print_plan(recipe: Recipe, directory: RunDirectory, what: str) -> None:
    plan = f"{recipe.net} on {recipe.data.dataset}, {recipe.schedule.steps:,} steps"
    print(f"{plan}, in {directory.path}: starting {what}", file=sys.stderr)


def _train_locally(
    recipe: Recipe, directory: RunDirectory, command: list[str], workers: int, restarts: int
) -> None:
    """Train in several worker processes on this machine."""
    with directory.reserved():
        _print_plan(recipe, directory, f"{workers} workers")
        status = run_workers([*command, "--out", str(directory.path)], workers, restarts)
        if status:
            raise typer.Exit(status)


def _complete(recipe: Recipe, directory: RunDirectory, replicas: int | None) -> None:
    """Draw the pictures and the page that a finished run lacks."""
    directory.result()
    names = [CURVES, DOUBTFUL, *([PAGE] if recipe.report else [])]
    if all((directory.path / name).exists() for name in names):
        return
    quiet_tensorflow()
    from keras_ilsvrc.report import write_page
    from keras_ilsvrc.runs.finished import read
    from keras_ilsvrc.runs.pictures import draw

    with directory:
        draw(read(directory.path, replicas, bar), write_page if recipe.report else None)


def _again(machine: Machine) -> list[str]:
    """Return the options that are passed on to each worker."""
    words = [f"--wait-for-workers={machine.deadline}", f"--steps-per-call={machine.steps_per_call}"]
    if machine.checkpoint_steps:
        words.append(f"--checkpoint-steps={machine.checkpoint_steps}")
    return words + ["--xla"] * machine.xla + ["--tensorboard"] * machine.tensorboard


def _work(recipe: Recipe, directory: RunDirectory, machine: Machine, overrides: list[str]) -> None:
    """Train in this process."""
    if machine.cluster:  # TensorFlow prints ten lines when a worker is lost
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    quiet_tensorflow()
    from keras_ilsvrc.report import write_page
    from keras_ilsvrc.runs.train import train

    page = write_page if recipe.report and not machine.cluster else None
    train(recipe, directory, machine, overrides, page)


def _print_result(path: Path, result: dict[str, Any]) -> None:
    print_errors(result)
    if "baseline" in result:
        baseline = result["baseline"]
        print(f"{baseline['name']:<12}{baseline['top1_error']:.2f} %  on the same images")
    print(f"{'seconds':<12}{result['seconds']:.0f}, on {result['replicas']} replicas")
    for name, label in ((CURVES, "pictures"), (DOUBTFUL, ""), (PAGE, "page")):
        if (path / name).is_file():
            print(f"{label:<12}{path / name}")


def _check_workers(
    cluster: Cluster | None, local_workers: int | None, max_restarts: int, replicas: int | None
) -> None:
    """Raise InputError if the options for workers and devices exclude one another."""
    if local_workers and cluster:
        raise InputError("TF_CONFIG is set, but --local-workers sets it too; leave out one of them")
    if (local_workers or cluster) and replicas is not None:
        raise InputError(
            "--replicas is for one process; leave it out: a worker uses all its GPUs or one CPU "
            "device"
        )
    if max_restarts and not local_workers:
        raise InputError("--max-restarts is for --local-workers; give both, or neither")
