"""Test protocols of the papers. This module does not need TensorFlow, so importing it is fast."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from keras_ilsvrc.evaluation.views import View, centre, grid_crop, square_crop, ten_crop, whole
from keras_ilsvrc.utils.errors import InputError, nearest

# A scale (share, pixels) resizes the shorter side of an image to share * S + pixels, where S is the
# shorter side after the resize op of the preprocessing. `pixels` applies to crops of 224 pixels;
# for other crop sizes, we multiply it by size / 224. With the scale None, images are not resized
# again: views are cut from the image as it is before the last crop of the preprocessing ops.
OWN = (None,)
# The three shorter sides S - 32, S and S + 32 for VGG (arXiv:1409.1556, section 3.2).
AROUND = ((1.0, -32), (1.0, 0), (1.0, 32))
# The five shorter sides for ResNet, where S is 256 (arXiv:1512.03385, section 3.4).
FIVE = tuple((side / 256, 0) for side in (224, 256, 384, 480, 640))
# GoogLeNet's four shorter sides, as multiples of 256 (arXiv:1409.4842, section 7).
FOUR = tuple((side / 256, 0) for side in (256, 288, 320, 352))


class Pass(NamedTuple):
    """Part of a test protocol, in which all images are tested with one kind of view.

    Attributes:
        views: Function from `evaluation.views` that returns the views of an image.
        scales: Scales at which the views are cut.
    """

    views: Callable[..., list[View]]
    scales: tuple[tuple[float, int] | None, ...]

    @property
    def number(self) -> int:
        """Number of views of an image at one scale."""
        return len(self.views(2, 2, 1))


# Probabilities are averaged over the views at each scale, then over scales, then over passes.
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
    """Return the passes of a test protocol.

    Raises:
        InputError: If the protocol is unknown.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol is {protocol!r}; {nearest(protocol, PROTOCOLS)}")
    return PROTOCOLS[protocol]


def views_of(protocol: str) -> int:
    """Return a protocol's number of views per image. A crop and its mirror image are two views."""
    return sum(each.number * len(each.scales) for each in passes_of(protocol))


def sides_of(
    protocol: str, own: int | None, size: int, scales: Sequence[int] | None = None
) -> list[tuple[Pass, list[int | None]]]:
    """Return a protocol's passes, and the shorter image side in pixels for each scale of each pass.

    Args:
        protocol: Name of a protocol in `PROTOCOLS`.
        own: Shorter side S of the test images in pixels; None if it may vary.
        size: Side of the square images that the network takes, in pixels.
        scales: Shorter sides in pixels, used instead of the protocol's scales.

    Returns:
        Pairs (pass, sides). The side None means that the preprocessing ops set the image size.

    Raises:
        InputError: If the protocol is unknown or has another number of scales, if a scale is
            smaller than the network's input, or if the scales depend on S and `own` is None.
    """
    found = []
    for each in passes_of(protocol):
        if scales is not None and len(scales) != len(each.scales):
            raise InputError(
                f"scales are {list(scales)}; expected {len(each.scales)} scales for the "
                f"protocol {protocol}"
            )
        if scales is None and own is None and each.scales != OWN:
            raise InputError(
                f"protocol {protocol} derives its scales from the size in the resize op, but "
                f"there is no resize op; pass {len(each.scales)} scales"
            )
        sides: list[int | None] = [_side(x, own, size) for x in each.scales]
        sides = sides if scales is None else list(scales)
        small = [x for x in (own if side is None else side for side in sides) if x and x < size]
        if small:
            raise InputError(
                f"protocol {protocol} resizes images to a shorter side of {small[0]} pixels, but "
                f"the net takes {size}x{size}; pass {len(each.scales)} scales of at least {size}"
            )
        found.append((each, sides))
    return found


def _side(scale: tuple[float, int] | None, own: int | None, size: int) -> int | None:
    """Return the shorter image side at a scale, in pixels; None if the preprocessing ops set it."""
    if scale is None or own is None:
        return None
    share, pixels = scale
    return round(share * own + pixels * size / 224)
