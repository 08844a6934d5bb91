"""`Source`: published weights of one network. Only the standard library is imported."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

# (means, standard deviations) of pixels from 0 to 255, each for R, G and B or one value for all.
Constants = tuple[tuple[float, ...], tuple[float, ...]]
IMAGENET: Constants = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))  # used by PyTorch
CAFFE: Constants = ((123.68, 116.779, 103.939), (1.0,))  # used by VGG in Caffe
ONE_TO_ONE: Constants = ((127.5,), (127.5,))  # for pixels from -1 to 1
# Numbers of values in the layers fc6 and fc7.
ALEXNET_DENSE, VGG_DENSE = {"dense": 54_534_144}, {"dense": 119_545_856}


@dataclass(frozen=True)
class Source:
    """Published weights of one network: the file, its layout, and facts about both.

    Attributes:
        name: Name in `build(weights=...)`, for example "torchvision".
        net: Name of the network in `build`.
        layout: Name of the layout in `LAYOUTS` that says how the file names and stores the weights.
        file: Name of the file.
        values: Number of values in the file, without classifiers, auxiliary parts, Caffe's factors
            and ignored tensors. A file is recognised by this number.
        dense: Number of these values in fc6 and fc7, which a file with only the convolutions lacks.
        dataset: Name of the dataset on which the weights were trained.
        url: HTTPS address of the file, or of an archive with it; None if there is no stable one.
        sha256: SHA-256 of the file in hexadecimal digits; None if it is not known. Such a file is
            not downloaded by name.
        preprocessing: Ops for raw RGB images, written as in a recipe; empty if not known. Models
            take RGB, since the first filters of a network trained on BGR images are reversed when
            they are loaded.
        input_shape: Height, width and channels for which the weights were trained; None for the
            default shape of the network.
        options: Options of the network with which these weights must be loaded.
        top1_accuracy: Published top-1 accuracy in %; None if there is none.
        top5_accuracy: Published top-5 accuracy in %; None if there is none.
        protocol: How the accuracy was measured; None if it is not known.
        licence: Licence of the file; None if none is stated.
        notes: Differences from the original network or training, for example in preprocessing.
    """

    name: str
    net: str
    layout: str
    file: str
    preprocessing: tuple[Mapping[str, Any], ...]
    values: int
    dense: int = 0
    dataset: str = "ImageNet"
    url: str | None = None
    sha256: str | None = None
    input_shape: tuple[int, int, int] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    top1_accuracy: float | None = None
    top5_accuracy: float | None = None
    protocol: str | None = None
    licence: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def downloadable(self) -> bool:
        """Whether the file can be downloaded by name, because its address and SHA-256 are known."""
        return bool(self.url and self.sha256)


def normalised(
    constants: Constants, resize: int | None = None, crop: int | None = None
) -> tuple[Mapping[str, Any], ...]:
    """Return ops that resize the shorter side, crop the centre and normalise.

    Args:
        constants: Means and standard deviations.
        resize: Length of the shorter side in pixels; None for no resizing.
        crop: Side of the centre crop in pixels; None for no crop.
    """
    rows: list[Mapping[str, Any]] = []
    if resize:
        rows.append({"op": "resize_shorter", "size": resize})
    if crop:
        rows.append({"op": "centre_crop", "size": crop})
    mean, std = map(list, constants)
    return (*rows, {"op": "normalise", "mean": mean, "std": std})


def sources(
    name: str,
    layout: str,
    files: Iterable[tuple[Any, ...]],
    host: str = "",
    end: str = "",
    **common: Any,
) -> tuple[Source, ...]:
    """Return a `Source` for each row of a table.

    Args:
        name: Name of the sources.
        layout: Name of their layout.
        files: Rows (name of our net, path of the file, number of values, top-1 accuracy, top-5
            accuracy, SHA-256), optionally followed by dictionaries of other arguments of `Source`.
        host: Text before each path in an address. If an address does not begin with https://,
            `url` is None.
        end: Text after each path in an address.
        common: Arguments of `Source` for all rows, which the dictionaries of a row can replace.
    """
    made = []
    for net, path, values, top1, top5, sha256, *others in files:
        url = f"{host}{path}{end}"
        facts: dict[str, Any] = {"name": name, "layout": layout, "file": url.rpartition("/")[2]}
        facts["url"] = url if url.startswith("https://") else None
        for row in (common, *others):
            facts |= row
        one = Source(
            net=net,
            values=values,
            top1_accuracy=top1,
            top5_accuracy=top5,
            sha256=sha256,
            **facts,
        )
        made.append(one)
    return tuple(made)
