"""`Net`: the facts about one net in the registry.

This module does not import Keras or TensorFlow.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from keras_ilsvrc.nets.variations import Variation
from keras_ilsvrc.utils.errors import InputError, nearest
from keras_ilsvrc.utils.notebook import facts_table

if TYPE_CHECKING:
    from keras_ilsvrc.weights.sources.source import Source

# Facts that are known only for the net exactly as published. For a varied net, they are None.
MEASURED = ("parameters", "top1_error", "top5_error", "protocol")


@dataclass(frozen=True)
class Net:
    """Facts about one net, for example its paper, published errors, variations and builder.

    Attributes:
        name: Name of the net in `build`.
        paper: Authors and reference of the paper.
        year: Year of the paper.
        input_shape: Height, width, channels of the published net.
        minimum: Smallest height and width for which the net can be built.
        classes: Number of classes of the published net.
        parameters: Number of trainable parameters of the published net; None for a net whose depth
            the user chooses.
        top1_error: Published top-1 error of a single net in %; None if the paper gives none.
        top5_error: Published top-5 error of a single net in %; None if the paper gives none.
        protocol: Evaluation protocol of the published errors; None if the paper gives no errors.
        variations: Keywords of `build` that change the published net, with their valid values.
        varied: Variations in which this net differs from the published net; empty if published.
        departures: Differences between this implementation and the paper.
        place: Rank in the challenge, or another fact if the net did not enter it.
        news: Contributions of the paper, in three lines.
        builder: Module and function that build the net, as "module:function".
        arguments: Keyword arguments of the builder.
        space: Default search space of `hypermodel`, in addition to training settings. A key is the
            name of a variation, or of an argument in which the nets of the paper differ. A value is
            a list of values, or a tuple of the least and the greatest number.
        fixed_size: Whether the classifier needs a fixed image size, because a fully connected layer
            depends on it. If only some values of a variation need a fixed size, this is a mapping
            {variation: these values}.
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
    space: Mapping[str, list[Any] | tuple[float, float]] = field(default_factory=dict)
    fixed_size: bool | Mapping[str, tuple[Any, ...]] = False
    place: str = ""
    news: tuple[str, ...] = ()
    varied: Mapping[str, Any] = field(default_factory=dict)

    @property
    def published(self) -> bool:
        """Whether the net is exactly as in the paper: no variations, and a published depth."""
        return not self.varied and self.parameters is not None

    @property
    def needs_size(self) -> bool:
        """Whether the classifier of this net, with its variations, needs a fixed image size."""
        if isinstance(self.fixed_size, bool):
            return self.fixed_size
        return any(self.arguments.get(key) in values for key, values in self.fixed_size.items())

    @property
    def sources(self) -> "dict[str, Source]":
        """Published weights of the net, by name; "imagenet" names the recommended ones."""
        from keras_ilsvrc.weights.sources import sources_of

        return sources_of(self.name.partition("[")[0])

    @property
    def model_name(self) -> str:
        """Name that TensorFlow allows, for example `alexnet.pool-2-2` for `alexnet[pool=2/2]`."""
        return self.name.translate(str.maketrans("[,=/", "..--", "]"))

    def _repr_html_(self) -> str:
        """Return the facts as a short HTML table, for notebooks."""
        errors = zip(("top-1", "top-5"), (self.top1_error, self.top5_error))
        rows = {
            "paper": f"{self.paper} ({self.year})",
            "input": " x ".join(map(str, self.input_shape)),
            "parameters": f"{self.parameters:,}" if self.parameters else "build it to count them",
            "published error": ", ".join(f"{k} {error:g} %" for k, error in errors if error),
            "variations": ", ".join(self.variations),
            "departs from the paper": "; ".join(self.departures) or "nowhere",
        }
        return facts_table(self.name, rows)

    def vary(self, given: Mapping[str, Any]) -> "Net":
        """Return a copy of this net with variations. The copy's name lists them in brackets.

        Raises:
            InputError: If a variation is unknown or its value is not allowed.
        """
        for key, value in given.items():
            if key not in self.variations:
                hint = nearest(key, {*self.variations, *SHARED_ARGUMENTS} - {key})
                raise InputError(f"{self.name} has no argument {key!r}; {hint}".rstrip("; "))
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


# Arguments of `build` that all nets share. Errors for a misspelled argument suggest similar ones.
SHARED_ARGUMENTS = (
    *("include_top", "weights", "input_tensor", "input_shape", "pooling", "classes"),
    *("classifier_activation", "name", "preprocessing", "sha256"),
)


def unknown(name: str, known: Iterable[str]) -> InputError:
    """Return an InputError for an unknown net name; its message suggests similar names."""
    return InputError(f"no net is called {name!r}; {nearest(name, known)}".rstrip("; "))
