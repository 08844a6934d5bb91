"""Data source: labelled images in named splits, and the names of the classes."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

from keras_ilsvrc.data.headers import Fault
from keras_ilsvrc.data.split import Split, joined
from keras_ilsvrc.utils.errors import InputError, nearest, printable, reason

# Function that is called with each bad image, file or folder, which is then left out.
OnFault = Callable[[Fault], None]


class Shares(NamedTuple):
    """Shares of the images of each class for validation and test, if a source lacks these splits.

    Attributes:
        validation: Share of validation images, from 0 to 0.9.
        test: Share of test images, from 0 to 0.9.
        seed: Seed of the random choice, which otherwise depends only on the names of the images.
    """

    validation: float = 0.2
    test: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class Source:
    """Data set with named splits. Unprintable characters in class names are escaped.

    Attributes:
        name: Name of the data set, such as `folder:photos`.
        splits: Splits by name.
        classes: Names of the classes, in the order of the labels.
        notes: Remarks for the user about the files, one line each.
    """

    name: str
    splits: Mapping[str, Split]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(map(printable, self.classes)))

    @property
    def label(self) -> str:
        """Short name of the data set, without its kind and path: `cats` for `folder:/data/cats`."""
        path = Path(self.name.partition(":")[2] or self.name)
        return path.resolve().name if path.is_absolute() or path.exists() else str(path)

    def split(self, expression: str) -> Split:
        """Return the split named by an expression, such as `train[:500]` or `train+validation`.

        `train[::5]` selects every fifth image. If the images are sorted by class, this is about a
        fifth of each class.

        Raises:
            InputError: If there is no such split, if it is empty, or if a step is not above 0.
        """
        chosen = terms(self.name, self.splits, expression)
        whole = joined([self.splits[name][part] for name, part in chosen])
        if not len(whole):
            raise InputError(f"{self.name}: the split {expression!r} contains no images")
        return whole


def terms(name: str, splits: Collection[str], expression: str) -> list[tuple[str, slice]]:
    """Parse a split expression, and return the name and the slice of each of its terms.

    Args:
        name: Name of the source, for messages.
        splits: Names of the splits of the source.
        expression: Terms joined by `+`, for example `train[:500]+validation`.

    Raises:
        InputError: If there is no such split, or if a step is not above 0.
    """
    found = []
    for term in expression.split("+"):
        match = re.fullmatch(r"\s*(\w+)\s*(?:\[(-?\d*):(-?\d*)(?::(-?\d*))?\])?\s*", term)
        if not match or match[1] not in splits:
            hint = nearest(match[1] if match else term, splits)
            raise InputError(f"{name} has no split {term.strip()!r}; {hint}")
        first, last, step = (int(text) if text else None for text in match.groups()[1:])
        if step is not None and step < 1:
            raise InputError(
                f"{name}: the split {term.strip()!r} has the step {step}; expected a whole number "
                "above 0"
            )
        found.append((match[1], slice(first, last, step)))
    return found


class BadFile(InputError):
    """Error about a bad image file or box in a data set, which training could leave out."""


def refuse(fault: Fault) -> NoReturn:
    """Raise a `BadFile` for a bad file. This is the default `on_fault`: no file is left out."""
    raise BadFile(str(fault))


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Convert any exception of a file reader into an `InputError` that names the file.

    Args:
        name: Name of the file or data set, for the error message.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"{name} cannot be read: {reason(error)}; download it again") from error
