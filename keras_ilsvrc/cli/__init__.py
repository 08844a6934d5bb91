"""The `keras-ilsvrc` command and its subcommands. `--help` and `list` run without TensorFlow."""

import sys

import typer

from keras_ilsvrc.cli import (
    accounts,
    bench,
    data,
    doctor,
    evaluate,
    nets,
    predict,
    report,
    results,
    train,
    visualize,
)
from keras_ilsvrc.cli.options import BAD_INPUT, FAULT, INTERRUPTED
from keras_ilsvrc.errors import InputError, printable
from keras_ilsvrc.terminal.streams import open_streams

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
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("report")(report.report)
app.command("results")(results.results)
app.add_typer(visualize.app, name="visualize")
app.add_typer(data.app, name="data")
app.add_typer(bench.app, name="bench")
app.command("doctor")(doctor.doctor)


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", help="Print a stack trace if an error occurs."),
) -> None:
    """Define the options that all commands share."""


def main() -> None:
    """Run the command line. Print an error as one line; exit with status 2 if the input is bad."""
    open_streams()
    debug = "--debug" in sys.argv
    if debug:  # accept --debug at any position
        sys.argv = [word for word in sys.argv if word != "--debug"]
    try:
        app()
    except KeyboardInterrupt:
        if debug:
            raise
        sys.exit(INTERRUPTED)
    except Exception as error:
        if debug:
            raise
        print(f"error: {_line(error)}", file=sys.stderr)
        sys.exit(BAD_INPUT if _is_input(error) else FAULT)


def _is_input(error: Exception) -> bool:
    """Return whether an error comes from bad input, a file or a disk, not from this package."""
    return isinstance(error, InputError) or (
        isinstance(error, OSError) and error.filename is not None
    )


def _line(error: Exception) -> str:
    """Return an error as one line, or as several lines if it lists several faults of its input."""
    if isinstance(error, InputError):
        return "\n".join(" ".join(line.split()) for line in str(error).splitlines())
    if _is_input(error):
        return printable(f"{error.filename}: {error.strerror}")  # type: ignore[attr-defined]
    text = " ".join(str(error).split())[:300]
    return printable(
        f"{type(error).__name__}: {text} (an error in the package; --debug shows where)"
    )
