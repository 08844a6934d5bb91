"""`keras-ilsvrc`: one sub-command a verb. Its help and its lists import no TensorFlow."""

import sys

import typer

from keras_ilsvrc.cli import accounts, bench, data, doctor, nets, report, results, runs, visualize
from keras_ilsvrc.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The networks of the ImageNet challenge 2012-2015, exactly as published.",
)
app.command("list")(nets.list_nets)
app.command("info")(nets.show_info)
app.command("table")(accounts.table)
app.command("compare")(accounts.compare)
app.command("train")(runs.train)
app.command("evaluate")(runs.evaluate)
app.command("report")(report.report)
app.command("results")(results.results)
app.add_typer(visualize.app, name="visualize")
app.add_typer(data.app, name="data")
app.add_typer(bench.app, name="bench")
app.command("doctor")(doctor.doctor)


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", help="Show the stack trace of an error."),
) -> None:
    """Options of every command."""


def main() -> None:
    """Runs a command; an error is one line, and exit status 2 if the input was at fault."""
    debug = "--debug" in sys.argv
    if debug:  # wherever it stands
        sys.argv = [word for word in sys.argv if word != "--debug"]
    try:
        app()
    except InputError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if debug:
            raise
        reason = " ".join(str(error).split())[:300]
        print(
            f"error: {type(error).__name__}: {reason} (this is a fault of the package; --debug "
            "shows where)",
            file=sys.stderr,
        )
        sys.exit(1)
