"""Positions of the views of an image, in integer arithmetic on Python ints or tensors.

Each function takes the height and width of an image and the side of the views, in pixels, and
returns the views in order. It does not read or cut pixels.
"""

from typing import Any, NamedTuple

Rectangle = tuple[Any, Any, Any, Any]  # top, left, height, width


class View(NamedTuple):
    """Rectangle of an image, and whether it is mirrored left to right.

    A rectangle whose size differs from the side of the views is resized to it.
    """

    top: Any
    left: Any
    height: Any
    width: Any
    flip: bool


def flipped(rectangles: list[Rectangle]) -> list[View]:
    """Return a view of each rectangle, then a mirrored view of each."""
    return [View(*each, flip=flip) for flip in (False, True) for each in rectangles]


def corners(height: Any, width: Any, size: int) -> list[Rectangle]:
    """Return the rectangles in the four corners, then the one in the centre."""
    down, right = height - size, width - size
    places = ((0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2))
    return [(top, left, size, size) for top, left in places]


def centre(height: Any, width: Any, size: int) -> list[View]:
    """Return only the view in the centre."""
    return [View(*corners(height, width, size)[-1], flip=False)]


def ten_crop(height: Any, width: Any, size: int) -> list[View]:
    """Return the four corners, the centre and their mirror images (AlexNet, section 4.1)."""
    return flipped(corners(height, width, size))


def grid_crop(height: Any, width: Any, size: int) -> list[View]:
    """Return the 50 views of a 5x5 grid and their mirror images (arXiv:1409.1556, section 3.2)."""
    down, right = height - size, width - size
    return flipped(
        [
            (down * row // 4, right * column // 4, size, size)
            for row in range(5)
            for column in range(5)
        ]
    )


def square_crop(height: Any, width: Any, size: int) -> list[View]:
    """Return 36 views: six of each of three squares, also mirrored (arXiv:1409.4842, section 7).

    The squares are as wide as the shorter side and lie left, centre and right, or top, centre and
    bottom. The six views of a square are its corners, its centre, and the whole square.
    """
    side = (height + width - abs(height - width)) // 2  # the shorter side
    rectangles = []
    for place in range(3):
        top, left = (height - side) * place // 2, (width - side) * place // 2
        rectangles += [(top + y, left + x, h, w) for y, x, h, w in corners(side, side, size)]
        rectangles.append((top, left, side, side))
    return flipped(rectangles)


def whole(height: Any, width: Any, size: int) -> list[View]:
    """Return the whole image, whatever its size, and its mirror image."""
    return flipped([(0, 0, height, width)])
