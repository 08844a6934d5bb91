"""Receptive fields: the window of the input image that a unit sees."""

from typing import NamedTuple


class Span(NamedTuple):
    """Window along one axis: unit i sees `field` pixels, from pixel `start + i * stride` on.

    Pixels count from 0; negative ones and those beyond the image are padding. With stride 0, all
    units see the same.
    """

    start: int
    field: int
    stride: int

    def slide(self, kernel: int, stride: int = 1, before: int = 0) -> "Span":
        """Return the span of a kernel sliding over `before` units of padding and these units."""
        return Span(
            self.start - before * self.stride,
            self.field + (kernel - 1) * self.stride,
            self.stride * stride,
        )

    def whole(self, units: int) -> "Span":
        """Return the span of this many units together."""
        return Span(self.start, self.field + (units - 1) * self.stride, 0)


Window = tuple[Span, ...]  # one span per image axis; empty if the input is no image
