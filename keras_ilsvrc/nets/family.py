"""`Family`: facts that several nets of one paper share.

This module imports only the standard library.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keras_ilsvrc.nets.registry import Net
from keras_ilsvrc.nets.variations import Variation


@dataclass(frozen=True)
class Family:
    """Facts that several nets of one paper share. They are attributes of each `Net` too.

    Attributes:
        paper: Authors and reference of the paper.
        year: Year of the paper.
        builder: Module and function that build the nets, as "module:function".
        variations: Keywords of `build` that change the published nets, with their valid values.
        input_shape: Height, width and channels of the published nets.
        minimum: Smallest height and width for which the nets can be built.
        classes: Number of classes of the published nets.
        fixed_size: Whether a fully connected layer needs a fixed image size. If only some values of
            a variation need it, this is a mapping {variation: these values}.
        arguments: Keyword arguments of the builder.
        space: Search space of a hypermodel: {variation: list of values, or (least, greatest)}.
        departures: Differences between our nets and the paper.
        place: Rank in the challenge, or another fact if the nets did not enter it.
        news: Contributions of the paper, in three lines.
    """

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
            errors: Published top-1 and top-5 error in %, and the evaluation protocol; None for each
                value that is not published.
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
