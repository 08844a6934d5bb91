"""A data set: splits by name, and what the labels mean."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from keras_ilsvrc.data.decode import Fault
from keras_ilsvrc.data.split import Split, joined
from keras_ilsvrc.errors import InputError, nearest, printable, reason

# Called with what is left out because it is bad.
Report = Callable[[Fault], None]


@dataclass(frozen=True)
class Source:
    """Splits by name, and the names of the classes, which can be printed and drawn."""

    name: str
    splits: Mapping[str, Split]
    classes: tuple[str, ...]

    def __post_init__(self):
        object.__setattr__(self, "classes", tuple(map(printable, self.classes)))

    def split(self, expression: str) -> Split:
        """A split by its name; also sums and slices of splits: `train+validation`, `train[:500]`.

        Raises:
            InputError: If there is no such split, or nothing in it.
        """
        parts = []
        for term in expression.split("+"):
            match = re.fullmatch(r"\s*(\w+)\s*(?:\[(-?\d*):(-?\d*)\])?\s*", term)
            if not match or match[1] not in self.splits:
                hint = nearest(match[1] if match else term, self.splits)
                raise InputError(f"{self.name} has no split {term.strip()!r}; {hint}")
            first, last = (int(text) if text else None for text in match.groups()[1:])
            parts.append(self.splits[match[1]][first:last])
        whole = joined(parts)
        if not len(whole):
            raise InputError(f"{self.name}: the split {expression!r} holds no image")
        return whole


def refuse(fault: Fault) -> NoReturn:
    """Nothing is left out: the first fault ends it."""
    raise InputError(str(fault))


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn whatever another package's reader raises into an `InputError` that names the file.

    Args:
        name: Of the file, or of the data set.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise InputError(f"{name} cannot be read: {reason(error)}; download it again") from error


def stratified(labels: np.ndarray, sizes: Mapping[str, int], name: str) -> dict[str, np.ndarray]:
    """Indices of `train` and of the named parts, each with every class in its share; seed 0.

    Args:
        labels: (images,).
        sizes: How many images each part but `train` has.
        name: Of the source, for messages.

    Raises:
        InputError: If a class has too few images.
    """
    from sklearn.model_selection import train_test_split

    rest = np.arange(len(labels))
    parts = {}
    for part, size in reversed(list(sizes.items())):
        try:
            rest, taken = train_test_split(
                rest, test_size=size, random_state=0, stratify=labels[rest]
            )
        except ValueError as error:
            smallest = min(np.bincount(labels), default=0)
            raise InputError(
                f"{name}: {len(labels)} images, {smallest} in the smallest class, are too few to "
                "split; make folders train, validation and test"
            ) from error
        parts[part] = np.sort(taken)
    return {"train": np.sort(rest), **parts}
