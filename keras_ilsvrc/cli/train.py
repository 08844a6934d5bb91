"""The `train` command, which trains a network from a recipe."""

import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from keras_ilsvrc import recipe as recipes
from keras_ilsvrc.cli.evaluate import print_errors
from keras_ilsvrc.cli.options import (
    Json,
    Replicas,
    check_replicas,
    complete_recipes,
    exit_status,
    print_after,
    print_next,
)
from keras_ilsvrc.cli.workers import run_workers
from keras_ilsvrc.recipe.schema import Recipe
from keras_ilsvrc.runs.checks import net_faults
from keras_ilsvrc.runs.directory import NoDirectory, RunDirectory
from keras_ilsvrc.runs.machine import Machine
from keras_ilsvrc.runs.reading import CURVES, DOUBTFUL, FLOW, PAGE, RESULT, RunFiles
from keras_ilsvrc.training.cluster import cluster_of
from keras_ilsvrc.training.stopping import StopRequest
from keras_ilsvrc.utils.bars import bar
from keras_ilsvrc.utils.errors import InputError, counted
from keras_ilsvrc.utils.streams import quiet_tensorflow


def _path(text: str) -> Path:
    """Parse the path of --out. Reject an empty text, which would mean the working directory."""
    if not text:
        raise InputError("--out is empty; expected a directory, for example runs/mine")
    return Path(text)


RecipeName = Annotated[
    str,
    Argument(
        help="Recipe: a TOML file, or the name of a recipe in this package.",
        autocompletion=complete_recipes,
    ),
]
Out = Annotated[
    Path | None,
    Option(
        parser=_path, help="Run directory (default: runs/NAME, where NAME is the recipe's name)."
    ),
]
Set = Annotated[
    list[str] | None,
    Option("--set", help="Change a recipe key, for example schedule.steps=100; repeatable."),
]
Resume = Annotated[
    bool,
    Option("--resume", help="Resume the run in the run directory, or start it if there is none."),
]
CheckpointSteps = Annotated[
    int | None,
    Option(
        min=1,
        help="Also write a checkpoint every N steps. Checkpoints are always written after every "
        "epoch and every ten minutes.",
    ),
]
StepsPerCall = Annotated[
    int, Option(min=1, help="Training steps per graph call. Higher values are faster on GPUs.")
]
Xla = Annotated[bool, Option("--xla", help="Compile each replica's training step with XLA.")]
Tensorboard = Annotated[
    bool, Option("--tensorboard", help="Also write TensorBoard logs to the run directory.")
]
StopEpoch = Annotated[
    int | None,
    Option(
        min=1, help="After epoch N, write a checkpoint and exit with status 75, as after a signal."
    ),
]
LocalWorkers = Annotated[
    int | None,
    Option(min=2, max=256, help="Number of worker processes on this machine, all on the CPU."),
]
MaxRestarts = Annotated[
    int, Option(min=0, help="Maximum number of restarts of all local workers after one is lost.")
]
WaitForWorkers = Annotated[
    float, Option(min=1, help="Maximum seconds to wait for all workers to start.")
]


def train(
    recipe: RecipeName,
    out: Out = None,
    replicas: Replicas = None,
    set_: Set = None,
    resume: Resume = False,
    checkpoint_steps: CheckpointSteps = None,
    steps_per_call: StepsPerCall = 1,
    xla: Xla = False,
    tensorboard: Tensorboard = False,
    stop_epoch: StopEpoch = None,
    local_workers: LocalWorkers = None,
    max_restarts: MaxRestarts = 0,
    wait_for_workers: WaitForWorkers = 300,
    as_json: Json = False,
) -> None:
    """Train a network from a recipe, test it, and save the results in a run directory.

    On SIGTERM, SIGHUP or Ctrl-C, the command writes a checkpoint and exits with status 75; repeat
    it with --resume to continue. If training diverges, the exit status is 76. To train on several
    machines, run the command on each one with TF_CONFIG set; if one is lost, the status is 69.
    """
    cluster, every = cluster_of(), checkpoint_steps
    machine = Machine(
        replicas, cluster, wait_for_workers, every, steps_per_call, xla, tensorboard, stop_epoch
    )
    _check_workers(machine, local_workers, max_restarts)
    labels: list[object] = [out or "runs"]
    with exit_status("resume it with --resume", labels), StopRequest(at_once=True):
        path, loaded = _load(recipe, set_ or ())
        if machine.cluster and not machine.cluster.chief:
            labels.append(machine.cluster.name())
            _follow(loaded, machine, out if resume else None)
            return
        out, numbered = out or Path("runs") / path.stem, not (out or resume)
        directory = RunDirectory(out, loaded, resume, numbered)
        if local_workers and not directory.finished:
            words = _command(path, set_ or (), machine)
            _complete(_train_locally(directory, words, local_workers, max_restarts), replicas)
        else:
            _train_here(directory, machine, set_ or (), labels)
    _print_result(directory.path, as_json)
    if not as_json:
        print_after(path.stem)


def _load(name: str, overrides: Sequence[str]) -> tuple[Path, Recipe]:
    """Load a recipe and check its network too; return the path and the recipe."""
    path = recipes.find(name)
    return path, recipes.load(path, overrides, net_faults)


