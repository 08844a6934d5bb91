"""Weights published for Caffe, most of them by the authors of the papers.

Images in Caffe have values from 0 to 255 and channels in the order BGR. The means below are in the
order RGB.
"""

from typing import Any

from keras_ilsvrc.weights.sources.source import ALEXNET_DENSE, CAFFE, VGG_DENSE, normalised, sources

Row = dict[str, Any]  # arguments of `Source`

INTEL = "https://storage.openvinotoolkit.org/repositories/open_model_zoo/public/2022.1/"
MXNET = "https://apache-mxnet.s3-accelerate.dualstack.amazonaws.com/caffe/models/resnet/"
MEAN_IMAGE = "a mean image was subtracted in training; here, its mean colour is subtracted"
HASH = "the SHA-256 is that of the authors' file, as recorded in Intel's Open Model Zoo"
# Caffe's tools resize with OpenCV, without antialiasing and without keeping the aspect ratio.
WARPED = {"op": "resize", "size": 256, "antialias": False}
SHORTER = {"op": "resize_shorter", "size": 256}
MEAN = {"op": "normalise", "mean": [123.0, 117.0, 104.0], "std": [1.0]}
CROP_227, CROP_224 = ({"op": "centre_crop", "size": size} for size in (227, 224))
WHITENED = ({"op": "global_contrast", "scale": 55.0}, {"op": "zca", "epsilon": 0.1})

AT_227: Row = {"preprocessing": (WARPED, CROP_227, MEAN), "protocol": "centre crop of 227 pixels"}
AT_224: Row = {"preprocessing": (WARPED, CROP_224, MEAN), "protocol": "centre crop of 224 pixels"}
FREE: Row = {"licence": "unrestricted", "notes": (MEAN_IMAGE,)}
VGG: Row = {
    **VGG_DENSE,
    "preprocessing": normalised(CAFFE, 256, 224),
    "protocol": "centre crop of 224 pixels, shorter side 256, in TF-slim",
    "licence": "CC-BY-4.0",
}
RESNET: Row = {
    "preprocessing": (SHORTER, CROP_224, MEAN),
    "protocol": "centre crop of 224 pixels, shorter side 256",
    "licence": "MIT",
    "notes": (MEAN_IMAGE, HASH),
}
RCNN: Row = {"name": "caffe_rcnn", "dataset": "ILSVRC2013 detection", "protocol": None}
CIFAR10: Row = {
    "layout": "caffe_nin_cifar10",
    "dataset": "CIFAR-10",
    "options": {"pool2": "average"},
    "preprocessing": WHITENED,
    "notes": (
        "whitening needs statistics of the training images",
        "the paper's error of 10.41 % is that of a net with max pooling in pool2",
    ),
}
PLACES: Row = {
    **AT_227,
    "dataset": "Places205",
    "protocol": "validation images of Places205",
    "notes": (
        "a mean image of Places205 was subtracted in training; here, the mean colour of ImageNet "
        "is subtracted",
    ),
}
CAFFE_LRN: Row = {"options": {"lrn": "caffe"}}

# fmt: off
# Rows for the function `sources`. If a file has an address, the row contains the whole address.
FILES = (
    ("alexnet", f"{INTEL}alexnet/bvlc_alexnet", 56_868_224, 57.1, 80.2,
     "4bff209a9837298157915ef50a4831a59636a6ca1a6b8ebacd990c3a5f3053e0",
     {**AT_227, **FREE, **ALEXNET_DENSE, **CAFFE_LRN, "input_shape": (227, 227, 3)}),
    ("caffenet", f"{INTEL}caffenet/bvlc_reference_caffenet", 56_868_224, 57.4, 80.4,
     "472d4a06035497b180636d8a82667129960371375bd10fcb6df5c6c7631f25e0",
     {**AT_227, **FREE, **ALEXNET_DENSE}),
    ("caffenet", "bvlc_reference_rcnn_ilsvrc13", 56_868_224, None, None, None,
     {**AT_227, **FREE, **ALEXNET_DENSE, **RCNN}),
    ("googlenet", f"{INTEL}googlenet-v1/bvlc_googlenet", 5_973_552, 68.7, 88.9,
     "6f7101e3a2183738a7125a0c5021ba82a1feb4228c5ca0924d991b6daf6f6fad",
     {**AT_224, **CAFFE_LRN, "licence": "unrestricted"}),
    ("vgg16", f"{INTEL}vgg16/VGG_ILSVRC_16_layers", 134_260_544, 71.5, 89.8,
     "a6196bc498e45ea4cb2637114ae8db9410cf1556fd60a55ae93272371beba197", VGG),
    ("vgg19", f"{INTEL}vgg19/VGG_ILSVRC_19_layers", 139_570_240, 71.1, 89.8,
     "31b4c627c40c6ee151325f079b7ac557fddbd1f79af932888796127a4f4f6954", VGG),
    ("resnet50", f"{MXNET}ResNet-50-model", 23_561_216, 75.3, 92.2,
     "44ee2b08816cede2b7aaa047888df07dcab52f73399aa1c8bef05a17bfdd4888", RESNET),
    ("resnet101", f"{MXNET}ResNet-101-model", 42_605_504, 76.4, 92.9,
     "2847d93346d7928ec1f257f49f60ea53e9075c15265c494469610e67ffb7f2e2", RESNET),
    ("resnet152", f"{MXNET}ResNet-152-model", 58_295_232, 77.0, 93.3,
     "6253c4c4132c0b25c112b166629aa57dcaeec044a4c68ac9f003b6c801329d55", RESNET),
    ("nin", "nin_imagenet", 6_570_176, 59.36, None, None,
     {**AT_224, "licence": "non-commercial", "notes": (MEAN_IMAGE,)}),
    ("nin_cifar10", "cifar10_nin", 965_056, None, None, None, CIFAR10),
    ("cnds8", "8conv3fc_CNDS", 59_568_000, 54.7, 84.1, None,
     {**PLACES, "dense": 50_339_840}),
)
# fmt: on

SOURCES = sources("caffe", "caffe", FILES, end=".caffemodel")
