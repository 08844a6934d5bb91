"""The `claim` command, which tests a claim of a paper by training nets and comparing them."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from keras_ilsvrc.claims.arms import Study
from keras_ilsvrc.claims.schema import claims, find_claim, read_claim
from keras_ilsvrc.cli.options import Json, table_of
from keras_ilsvrc.cli.pools import Jobs, Quick, locked, pool_in
from keras_ilsvrc.training.cluster import log_stderr
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.utils.streams import quiet_tensorflow

if TYPE_CHECKING:
    from keras_ilsvrc.claims.study import Outcome


def complete_claims() -> list[str]:
    """Return the names of claims and of TOML files in the working directory, for completion."""
    return [*map(str, Path().glob("*.toml")), *claims()]


def claim(
    name: Annotated[
        str | None,
        Argument(
            help="Claim to test: a TOML file, or a name or number in the list, for example R18 "
            "(default: list all claims).",
            autocompletion=complete_claims,
        ),
    ] = None,
    every: Annotated[bool, Option("--all", help="Test all claims one after another.")] = False,
    quick: Quick = False,
    data: Annotated[
        str | None, Option(help="Data set to train on, for example folder:cifar10.")
    ] = None,
    seeds: Annotated[
        int | None, Option(min=1, max=100, help="Number of seeds (default: as in the claim).")
    ] = None,
    out: Annotated[Path, Option(help="Folder for the results and all runs.")] = Path("claims"),
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Test a claim of a paper: train nets that differ in one setting, and compare them.

    Each of these nets, called an arm of the claim, is trained with several seeds and with the best
    of its learning rates. A difference counts if it is larger than twice its standard error. The
    command writes OUT/NAME/claim.json and claim.png, and the table OUT/claims.md. Claims share
    runs, whose results are kept in OUT/runs.json. If the command is stopped, repeat it to continue.
    """
    if name is None and not every:
        if quick or data or seeds:
            raise InputError("no claim is named; name one, or pass --all to test every claim")
        _print_claims(as_json)
        return
    if name is not None and every:
        raise InputError(f"--all tests every claim; leave out {name}, or leave out --all")
    if quick and data is not None:
        raise InputError("--quick trains on the digits; leave out --data, or --quick")
    paths = list(claims().values()) if every else [find_claim(str(name))]
    studies = [Study(path, quick, data, seeds) for path in paths]
    quiet_tensorflow()
    outcomes, faults = list["Outcome"](), list[str]()
    with locked(out):
        for study in studies:
            try:
                outcomes.append(_test(study, out, jobs, as_json))
            except InputError as error:
                if not every:
                    raise
                log_stderr(f"{study.name}: {error}")
                faults += [f"{study.name}: {line}" for line in str(error).splitlines()]
    if as_json:
        print(json.dumps([outcome.table() for outcome in outcomes], indent=2))
    if faults:
        raise InputError(*faults)


def _test(study: Study, out: Path, jobs: int | None, as_json: bool) -> "Outcome":
    """Test one claim, write its files and print its outcome."""
    from keras_ilsvrc.claims import outcome as outcomes
    from keras_ilsvrc.claims.study import outcome_of

    if study.seeds < 2:
        log_stderr(f"{study.name}: one seed has no spread, so no verdict is possible")
    with pool_in(out, jobs, study.name) as pool:
        outcome = outcome_of(study, pool)
    folder = out / f"{study.name}{'_quick' * study.quick}"
    outcomes.write(outcome, folder)
    table = outcomes.write_table(out)
    log_stderr(f"{study.name}: {outcome.summary}")
    for effect in outcome.effects:
        log_stderr(f"  {effect.verdict}: {effect.sentence}")
    if outcome.reason and outcome.verdict != "seen":
        log_stderr(f"  possible reason: {outcome.reason}")
    if not as_json:
        print(f"picture     {folder / outcomes.PICTURE}")
        print(f"table       {table}")
    return outcome


def _print_claims(as_json: bool) -> None:
    found = {name: read_claim(path) for name, path in claims().items()}
    if as_json:
        print(json.dumps({name: claim.model_dump() for name, claim in found.items()}, indent=2))
        return
    from rich.console import Console

    table = table_of(("claim", "says", "minutes"), ("claim", "says"))
    for name, each in found.items():
        table.add_row(name, each.says, f"{each.minutes:.0f}")
    Console().print(table)