def _follow(recipe: Recipe, machine: Machine, out: Path | None) -> None:
    """Train as a worker other than the chief (the first). Do nothing if the run is finished."""
    # The chief writes the result. A worker on another machine sees it only on a shared disk.
    if out is None or not (out / RESULT).is_file():
        _work(recipe, NoDirectory(), machine, ())


def _train_locally(
    directory: RunDirectory, command: Sequence[str], workers: int, restarts: int
) -> RunDirectory:
    """Train in several worker processes on this machine, and return the finished directory."""
    with directory.reserved():
        _print_plan(directory, f"{workers} workers")
        status = run_workers([*command, "--out", str(directory.path)], workers, restarts)
        if status:
            raise typer.Exit(status)
    return RunDirectory(directory.path, directory.recipe(), resume=True)


def _command(path: Path, overrides: Sequence[str], machine: Machine) -> list[str]:
    """Return the command that starts a local worker, without the option --out."""
    words = [sys.executable, "-m", "keras_ilsvrc", "train", str(path), "--resume"]
    words += [f"--wait-for-workers={machine.deadline}"]
    words += [f"--steps-per-call={machine.steps_per_call}"]
    if machine.checkpoint_steps:
        words.append(f"--checkpoint-steps={machine.checkpoint_steps}")
    if machine.stop_epoch:
        words.append(f"--stop-epoch={machine.stop_epoch}")
    words += ["--xla"] * machine.xla + ["--tensorboard"] * machine.tensorboard
    return words + [f"--set={override}" for override in overrides]


def _train_here(
    directory: RunDirectory, machine: Machine, overrides: Sequence[str], labels: list[object]
) -> None:
    """Train in this process. If the run is finished, only draw its missing pictures."""
    if directory.finished:
        _complete(directory, machine.replicas)
        return
    with directory:
        labels.append(directory.path)
        _print_plan(directory, "TensorFlow")
        _work(directory.recipe(), directory, machine, overrides)


def _work(
    recipe: Recipe, directory: RunDirectory, machine: Machine, overrides: Sequence[str]
) -> None:
    if machine.cluster:  # hide TensorFlow's ten lines about a lost worker
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    quiet_tensorflow()
    from keras_ilsvrc.report import write_page
    from keras_ilsvrc.runs.train import train

    page = write_page if recipe.report and not machine.cluster else None
    train(recipe, directory, machine, overrides, page)


def _complete(directory: RunDirectory, replicas: int | None) -> None:
    """Draw the pictures and write the HTML page of a finished run, unless all of them exist."""
    directory.result()
    recipe = directory.recipe()
    report = recipe.report
    names = [CURVES, DOUBTFUL, *([FLOW] if recipe.watch else []), *([PAGE] if report else [])]
    if all((directory.path / name).exists() for name in names):
        return
    quiet_tensorflow()
    from keras_ilsvrc.report import write_page
    from keras_ilsvrc.runs.finished import read
    from keras_ilsvrc.runs.pictures import draw

    with directory:
        draw(read(directory.path, replicas, bar), write_page if report else None)


def _print_plan(directory: RunDirectory, what: str) -> None:
    recipe = directory.recipe()
    plan = f"{recipe.net} on {recipe.data.dataset}, {recipe.schedule.length}"
    print(f"{plan}, in {directory.path}: starting {what}", file=sys.stderr)


def _print_result(path: Path, as_json: bool) -> None:
    result = RunFiles(path).result()
    if as_json:
        print(json.dumps({**result, "out": str(path)}, indent=2))
        return
    print_errors(result)
    if "baseline" in result:
        baseline = result["baseline"]
        print(f"{baseline['name']:<12}{baseline['top1_error']:.2f} %  on the same images")
    kept, stopped = result.get("kept_epoch"), result.get("stopped_epoch")
    if kept or stopped:
        which = f"epoch {kept}, with the lowest validation error" if kept else "the last epoch"
        early = f"; stopped early after epoch {stopped}" if stopped else ""
        print(f"{'weights':<12}of {which}{early}")
    print(f"{'seconds':<12}{result['seconds']:.0f}, on {counted(result['replicas'], 'replica')}")
    for name, label in ((CURVES, "pictures"), (FLOW, ""), (DOUBTFUL, ""), (PAGE, "page")):
        if (path / name).is_file():
            print(f"{label:<12}{path / name}")
    print_next("report", path, "--open")


def _check_workers(machine: Machine, local_workers: int | None, max_restarts: int) -> None:
    """Raise InputError if the options for workers and devices contradict each other."""
    check_replicas(machine.replicas)
    if local_workers and machine.cluster:
        raise InputError(
            "TF_CONFIG is set, but --local-workers gives each worker its own TF_CONFIG; unset "
            "TF_CONFIG, or leave out --local-workers"
        )
    if (local_workers or machine.cluster) and machine.replicas is not None:
        raise InputError(
            "--replicas applies only to a single process; leave it out, since each worker uses all "
            "its GPUs or one CPU device"
        )
    if max_restarts and not local_workers:
        raise InputError(
            "--max-restarts needs --local-workers; add it, or leave out --max-restarts"
        )
    if not math.isfinite(machine.deadline):
        raise InputError(
            f"--wait-for-workers is {machine.deadline}; expected a finite number of seconds"
        )
