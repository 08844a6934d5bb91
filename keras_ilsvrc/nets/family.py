"""`Family`, the facts that the nets of one paper share. Imports only the standard library."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_ilsvrc.nets.registry import Net
from keras_ilsvrc.nets.variations import Variation


@dataclass(frozen=True)
class Family:
    """Facts that the nets of one paper have in common; the attributes are those of `Net`."""

    paper: str
    year: int
    builder: str
    variations: Mapping[str, Variation] = field(default_factory=dict)
    input_shape: tuple[int, int, int] = (224, 224, 3)
    minimum: int = 32
    classes: int = 1000
    departures: tuple[str, ...] = ()
    place: str = ""
    news: tuple[str, ...] = ()

    def net(
        self,
        parameters: int | None = None,
        published: tuple[float | None, float | None, str | None] = (None, None, None),
        departs: tuple[str, ...] = (),
        **arguments: Any,
    ) -> Net:
        """Return a net of this family; variations fixed by `arguments` are no longer offered."""
        return Net(
            name="",
            paper=self.paper,
            year=self.year,
            input_shape=self.input_shape,
            minimum=self.minimum,
            classes=self.classes,
            parameters=parameters,
            top1_error=published[0],
            top5_error=published[1],
            protocol=published[2],
            variations={k: v for k, v in self.variations.items() if k not in arguments},
            departures=self.departures + departs,
            builder=self.builder,
            arguments=arguments,
            place=self.place,
            news=self.news,
        )
