"""Overlaps of boxes, and greedy non-maximum suppression.

A box is (left, top, right, bottom) in pixels, float64. Coordinates are measured from the
top left corner of the image: the whole image is the box (0, 0, width, height), its first pixel the
box (0, 0, 1, 1). Areas are equal to those of Pascal VOC, which adds 1 to the difference of two
inclusive coordinates.
"""

import numpy as np


def areas(boxes: np.ndarray) -> np.ndarray:
    """Return the areas of boxes (boxes, 4) in square pixels; 0 for an empty box."""
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)


def overlaps(boxes: np.ndarray, others: np.ndarray, crowds: np.ndarray | None = None) -> np.ndarray:
    """Return the intersection over union of each pair of boxes.

    Args:
        boxes: Boxes, (n, 4).
        others: Other boxes, (m, 4).
        crowds: Whether each of the other boxes is a group of objects, (m,), bool; None if none is.
            The overlap with a group is the fraction of the box that lies inside it, as in COCO.

    Returns:
        Overlaps from 0 to 1, (n, m).
    """
    first = np.maximum(boxes[:, None, :2], others[None, :, :2])
    last = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.prod(np.maximum(last - first, 0), axis=2)
    own = areas(boxes)[:, None]
    union = own + areas(others) - shared
    if crowds is not None:
        union = np.where(crowds, own, union)
    return shared / np.where(union > 0, union, 1)


def suppress(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Return the indices of the boxes that non-maximum suppression keeps, highest score first.

    Each box that is kept removes all boxes of lower scores that overlap it by more than `threshold`
    (Girshick et al., arXiv:1311.2524, section 2.2).
    """
    left = np.argsort(-scores, kind="stable")
    kept = []
    while len(left):
        best, left = left[0], left[1:]
        kept.append(best)
        left = left[overlaps(boxes[best, None], boxes[left])[0] <= threshold]
    return np.array(kept, int)
