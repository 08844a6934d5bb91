"""Reader of `.caffemodel` files: Caffe's protobuf message NetParameter of all three generations.

The field numbers below are those in `caffe.proto`, and no other schema is needed. The module `wire`
explains why files are scanned instead of being parsed by the protobuf package.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from keras_ilsvrc.weights.readers.values import stored
from keras_ilsvrc.weights.readers.wire import Message, whole
from keras_ilsvrc.weights.tensors import Stored

OLD, NEW = 2, 100  # fields of the net: `layers` in generations V0 and V1, `layer` in the new one
INNER = 1  # field of a V0 layer: the message with name and blobs
# {generation: (field with the name of a layer, field with its blobs)}
LAYER = {"V0": (1, 50), "V1": (4, 6), "new": (1, 7)}
LEGACY = (1, 2, 3, 4)  # fields of a blob: num, channels, height, width
FLOATS, SHAPE, DOUBLES = 5, 7, 8  # fields of a blob
DIM = 1  # field of a shape


def read(path: Path) -> dict[str, Stored]:
    """Return the blobs of all layers, {`LAYER/INDEX`: array}, for example `conv1/0`.

    Old files declare four dimensions for each blob. Leading dimensions of 1 are removed from
    biases, (1, 1, 1, N), and from inner products, (1, 1, N, K). Kernels of convolutions keep four
    dimensions, except a kernel with one filter and one channel, which looks like an inner product.
    An inner product with one output looks like a bias, and becomes a vector.

    Raises:
        ValueError: If the file is damaged, or two layers with blobs have the same name.
    """
    arrays: dict[str, Stored] = {}
    with open(path, "rb") as file:
        for layer, blobs in _layers(path, file):
            for index, blob in enumerate(blobs):
                name = f"{layer}/{index}"
                if name in arrays:
                    raise ValueError(f"two blobs are named {name!r}")
                doubles = blob.runs[DOUBLES]
                code, runs = ("<f8", doubles) if doubles else ("<f4", blob.runs[FLOATS])
                arrays[name] = stored(name, path, _shape(blob), code, runs)
    return arrays


def _layers(path: Path, file: BinaryIO) -> Iterator[tuple[str, list[Message]]]:
    """Yield (name, blobs) for each layer that has blobs."""
    net = whole(path, file)
    old = net.messages(OLD)
    inner = [found for layer in old for found in layer.messages(INNER)]
    for generation, layers in {"V0": inner, "V1": old, "new": net.messages(NEW)}.items():
        name, blobs = LAYER[generation]
        for layer in layers:
            if layer.runs[blobs]:
                yield layer.text(name), layer.messages(blobs)


def _shape(blob: Message) -> tuple[int, ...]:
    if not any(blob.ints[field] for field in LEGACY):  # LEGACY has priority, as in Caffe
        return tuple(size for shape in blob.messages(SHAPE) for size in shape.integers(DIM))
    sizes = tuple((blob.ints[field] or [0])[-1] for field in LEGACY)
    if sizes[:2] != (1, 1):
        return sizes
    return sizes[3:] if sizes[2] == 1 else sizes[2:]
