"""What the registry knows of a net. Standard library only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from keras_ilsvrc.errors import InputError, nearest
from keras_ilsvrc.nets.variations import Variation

# What the paper says of its own net only.
MEASURED = ("parameters", "top1_error", "top5_error", "protocol")


@dataclass(frozen=True)
class Net:
    """The facts of one net.

    Attributes:
        name: What `build` calls it.
        paper: Authors and where it stands.
        year: Of the paper.
        input_shape: Height, width, channels of the published net.
        minimum: Smallest height and width it can be built for.
        classes: Of the published net.
        parameters: Trainable parameters of the published net; None for a family of nets.
        top1_error: Published error in %, of one net; None if the paper gives none.
        top5_error: The same for the five best guesses.
        protocol: How that error was measured.
        variations: Keywords of `build` with which another net than the published one is built.
        varied: Which of them were given: empty for the published net.
        departures: Where we depart from the paper.
        place: In the challenge, or what is known instead.
        news: What was new, in three lines.
        builder: Module and function that build it.
        arguments: What the builder is called with.
    """

    name: str
    paper: str
    year: int
    input_shape: tuple[int, int, int]
    minimum: int
    classes: int
    parameters: int | None
    top1_error: float | None
    top5_error: float | None
    protocol: str | None
    variations: Mapping[str, Variation]
    departures: tuple[str, ...]
    builder: str
    arguments: Mapping[str, Any]
    place: str = ""
    news: tuple[str, ...] = ()
    varied: Mapping[str, Any] = field(default_factory=dict)

    @property
    def published(self) -> bool:
        """Whether this is the net of the paper, with nothing varied."""
        return not self.varied and self.parameters is not None

    @property
    def model_name(self) -> str:
        """The name as TensorFlow can have it: `alexnet[pool=2/2]` is `alexnet.pool-2-2`."""
        return self.name.translate(str.maketrans("[,=/", "..--", "]"))

    def vary(self, given: Mapping[str, Any]) -> "Net":
        """This net with variations, under a name that says them.

        Raises:
            InputError: If a variation is unknown or its value is not allowed.
        """
        for key, value in given.items():
            if key not in self.variations:
                hint = nearest(key, {*self.variations, *SHARED_ARGUMENTS} - {key})
                raise InputError(f"{self.name} has no argument {key!r}; {hint}")
            if value not in self.variations[key]:
                raise InputError(
                    f"{self.name}: {key} is {value!r}; expected {self.variations[key]}"
                )
        varied = {
            key: value
            for key, value in given.items()
            if value != self.variations[key].default and not self.variations[key].same_net
        }
        measured: dict[str, Any] = dict.fromkeys(MEASURED) if varied else {}
        label = ",".join(f"{key}={value}" for key, value in varied.items())
        return replace(
            self,
            name=f"{self.name}[{label}]" if varied else self.name,
            varied=varied,
            **measured,
            arguments={
                **self.arguments,
                **{key: variation.default for key, variation in self.variations.items()},
                **given,
            },
        )


# The arguments of `build` that all nets share, for suggestions.
SHARED_ARGUMENTS = (
    "include_top",
    "weights",
    "input_tensor",
    "input_shape",
    "pooling",
    "classes",
    "classifier_activation",
    "name",
)


def unknown(name: str, known: Iterable[str]) -> InputError:
    """The error for a net that does not exist."""
    return InputError(f"no net is called {name!r}; {nearest(name, known)}".rstrip("; "))
