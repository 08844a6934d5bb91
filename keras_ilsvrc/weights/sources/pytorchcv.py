"""Weights published with pytorchcv 0.0.74. Each file is in a separate .zip archive."""

from dataclasses import replace

from keras_ilsvrc.weights.sources.source import ALEXNET_DENSE, IMAGENET, normalised, sources

HOST = "https://github.com/osmr/imgclsmob/releases/download/v0.0."
CIFAR = {
    "dataset": "CIFAR-10",
    "preprocessing": normalised(((125.307, 122.961, 113.8575), (51.5865, 50.847, 51.255))),
    "protocol": "single view",
}
RESNET = {**CIFAR, "options": {"shortcut": "B"}}
V2_NOTE = "outputs differ from pytorchcv's, whose first unit branches before its activation"
RESNET_V2 = {**RESNET, "layout": "pytorchcv_preact", "notes": (V2_NOTE,)}
ZFNET_NOTE = "outputs differ from pytorchcv's, which applies LRN before pooling with alpha / 5"
ZFNET = {"notes": (ZFNET_NOTE,)}
NIN_NOTE = "outputs differ from pytorchcv's, whose pools are padded"
NIN = {"options": {"pool2": "average"}, "notes": (NIN_NOTE,)}
POOL1 = {"options": {"pool1": "half"}}
# fmt: off
# Rows for the function `sources`.
FILES = (
    ("zfnet", "395/zfnet-1727-d010ddca", 58_260_608, 60.21, 82.73, None, ALEXNET_DENSE, ZFNET),
    ("zfnet_512", "400/zfnetb-1490-f6bec24e", 103_530_624, 63.63, 85.10, None,
     {"dense": 92_282_880}, ZFNET),
    ("bn_inception", "405/bninception-0774-d79ba5f5", 10_290_272, 74.63, 92.26, None),
    ("resnet18_v1_5", "478/resnet18-0896-77a56f15", 11_186_112, 73.06, 91.04, None),
    ("resnet34_v1_5", "291/resnet34-0780-3f775482", 21_301_696, 75.16, 92.20, None),
    ("resnet50_v1_5", "308/resnet50b-0638-8a5473ef", 23_561_152, 77.61, 93.62, None),
    ("resnet101_v1_5", "357/resnet101b-0530-f059ba3c", 42_605_504, 79.41, 94.70, None),
    ("resnet152_v1_5", "517/resnet152b-0445-2f420307", 58_295_232, 80.99, 95.55, None),
    ("resnet50", "329/resnet50-0633-b00d1c8e", 23_561_152, 77.72, 93.67, None, POOL1),
    ("resnet101", "499/resnet101-0540-65faf447", 42_605_504, 79.21, 94.60, None, POOL1),
    ("resnet152", "518/resnet152-0468-d46977dd", 58_295_232, 80.71, 95.32, None, POOL1),
    ("nin_cifar10", "175/nin_cifar10-0743-795b0824", 965_056, 92.57, None, None, CIFAR, NIN),
    ("resnet20_cifar", "163/resnet20_cifar10-0597-9b0024ac", 273_392, 94.03, None,
     None, RESNET),
    ("resnet56_cifar", "163/resnet56_cifar10-0452-628c42a2", 859_376, 95.48, None,
     None, RESNET),
    ("resnet110_cifar", "163/resnet110_cifar10-0369-4d6ca1fc", 1_738_352, 96.31, None,
     None, RESNET),
    ("resnet20_v2_cifar", "164/preresnet20_cifar10-0651-76cec68d", 273_008, 93.49, None,
     None, RESNET_V2),
    ("resnet56_v2_cifar", "164/preresnet56_cifar10-0449-e9124fcf", 858_992, 95.51, None,
     None, RESNET_V2),
    ("resnet110_v2_cifar", "164/preresnet110_cifar10-0386-cc08946a", 1_737_968, 96.14, None,
     None, RESNET_V2),
)
# fmt: on

SOURCES = tuple(
    replace(source, url=f"{source.url}.zip", notes=(*source.notes, "unpack the .zip"))
    for source in sources(
        "pytorchcv",
        "pytorchcv",
        FILES,
        HOST,
        ".pth",
        preprocessing=normalised(IMAGENET, 256, 224),
        protocol="centre crop of 224 pixels, shorter side 256",
        licence="MIT",
    )
)
