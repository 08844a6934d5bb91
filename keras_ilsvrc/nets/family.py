"""`Family`: facts that several nets of one paper share. Imports only the standard library."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_ilsvrc.nets.registry import Net
from keras_ilsvrc.nets.variations import Variation


@dataclass(frozen=True)
class Family:
    """Facts that several nets of one paper share; `Net` documents the attributes."""

    paper: str
    year: int
    builder: str
    variations: Mapping[str, Variation] = field(default_factory=dict)
    input_shape: tuple[int, int, int] = (224, 224, 3)
    minimum: int = 32
    classes: int = 1000
    fixed_size: bool | Mapping[str, tuple[Any, ...]] = False
    arguments: Mapping[str, Any] = field(default_factory=dict)
    space: Mapping[str, list[Any] | tuple[float, float]] = field(default_factory=dict)
    departures: tuple[str, ...] = ()
    place: str = ""
    news: tuple[str, ...] = ()

    def net(
        self,
        parameters: int | None = None,
        errors: tuple[float | None, float | None, str | None] = (None, None, None),
        departures: tuple[str, ...] = (),
        **arguments: Any,
    ) -> Net:
        """Return a net of this family. Its name stays empty until `nets.table` sets it.

        Args:
            parameters: Number of trainable parameters of the published net; None for a net whose
                depth the user chooses.
            errors: Published top-1 and top-5 error in %, and the evaluation protocol.
            departures: Differences between this net and the paper, in addition to the family's.
            **arguments: Arguments of the builder, in addition to the family's. If a variation has
                the same name as one of these arguments, users cannot choose its value.
        """
        arguments = {**self.arguments, **arguments}
        own = {
            "variations": {k: v for k, v in self.variations.items() if k not in arguments},
            "departures": self.departures + departures,
            "arguments": arguments,
            **dict(zip(("top1_error", "top5_error", "protocol"), errors)),
        }
        return Net(**{**vars(self), **own}, name="", parameters=parameters)
