"""Published weights, one module per ecosystem. Imports neither Keras nor TensorFlow."""

from keras_ilsvrc.errors import InputError, nearest
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

# Of the rows of a net whose dataset is ImageNet, the first one is recommended.
SOURCES: tuple[Source, ...] = (
    *torchvision.SOURCES,
    *caffe.SOURCES,
    *keras_applications.SOURCES,
    *timm.SOURCES,
    *onnx.SOURCES,
    *pytorchcv.SOURCES,
    *akamaster.SOURCES,
)


def sources_of(net: str) -> dict[str, Source]:
    """Return {name: source} of a net; "imagenet" is its first source trained on ImageNet."""
    found = {source.name: source for source in SOURCES if source.net == net}
    first = next((source for source in found.values() if source.dataset == "ImageNet"), None)
    return {**found, RECOMMENDED: first} if first else found


def source_named(name: str, net: str) -> Source:
    """Return a source of a net by its name.

    Raises:
        InputError: If the net has no source of this name; the message lists those it has.
    """
    found = sources_of(net)
    if name not in found:
        known = nearest(name, found) or "there are no published weights for this net"
        raise InputError(
            f"weights is {name!r}, which is no source of weights for {net}; {known}; or give the "
            "path of a file"
        )
    return found[name]
