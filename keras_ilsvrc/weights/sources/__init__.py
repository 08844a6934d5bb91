"""Tables of published weights, one module per publisher. Keras and TensorFlow are not imported."""

import difflib

from keras_ilsvrc.utils.errors import InputError, nearest
from keras_ilsvrc.weights.sources import (
    akamaster,
    caffe,
    keras_applications,
    onnx,
    pytorchcv,
    timm,
    torchvision,
)
from keras_ilsvrc.weights.sources.source import Source

__all__ = ["RECOMMENDED", "SOURCES", "Source", "source_named", "sources_of"]

RECOMMENDED = "imagenet"  # name of the recommended weights of a net, as in keras.applications

# The recommended weights of a net are the first ones trained on ImageNet that can be downloaded by
# name, or the first ones trained on ImageNet if none of these can be downloaded.
SOURCES: tuple[Source, ...] = (
    *torchvision.SOURCES,
    *keras_applications.SOURCES,
    *timm.SOURCES,
    *caffe.SOURCES,
    *onnx.SOURCES,
    *pytorchcv.SOURCES,
    *akamaster.SOURCES,
)


def sources_of(net: str) -> dict[str, Source]:
    """Return {name: published weights} for a net. "imagenet" names the recommended weights."""
    found = {source.name: source for source in SOURCES if source.net == net}
    known = [source for source in found.values() if source.dataset == "ImageNet"]
    known.sort(key=lambda source: not source.downloadable)
    return {**found, RECOMMENDED: known[0]} if known else found


def source_named(name: str, net: str) -> Source:
    """Return the published weights of a net that have a given name.

    Raises:
        InputError: If the net has no weights of this name. The message lists those that it has, and
            nets with similar names that have weights of this name.
    """
    found = sources_of(net)
    if name in found:
        return found[name]
    every = dict.fromkeys([RECOMMENDED, *(source.name for source in SOURCES)])
    parts = [f"weights is {name!r}, which is neither a file nor the name of weights for {net}"]
    parts += [nearest(name, every)] if name not in every else []
    parts += [f"known for {net}: {', '.join(found)}"] if found else []
    nets = [source.net for source in SOURCES if source.name == name]
    close = difflib.get_close_matches(net, nets, cutoff=0.5)
    parts += [f"{name} has weights for {', '.join(close)}"] if close else []
    raise InputError("; ".join(filter(None, [*parts, "or pass the path of a file"])))
