"""Receptive fields: the window of the input image that a unit sees."""

from typing import NamedTuple


class Span(NamedTuple):
    """A window along one axis: unit i sees `field` pixels from pixel `start + i * stride` on.

    Pixels count from 0; those before it and behind the image are padding. With a stride of 0
    every unit sees the same.
    """

    start: int
    field: int
    stride: int

    def slide(self, kernel: int, stride: int = 1, before: int = 0) -> "Span":
        """Seen by a kernel that slides over these units and `before` units of padding."""
        return Span(
            self.start - before * self.stride,
            self.field + (kernel - 1) * self.stride,
            self.stride * stride,
        )

    def whole(self, units: int) -> "Span":
        """Seen by so many units together."""
        return Span(self.start, self.field + (units - 1) * self.stride, 0)


Window = tuple[Span, ...]  # an axis of the image each; empty for an input that is no image
