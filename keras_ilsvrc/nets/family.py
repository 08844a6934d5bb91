"""What the nets of one paper share, and a net as a row of it. Standard library only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_ilsvrc.nets.registry import Net
from keras_ilsvrc.nets.variations import Variation


@dataclass(frozen=True)
class Family:
    """What the nets of one paper have in common."""

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
        """A row of the registry; what `arguments` fix can no longer be varied."""
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
