"""The `challenge` command, which trains the nets of the challenge again, all by one budget."""

import json
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from keras_ilsvrc.cli.options import Json
from keras_ilsvrc.cli.pools import Jobs, Quick, locked, pool_in
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.terminal.streams import quiet_tensorflow
from keras_ilsvrc.training.cluster import log_stderr


def complete_entries() -> list[str]:
    """Return the names of the entries, for completion."""
    from keras_ilsvrc.claims.challenge_file import Contest

    return list(Contest().entries)


def challenge(
    data: Annotated[
        str | None,
        Option(help="Data source of ten classes to train on, for example prepared:imagenette96."),
    ] = None,
    quick: Quick = False,
    full: Annotated[
        bool, Option("--full", help="Train on images of 128x128 pixels, for 30 epochs: for a GPU.")
    ] = False,
    only: Annotated[
        list[str] | None,
        Option(
            help="Entry to train, for example AlexNet; repeat the option for several. The table "
            "shows the others as not measured.",
            autocompletion=complete_entries,
        ),
    ] = None,
    seeds: Annotated[
        int | None, Option(min=1, max=100, help="Number of seeds (default: two, or one if quick).")
    ] = None,
    out: Annotated[Path, Option(help="Folder of the outcome and of all runs.")] = Path("challenge"),
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Run the challenge of 2012 to 2015 again: ten nets, each trained with the same budget.

    Four nets are also trained by a recipe of today. Each run is tested with a single view and with
    ten crops. OUT/challenge.md holds the table beside the published errors and what follows from
    it, OUT/challenge.png the picture, OUT/challenge.json the numbers; they are written again after
    each few runs. The results of the
    runs are kept in OUT/runs.json, from which the command goes on if it was stopped, also on
    another machine.
    """
    if quick and full:
        raise InputError("--quick and --full are two forms of the challenge; leave out one")
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
