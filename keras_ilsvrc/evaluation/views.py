"""Positions of the views (crops) of an image, as Python ints or integer tensors.

Each function takes the height and width of an image and the side of the views, in pixels, and
returns the views in order. It does not read the image.
"""

from typing import Any, NamedTuple

Rectangle = tuple[Any, Any, Any, Any]  # top, left, height, width, in pixels


class View(NamedTuple):
    """Part of an image that a network sees: a rectangle, mirrored left to right if `flip` is True.

    Positions and sizes are in pixels. A rectangle of another size than the network's input is later
    resized to that size, except if it comes from `whole`.
    """

    top: Any
    left: Any
    height: Any
    width: Any
    flip: bool


def flipped(rectangles: list[Rectangle]) -> list[View]:
    """Return the views of all rectangles, then the mirrored views of all rectangles."""
    return [View(*each, flip=flip) for flip in (False, True) for each in rectangles]


def corners(height: Any, width: Any, size: int) -> list[Rectangle]:
    """Return the square crops in the four corners of an image, then the centre crop."""
    down, right = height - size, width - size
    places = ((0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2))
    return [(top, left, size, size) for top, left in places]


def centre(height: Any, width: Any, size: int) -> list[View]:
    """Return the centre crop as a list of one view."""
    return [View(*corners(height, width, size)[-1], flip=False)]


def ten_crop(height: Any, width: Any, size: int) -> list[View]:
    """Return ten crops: the four corners, the centre and their mirror images.

    AlexNet was tested with these crops (Krizhevsky et al. 2012, section 4.1).
    """
    return flipped(corners(height, width, size))


def grid_crop(height: Any, width: Any, size: int) -> list[View]:
    """Return 25 crops on a 5x5 grid and their mirror images (VGG, arXiv:1409.1556, section 3.2)."""
    down, right = height - size, width - size
    return flipped(
        [
            (down * row // 4, right * column // 4, size, size)
            for row in range(5)
            for column in range(5)
        ]
    )


def square_crop(height: Any, width: Any, size: int) -> list[View]:
    """Return 36 views of an image, cut from three squares (GoogLeNet, arXiv:1409.4842, section 7).

    The squares are as wide as the shorter side and lie left, centre and right, or top, centre and
    bottom. Each square has six views: its corners, its centre, and the whole square. All 18 views
    are also mirrored.
    """
    side = (height + width - abs(height - width)) // 2  # min(height, width), also for tensors
    rectangles = []
    for place in range(3):
        top, left = (height - side) * place // 2, (width - side) * place // 2
        rectangles += [(top + y, left + x, h, w) for y, x, h, w in corners(side, side, size)]
        rectangles.append((top, left, side, side))
    return flipped(rectangles)


def whole(height: Any, width: Any, size: int) -> list[View]:
    """Return the whole image, of any size, and its mirror image."""
    return flipped([(0, 0, height, width)])
