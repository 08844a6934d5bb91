"""Where the views of an image lie: whole-number arithmetic, on Python's numbers or on tensors.

Each function takes the height and width of an image and the side of the views, in pixels, and
returns the views in order; it cuts nothing.
"""

from typing import Any, NamedTuple

Rectangle = tuple[Any, Any, Any, Any]  # top, left, height, width


class View(NamedTuple):
    """A rectangle of an image, and whether left and right are exchanged in it.

    A rectangle of another size than the views is resized to theirs.
    """

    top: Any
    left: Any
    height: Any
    width: Any
    flip: bool


def flipped(rectangles: list[Rectangle]) -> list[View]:
    """All of them as they are, then all of them mirrored."""
    return [View(*each, flip=flip) for flip in (False, True) for each in rectangles]


def corners(height: Any, width: Any, size: int) -> list[Rectangle]:
    """The four corners, then the centre."""
    down, right = height - size, width - size
    places = ((0, 0), (0, right), (down, 0), (down, right), (down // 2, right // 2))
    return [(top, left, size, size) for top, left in places]


def centre(height: Any, width: Any, size: int) -> list[View]:
    """One view, in the middle."""
    return [View(*corners(height, width, size)[-1], flip=False)]


def ten_crop(height: Any, width: Any, size: int) -> list[View]:
    """Corners and centre, and their mirror images: Krizhevsky et al. 2012, section 4.1."""
    return flipped(corners(height, width, size))


def grid_crop(height: Any, width: Any, size: int) -> list[View]:
    """A regular 5x5 grid, mirrored too: 50 views (arXiv:1409.1556, section 3.2)."""
    down, right = height - size, width - size
    return flipped(
        [
            (down * row // 4, right * column // 4, size, size)
            for row in range(5)
            for column in range(5)
        ]
    )


def square_crop(height: Any, width: Any, size: int) -> list[View]:
    """Six views of each of three squares, mirrored too: 36 (arXiv:1409.4842, section 7).

    The squares are as wide as the shorter side and lie left, in the middle and right, or top, in
    the middle and at the bottom. Of each there are the corners, the centre, and the whole.
    """
    side = (height + width - abs(height - width)) // 2  # the shorter one
    rectangles = []
    for place in range(3):
        top, left = (height - side) * place // 2, (width - side) * place // 2
        rectangles += [(top + y, left + x, h, w) for y, x, h, w in corners(side, side, size)]
        rectangles.append((top, left, side, side))
    return flipped(rectangles)


def whole(height: Any, width: Any, size: int) -> list[View]:
    """All of the image, whatever its size, and its mirror image."""
    return flipped([(0, 0, height, width)])
