"""The images that an ONNX graph takes: their name, size and order of axes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def input_shape(path: Path) -> tuple[int, int, int] | None:
    """Return (height, width, channels) of the images of an ONNX file; None if a size may vary."""
    import onnx

    _, sizes = image_of(onnx.load(path, load_external_data=False).graph)
    if len(sizes) != 4 or not all(sizes[1:]):
        return None
    height, width, channels = (sizes[i] for i in ((1, 2, 3) if channels_last(sizes) else (2, 3, 1)))
    return height, width, channels


def image_of(graph: Any) -> tuple[str, list[int]]:
    """Return the name and the sizes of the input of an ONNX graph; a size that may vary is 0.

    If the graph does not have exactly one input, the name and the sizes are empty.
    """
    constants = {one.name for one in graph.initializer}
    images = [one for one in graph.input if one.name not in constants]
    if len(images) != 1:
        return "", []
    return images[0].name, [axis.dim_value for axis in images[0].type.tensor_type.shape.dim]


def channels_last(sizes: Sequence[int]) -> bool:
    """Return whether the input of a graph is (images, height, width, channels)."""
    return sizes[-1:] == [3] and sizes[1] != 3
