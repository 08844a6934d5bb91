"""Pictures of images with boxes: detections, and the objects that were not found."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import TABLEAU_COLORS
from PIL import Image, ImageDraw, ImageFont

from keras_ilsvrc.rcnn.detector import Detections

COLOURS = tuple(TABLEAU_COLORS.values())
MISSED, BEHIND = "#ffffff", "#202020"  # colours of a missed box, and of the wider line behind it
LINE = 0.005  # width of a line, as a share of the longer side of the image
TEXT = 0.03  # height of a text, as a share of the longer side


def boxes_on(
    pixels: np.ndarray,
    found: Detections,
    classes: Sequence[str],
    least: float = 0.0,
    missed: np.ndarray | None = None,
) -> Image.Image:
    """Return an image with the boxes of detections, their classes and their scores.

    Args:
        pixels: RGB image (height, width, 3), uint8.
        found: Detections in the image.
        classes: Names of the classes.
        least: Score below which detections are left out.
        missed: Boxes (boxes, 4) to draw in white over a dark line 2 pixels wider, without text;
            None for no such boxes.
    """
    image = Image.fromarray(pixels)
    draw, side = ImageDraw.Draw(image), max(image.size)
    line, font = max(1, round(LINE * side)), ImageFont.load_default(max(9.0, TEXT * side))
    for box in () if missed is None else missed:
        around = [*(box[:2] - 1), *box[2:]]
        draw.rectangle(around, outline=BEHIND, width=line + 2)
        draw.rectangle([*box[:2], *(box[2:] - 1)], outline=MISSED, width=line)
    shown = np.flatnonzero(found.scores >= least)[::-1]  # draw the best last, on top of the others
    for label, score, box in zip(found.labels[shown], found.scores[shown], found.boxes[shown]):
        colour = COLOURS[label % len(COLOURS)]
        draw.rectangle([*box[:2], *np.maximum(box[2:] - 1, box[:2])], outline=colour, width=line)
        text = f"{classes[label]} {score:.2f}"
        left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
        width, height = right - left + 2 * line, bottom - top + 2 * line
        corner = (max(0.0, min(box[0], image.width - 1 - width)), max(0.0, box[1] - height))
        size = (corner[0] + width, corner[1] + height)
        draw.rectangle([*corner, *size], fill=colour)
        draw.text((corner[0] + line - left, corner[1] + line - top), text, "white", font=font)
    return image


def save_picture(image: Image.Image, path: Path) -> None:
    """Write an image as JPEG if the suffix of the path is that of a JPEG, and else as PNG."""
    image.save(path, "JPEG" if path.suffix.lower() in (".jpg", ".jpeg") else "PNG", quality=90)
