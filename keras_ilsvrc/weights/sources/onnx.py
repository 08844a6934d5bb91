"""Weights in the ONNX model zoo (onnx/models, validated/vision/classification).

The accuracies were measured with the graphs in the files. These files of the zoo cannot be loaded:

- `resnet*-v2-7`: batch normalisation is applied to the images and after pool1, unlike in our nets.
- `inception-v2-*`: a second scale and shift follow each normalisation, unlike in our nets.
- `*-int8`, `*-qdq`: the weights are quantised.
"""

from keras_ilsvrc.weights.sources import caffe
from keras_ilsvrc.weights.sources.caffe import CAFFE_LRN, Row
from keras_ilsvrc.weights.sources.source import (
    ALEXNET_DENSE,
    CAFFE,
    IMAGENET,
    VGG_DENSE,
    normalised,
    sources,
)

ZOO = "https://huggingface.co/onnxmodelzoo/legacy_models/resolve/main/"
ZOO += "validated/vision/classification/"
FLOOR = (
    "pooling in the file's graph rounds the number of windows down; pooling in this net rounds it "
    "up, as in Caffe, in which the weights were trained"
)
AT_224 = "the file's graph takes images of 224x224 pixels, but the net in Caffe takes 227x227"

GLUON: Row = {
    "preprocessing": normalised(IMAGENET, 256, 224),
    "protocol": caffe.RESNET["protocol"],
    "licence": "Apache-2.0",
}
VGG: Row = {**GLUON, "layout": "gluon_vgg", **VGG_DENSE}
BASIC: Row = {**GLUON, "layout": "gluon_basic"}
BOTTLENECK: Row = {**GLUON, "layout": "gluon_bottleneck", "options": {"pool1": "half"}}
OPEN_MODEL_ZOO: Row = {
    **GLUON,
    "layout": "caffe2",
    "protocol": f"{GLUON['protocol']}, measured by Intel's Open Model Zoo",
}
CAFFE2: Row = {
    "layout": "caffe2",
    "preprocessing": ({"op": "resize", "size": 224}, *normalised(CAFFE)),
    "protocol": "images resized to 224x224 pixels, without a crop",
    "licence": "MIT",
}
GOOGLENET: Row = {**CAFFE2, **CAFFE_LRN, "notes": (FLOOR,)}
BVLC: Row = {
    **CAFFE2,
    **ALEXNET_DENSE,
    "preprocessing": ({"op": "resize", "size": 227}, *normalised(CAFFE)),
    "licence": "BSD-3-Clause",
    "notes": (AT_224, FLOOR),
}
RCNN: Row = {"name": "onnx_rcnn", "dataset": "ILSVRC2013 detection", "protocol": None}
INCEPTION_V1: Row = {**GOOGLENET, "name": "onnx_inception_v1"}
VGG_CAFFE2: Row = {
    **CAFFE2,
    "name": "onnx_caffe2",
    **VGG_DENSE,
    "protocol": None,
    "licence": "Apache-2.0",
}

# fmt: off
# Rows for the function `sources`.
FILES = (
    ("alexnet", "alexnet/model/bvlcalexnet-12", 56_868_224, 54.80, 78.23,
     "6b0da9510f27f234ee96a85dc3809dd210150fdefad87f6850f9788513216945",
     {**BVLC, **CAFFE_LRN, "input_shape": (227, 227, 3)}),
    ("caffenet", "caffenet/model/caffenet-12", 56_868_224, 56.27, 79.52,
     "ea563e5c47d1f58e1717cf1a2d8bf288b8adc07af0ad228b622096cd243aeecb", BVLC),
    ("caffenet", "rcnn_ilsvrc13/model/rcnn-ilsvrc13-9", 56_868_224, None, None,
     "4aadb5ac806e82f89bac7dea77c838ba828dccbe5d624d8a44ebd513953571d9", {**BVLC, **RCNN}),
    ("zfnet512_onnx", "zfnet-512/model/zfnet512-12", 86_225_536, 55.97, 79.41,
     "c975ca6a24c0a2e1584c6f82667e0ac9c06084fc7769d267f71b4a154d1f1c72",
     {**CAFFE2, "dense": 79_696_896}),
    ("googlenet", "inception_and_googlenet/googlenet/model/googlenet-12", 5_973_552, 67.78, 88.34,
     "c99c507058eaf41de8723408fdda7db8325cb57f0a89f2ee07a716d6e963e14e",
     {**GOOGLENET, "licence": "BSD-3-Clause"}),
    ("googlenet", "inception_and_googlenet/inception_v1/model/inception-v1-12", 5_973_552, 67.23,
     None, "814b31a6316873bd03d2d808415ce1f40a7bf48ad88eab5ecc3cdc8dc6cf38ec", INCEPTION_V1),
    ("vgg16", "vgg/model/vgg16-7", 134_260_544, 72.62, 91.14,
     "f20805a3ecccaa88647bbab4ad011ff2412a9838485ea844de0fcbce349820b9", VGG),
    ("vgg19", "vgg/model/vgg19-7", 139_570_240, 73.72, 91.58,
     "692f9f927f1df1b89033787a77a73eac59fd9b3344f9ecdf0b13221e41c2046f", VGG),
    ("vgg19", "vgg/model/vgg19-caffe2-9", 139_570_240, None, None,
     "cfb97260b303ad3963999662456571b89c5f73dbdd2fd9dffd19fed7a90f766b", VGG_CAFFE2),
    ("vgg16_bn", "vgg/model/vgg16-bn-7", 134_277_440, 72.71, 91.21,
     "4fdceabf1ef715c9ed3020fa2eac1cb2a448296c086b03633c80cf47e1c5afce", VGG),
    ("vgg19_bn", "vgg/model/vgg19-bn-7", 139_592_256, 73.83, 91.79,
     "ce0987dfa6228ad29708013f38b7f73cbc14ca6066a05fc22ee49b35871c63ed", VGG),
    ("resnet18_v1_5", "resnet/model/resnet18-v1-7", 11_186_112, 69.93, 89.29,
     "4e8f8653e7a2222b3904cc3fe8e304cd8b339ce1d05fd24688162f86fb6df52c", BASIC),
    ("resnet34_v1_5", "resnet/model/resnet34-v1-7", 21_301_696, 73.73, 91.40,
     "883a41b2e30ddc2e422c108b091b5e70b92d37dc5c345a2c563dcae27971e2cc", BASIC),
    ("resnet50", "resnet/model/resnet50-v1-7", 23_580_032, 74.93, 92.38,
     "af16a04a6ec48ac494065d4439fe9dea590d337b9ca6dc328160ccf04a217b9c", BOTTLENECK),
    ("resnet101", "resnet/model/resnet101-v1-7", 42_646_144, 76.48, 93.20,
     "760702f6ec0138f71ebac66f4e95d1c72dc9267a8544f4d4667a53075fd0497c", BOTTLENECK),
    ("resnet152", "resnet/model/resnet152-v1-7", 58_355_072, 77.11, 93.61,
     "b0ec92437bf8c9d0739bf9bafdea9638e13f9e3c1e2fb766ad546cc182fd3f6d", BOTTLENECK),
    ("resnet50_v1_5", "resnet/model/resnet50-caffe2-v1-9", 23_561_152, 76.38, 93.188,
     "822daa93e11ecd505f282eb16e02d7fa6d7a88a4db0c9f832320798e508ba0dd", OPEN_MODEL_ZOO),
)
# fmt: on

SOURCES = sources("onnx", "caffe", FILES, ZOO, ".onnx")
