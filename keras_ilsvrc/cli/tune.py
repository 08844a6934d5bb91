"""The `tune` command, which searches for the best values of recipe keys."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from keras_ilsvrc.cli.options import Json, Replicas, check_replicas, exit_status, print_next
from keras_ilsvrc.cli.train import Xla
from keras_ilsvrc.recipe import published
from keras_ilsvrc.recipe.tables import find_file
from keras_ilsvrc.sweeps.schema import Sweep
from keras_ilsvrc.training.stopping import StopRequest
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.utils.streams import quiet_tensorflow

if TYPE_CHECKING:
    from keras_ilsvrc.sweeps.tune import Finished

SWEEPS = "sweeps"  # folder of recipes that contains the sweeps of this package


def complete_sweeps() -> list[str]:
    """Return the names of sweeps and of TOML files in the working directory, for completion."""
    return [*map(str, Path().glob("*.toml")), *published(SWEEPS)]


def tune(
    sweep: Annotated[
        str,
        Argument(
            help="Sweep to run: a TOML file, or the name of a sweep in this package.",
            autocompletion=complete_sweeps,
        ),
    ],
    out: Annotated[
        Path | None, Option(help="Directory for all results (default: sweeps/NAME).")
    ] = None,
    resume: Annotated[
        bool,
        Option("--resume", help="Continue the sweep in this directory, or start it there."),
    ] = False,
    local_workers: Annotated[
        int,
        Option(
            min=0,
            max=256,
            help="Number of workers on this machine, each of which runs one trial at a time. "
            "Without workers, the trials run one after another.",
        ),
    ] = 0,
    listen: Annotated[
        str | None, Option(help="HOST:PORT at which workers on other machines can join.")
    ] = None,
    join: Annotated[
        str | None,
        Option(help="Run trials for the sweep at this HOST:PORT, on another machine."),
    ] = None,
    replicas: Replicas = None,
    xla: Xla = False,
    as_json: Json = False,
) -> None:
    """Search for the values of recipe keys that give the smallest validation error.

    A sweep file names a recipe and the ranges of some of its keys. Trial 0 is the recipe itself. At
    the end, the best trial and the recipe are trained again with new seeds, and compared.

    On SIGTERM, SIGHUP or Ctrl-C, the command exits with status 75; repeat it with --resume to
    continue. The status is 69 if all workers are lost, or, with --join, if the sweep does not
    answer.
    """
    check_replicas(replicas)
    read = Sweep(find_file(sweep, published(SWEEPS), "sweep in the package"))
    place = out or Path(SWEEPS) / read.path.stem
    options = [f"--replicas={replicas}"] * (replicas is not None) + ["--xla"] * xla
    with exit_status("continue with --resume", [place]), StopRequest(at_once=False) as stop:
        quiet_tensorflow()
        from keras_ilsvrc.sweeps.tune import tune as run
        from keras_ilsvrc.sweeps.tune import work
        from keras_ilsvrc.sweeps.workers import Processes, role
        from keras_ilsvrc.training.strategy import gpu_ids

        join, listen = role(join, listen)
        if join:
            if local_workers or resume or as_json:
                raise InputError(
                    "--join runs trials only; leave out --local-workers, --resume and --json"
                )
            work(read, place, join, options, stop)
            return
        gpus = gpu_ids() if local_workers else []
        finished = run(read, place, resume, Processes(local_workers, listen, gpus, options), stop)
    _print(finished, as_json)


def _print(finished: "Finished", as_json: bool) -> None:
    from keras_ilsvrc.sweeps.board import line_of
    from keras_ilsvrc.sweeps.outcome import BEST
    from keras_ilsvrc.sweeps.page import PAGE

    home, result = finished.home, finished.result
    if as_json:
        found = {"best": asdict(finished.best), "verdict": finished.verdict, "test": result}
        print(json.dumps({**found, "out": str(home)}, indent=2, default=str))
        return
    print(f"best        {line_of(finished.best, finished.sweep.table.objective)}")
    print(f"verdict     {finished.verdict}")
    print(f"test        top-1 error {result['top1_error']:.2f} % on {result['images']:,} images")
    print(f"recipe      {home / BEST}")
    print(f"page        {home / PAGE}")
    print_next("train", home / BEST)
