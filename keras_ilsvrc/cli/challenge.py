"""The `challenge` command, which trains the nets of the challenge, each with the same budget."""

import json
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from keras_ilsvrc.cli.options import Json
from keras_ilsvrc.cli.pools import Jobs, Quick, locked, pool_in
from keras_ilsvrc.training.cluster import log_stderr
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.utils.streams import quiet_tensorflow


def complete_entries() -> list[str]:
    """Return the names of the entries, for shell completion."""
    from keras_ilsvrc.claims.challenge_file import Contest

    return list(Contest().entries)


def challenge(
    data: Annotated[
        str | None,
        Option(help="Data set of ten classes to train on, for example prepared:imagenette96."),
    ] = None,
    quick: Quick = False,
    full: Annotated[
        bool,
        Option("--full", help="Train on images of 128x128 pixels for 30 epochs; meant for a GPU."),
    ] = False,
    only: Annotated[
        list[str] | None,
        Option(
            help="Entry to train, for example AlexNet; repeatable (default: all). Entries that "
            "were never trained are shown as not measured.",
            autocompletion=complete_entries,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        Option(min=1, max=100, help="Number of seeds (default: two, or one with --quick)."),
    ] = None,
    out: Annotated[Path, Option(help="Folder for the results and all runs.")] = Path("challenge"),
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Repeat the challenge of 2012 to 2015: train ten nets, each with the same budget.

    Four nets are also trained with a recipe of today. Each run is tested with a single view and
    with ten crops. The command writes OUT/challenge.md (table and conclusions), OUT/challenge.png
    (plots) and OUT/challenge.json (numbers), and updates them as runs finish. It keeps the results
    of runs in OUT/runs.json. If the command is stopped, repeat it to continue. To continue on
    another machine, copy OUT/runs.json to it.
    """
    if quick and full:
        raise InputError("--quick and --full are both given; leave out one")
    if quick and data is not None:
        raise InputError("--quick trains on the digits; leave out --data, or --quick")
    from keras_ilsvrc.claims.challenge_file import Contest, FormName

    form: FormName = "quick" if quick else "full" if full else "small"
    contest = Contest(form, data, seeds, only or ())
    quiet_tensorflow()
    with locked(out), pool_in(out, jobs, "challenge") as pool:
        from keras_ilsvrc.claims import challenge as challenges
        from keras_ilsvrc.claims.challenge_picture import PICTURE, write_picture
        from keras_ilsvrc.claims.challenge_table import TABLE, sentences, write_table

        def write(outcome: challenges.Outcome) -> None:
            challenges.write(outcome, out)
            write_table(outcome, out)
            write_picture(outcome, out)

        outcome = challenges.compete(contest, pool, write)
    for sentence in sentences(outcome):
        log_stderr(sentence)
    if as_json:
        typer.echo(json.dumps(outcome.table(), indent=2))
        return
    print(f"picture     {out / PICTURE}")
    print(f"table       {out / TABLE}")
