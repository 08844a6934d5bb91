"""Count the files and functions that `keras-ilsvrc train` runs before the first training step.

    python docs/walk.py [--list]

This script starts training by the quickstart recipe, and records all calls of the package's
functions up to the first step. It counts all functions, and those with an argument that is the
recipe, one of its tables, or an object that contains the recipe. It also counts climbs: calls from
a lower package to a function of a higher package, which was passed to it as an argument.
"""

import inspect
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import FrameType

import typer

import keras_ilsvrc

HOME = Path(keras_ilsvrc.__file__).parent
HOLDERS = {  # classes whose objects are, or contain, a recipe
    "Recipe",
    "Table",
    "Experiment",
    "RunDirectory",
}
FLOORS = ("__main__.py", "cli", "report", "runs", "training", "nets", "data", "layers")


class FirstStep(BaseException):
    """Exception that ends the command at its first training step."""


class Walk:
    """Record of the calls of the package's functions, in order."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []  # (file, function)
        self.of_recipe: list[tuple[str, str]] = []
        self.climbs = 0

    def note(self, frame: FrameType, event: str, argument: object) -> None:
        """Record a call; this is the profile function for `sys.setprofile`."""
        place = _place(frame)
        if event != "call" or place is None:
            return
        if place == ("training/update.py", "Update.take"):
            sys.setprofile(None)
            raise FirstStep
        self.calls.append(place)
        if any(map(_holds_recipe, frame.f_locals.values())):
            self.of_recipe.append(place)
        caller = frame.f_back
        while caller and _place(caller) is None:
            caller = caller.f_back
        if caller and _floor(_place(caller)) > _floor(place):
            self.climbs += 1


def _place(frame: FrameType) -> tuple[str, str] | None:
    """Return the file and the function of a frame, or None outside the package's functions."""
    code = frame.f_code
    is_function = code.co_flags & inspect.CO_OPTIMIZED and not code.co_name.startswith("<")
    if not is_function or not code.co_filename.startswith(str(HOME)):
        return None
    return str(Path(code.co_filename).relative_to(HOME)), code.co_qualname


def _floor(place: tuple[str, str] | None) -> int:
    """Return the level of a file's package, counted from the top; the lowest if not in `FLOORS`."""
    package = place[0].split("/")[0] if place else ""
    return FLOORS.index(package) if package in FLOORS else len(FLOORS)


def _holds_recipe(value: object) -> bool:
    """Return whether a value is, or contains, a recipe; of a list, check the first three items."""
    if isinstance(value, list | tuple):
        return any(map(_holds_recipe, value[:3]))
    kinds = type(value).__mro__
    return any(x.__name__ in HOLDERS and x.__module__.startswith("keras_ilsvrc") for x in kinds)


def main(
    list_: bool = typer.Option(False, "--list", help="Print the functions that take the recipe."),
) -> None:
    """Print the numbers of files, functions and climbs."""
    from keras_ilsvrc.__main__ import main as command

    walk = Walk()
    with tempfile.TemporaryDirectory() as folder, suppress(FirstStep):
        sys.argv = ["keras-ilsvrc", "train", "quickstart", "--out", f"{folder}/run"]
        sys.argv += ["--set", "schedule.steps=1"]
        sys.setprofile(walk.note)
        command()
    for file, function in dict.fromkeys(walk.of_recipe) if list_ else ():
        print(f"{file:<28}{function}")
    for label, calls in (("of the recipe", walk.of_recipe), ("of the package", walk.calls)):
        print(f"{label:<16}{len({x for x, _ in calls})} files, {len(set(calls))} functions")
    print(f"{'climbs':<16}{walk.climbs}")


if __name__ == "__main__":
    typer.run(main)
