"""The papers' test protocols, as a table. Standard library only, so that listing them is quick."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from keras_ilsvrc.errors import InputError, nearest
from keras_ilsvrc.evaluation.views import View, centre, grid_crop, square_crop, ten_crop, whole

# A scale is a share of S, the shorter side to which the recipe resizes its test images, plus
# pixels, which are for crops of 224 and shrink with them. None takes the images as the recipe
# makes them, up to its last crop.
OWN = (None,)
AROUND = ((1.0, -32), (1.0, 0), (1.0, 32))  # arXiv:1409.1556, section 3.2
FIVE = tuple((side / 256, 0) for side in (224, 256, 384, 480, 640))  # arXiv:1512.03385, 3.4
FOUR = tuple((side / 256, 0) for side in (256, 288, 320, 352))  # arXiv:1409.4842, section 7


class Pass(NamedTuple):
    """The same views of every image, at each of some scales."""

    views: Callable[..., list[View]]
    scales: tuple[tuple[float, int] | None, ...]

    @property
    def number(self) -> int:
        """Views of an image at one scale."""
        return len(self.views(2, 2, 1))


# What is averaged: over the views of a scale, over the scales, then over the passes.
PROTOCOLS = {
    "single_view": (Pass(centre, OWN),),
    "ten_crop": (Pass(ten_crop, OWN),),
    "dense": (Pass(whole, OWN),),
    "multi_scale": (Pass(whole, FIVE),),
    "dense_multi_scale": (Pass(whole, AROUND),),
    "multi_crop_150": (Pass(grid_crop, AROUND),),
    "crops_144": (Pass(square_crop, FOUR),),
    "dense_and_crops": (Pass(whole, AROUND), Pass(grid_crop, AROUND)),
}


def passes_of(protocol: str) -> tuple[Pass, ...]:
    """The row of a protocol.

    Raises:
        InputError: If there is none.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol is {protocol!r}; {nearest(protocol, PROTOCOLS)}")
    return PROTOCOLS[protocol]


def views_of(protocol: str) -> int:
    """How many views of each image a protocol takes; a whole image and its mirror image are two."""
    return sum(each.number * len(each.scales) for each in passes_of(protocol))


def sides_of(
    protocol: str, own: int | None, size: int, scales: Sequence[int] | None = None
) -> list[tuple[Pass, list[int | None]]]:
    """The passes of a protocol, each with the shorter sides to resize the images to.

    Args:
        protocol: A name in `PROTOCOLS`.
        own: S, or None if it is not the same for all images.
        size: The side of the images that the net takes, in pixels.
        scales: Sides in place of the protocol's own, as many as it has.

    Returns:
        For each pass its sides; None where images stay as the recipe makes them.

    Raises:
        InputError: If the protocol is unknown, has another number of scales, or one of them is
            less than the net takes; or if its scales follow from an S that there is not.
    """
    found = []
    for each in passes_of(protocol):
        if scales is not None and len(scales) != len(each.scales):
            raise InputError(
                f"scales are {list(scales)}, but {protocol} has {len(each.scales)}; give as many"
            )
        if scales is None and own is None and each.scales != OWN:
            raise InputError(
                f"{protocol} derives its scales from the size in resize_shorter, which eval_ops "
                f"have not; give {len(each.scales)} scales"
            )
        sides: list[int | None] = [_side(x, own, size) for x in each.scales]
        sides = sides if scales is None else list(scales)
        small = [x for x in (own if side is None else side for side in sides) if x and x < size]
        if small:
            raise InputError(
                f"{protocol} resizes images to {small[0]}, but the net takes {size}x{size}; give "
                f"{len(each.scales)} scales of {size} or more"
            )
        found.append((each, sides))
    return found


def _side(scale: tuple[float, int] | None, own: int | None, size: int) -> int | None:
    """What a scale is in pixels."""
    if scale is None or own is None:
        return None
    share, pixels = scale
    return round(share * own + pixels * size / 224)
