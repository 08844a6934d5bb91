"""The `keras-ilsvrc` command with its subcommands. `--help` and `list` need no TensorFlow."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import typer
from typer.core import TyperGroup

from keras_ilsvrc.cli import (
    accounts,
    bench,
    challenge,
    claim,
    data,
    detect,
    doctor,
    draw,
    evaluate,
    explain,
    export,
    nets,
    new,
    predict,
    recipes,
    report,
    results,
    story,
    train,
    tune,
    visualize,
    weights,
)
from keras_ilsvrc.cli.options import BAD_INPUT, FAULT, INTERRUPTED
from keras_ilsvrc.utils.errors import InputError, printable
from keras_ilsvrc.utils.streams import open_streams, show_log


class _Group(TyperGroup):
    """Group of commands, listed in the order of `PANELS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for commands in PANELS.values() for name in commands]


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="The networks of the ImageNet challenge 2012-2015, exactly as published.",
)
# Commands grouped by purpose, in the order in which --help lists them.
PANELS: dict[str, dict[str, Callable[..., None] | typer.Typer]] = {
    "Build a network": {
        "list": nets.list_nets,
        "info": nets.show_info,
        "table": accounts.table,
        "compare": accounts.compare,
        "story": story.story,
        "weights": weights.app,
    },
    "Prepare images": {"data": data.app},
    "Train": {
        "new": new.new,
        "recipes": recipes.recipes,
        "train": train.train,
        "tune": tune.tune,
    },
    "Use a trained network": {"predict": predict.predict, "export": export.export},
    "Detect objects": {"detect": detect.app},
    "Draw and explain": {
        "draw": draw.draw,
        "report": report.report,
        "explain": explain.explain,
        "visualize": visualize.app,
    },
    "Test and measure": {
        "claim": claim.claim,
        "challenge": challenge.challenge,
        "evaluate": evaluate.evaluate,
        "results": results.results,
        "bench": bench.app,
        "doctor": doctor.doctor,
    },
}
for _panel, _commands in PANELS.items():
    for _name, _command in _commands.items():
        if isinstance(_command, typer.Typer):
            app.add_typer(_command, name=_name, rich_help_panel=_panel)
        else:
            app.command(_name, rich_help_panel=_panel)(_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"keras-ilsvrc {version('keras_ilsvrc')}")
        raise typer.Exit


@app.callback()
def options(
    debug: bool = typer.Option(False, "--debug", help="Print a stack trace if an error occurs."),
    show_version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Define the options that all commands share."""


def main() -> None:
    """Run the command line. Print an error as one line; exit with status 2 if the input is bad."""
    open_streams()
    show_log()
    debug = "--debug" in sys.argv
    if debug:  # accept --debug at any position
        sys.argv = [word for word in sys.argv if word != "--debug"]
    try:
        app(prog_name="keras-ilsvrc")  # the name that completion scripts use
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
    """Return whether the cause of an error is bad input, a file or a disk, rather than a bug."""
    return isinstance(error, InputError) or (
        isinstance(error, OSError) and error.filename is not None
    )


def _line(error: Exception) -> str:
    """Return the message of an error: one line, or a line for each fault of the input."""
    if isinstance(error, InputError):
        return "\n".join(" ".join(line.split()) for line in str(error).splitlines())
    if _is_input(error):
        return printable(f"{error.filename}: {error.strerror}")  # type: ignore[attr-defined]
    text = " ".join(str(error).split())[:300]
    return printable(
        f"{type(error).__name__}: {text} (an error in the package; pass --debug to see where)"
    )
