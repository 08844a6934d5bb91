"""Weights published with torchvision 0.29.

The weights "torchvision" are the first version for each net, and "torchvision_v2" are the second
version. The weights "amdegroot" are those of the VGG-16 from which SSD is trained; they lack a
trained classifier.
"""

from keras_ilsvrc.weights.sources.source import (
    ALEXNET_DENSE,
    IMAGENET,
    ONE_TO_ONE,
    VGG_DENSE,
    normalised,
    sources,
)

# GoogLeNet and Inception-v3 take pixels from -1 to 1.
GOOGLENET = {
    "preprocessing": normalised(ONE_TO_ONE, 256, 224),
    "notes": ("the auxiliary classifiers in the file have not been trained",),
}
INCEPTION_V3 = {
    "preprocessing": normalised(ONE_TO_ONE, 342, 299),
    "protocol": "centre crop of 299 pixels, shorter side 342",
}
SECOND = {
    "name": "torchvision_v2",
    "preprocessing": normalised(IMAGENET, 232, 224),
    "protocol": "centre crop of 224 pixels, shorter side 232",
}
# The mean colour is Caffe's, with the digits that torchvision gives.
AMDEGROOT = {
    "name": "amdegroot",
    "preprocessing": normalised(((122.99925, 116.9991, 103.9992), (1.0,)), 256, 224),
    "protocol": None,
    "notes": (
        "the values of fc6 to fc8 in the file are NaN; build the net with include_top=False",
    ),
}
# fmt: off
# Rows for the function `sources`.
FILES = (
    ("alexnet_owt", "alexnet-owt-7be5be79", 57_003_840, 56.522, 79.066,
     "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02", ALEXNET_DENSE),
    ("vgg11", "vgg11-8a719046", 128_766_336, 69.020, 88.628, None, VGG_DENSE),
    ("vgg13", "vgg13-19584684", 128_950_848, 69.928, 89.246, None, VGG_DENSE),
    ("vgg16", "vgg16-397923af", 134_260_544, 71.592, 90.382,
     "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0", VGG_DENSE),
    ("vgg19", "vgg19-dcbb9e9d", 139_570_240, 72.376, 90.876,
     "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44", VGG_DENSE),
    ("vgg11_bn", "vgg11_bn-6002323d", 128_777_344, 70.370, 89.810,
     "6002323d9413ae02f657473d3ecbbd7f86ee496b8a0dc8dc6140a639a0fcf13d", VGG_DENSE),
    ("vgg13_bn", "vgg13_bn-abd245e5", 128_962_624, 71.586, 90.374, None, VGG_DENSE),
    ("vgg16_bn", "vgg16_bn-6c64b313", 134_277_440, 73.360, 91.516,
     "6c64b3138f2f4fcb3bcc4cafde11619c4f440eb1631787e93a682fd88305888a", VGG_DENSE),
    ("vgg19_bn", "vgg19_bn-c79401a0", 139_592_256, 74.218, 91.842,
     "c79401a0cf3cb42714e4182f5868c7a6f4f4534f5df9e956e2bb2098de41cbb6", VGG_DENSE),
    ("googlenet_bn", "googlenet-1378be20", 5_614_464, 69.778, 89.530,
     "1378be20a8e875cf1568b8a71654e704449655e34711a959a38b04fb34905cef", GOOGLENET),
    ("inception_v3_tv", "inception_v3_google-0cc3c7bd", 21_820_000, 77.294, 93.450,
     "0cc3c7bd75056d25e46cba549dc184522069b81e9787eff6df84f397bd52a5ef", INCEPTION_V3),
    ("resnet18_v1_5", "resnet18-f37072fd", 11_186_112, 69.758, 89.078,
     "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec"),
    ("resnet34_v1_5", "resnet34-b627a593", 21_301_696, 73.314, 91.420,
     "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f"),
    ("resnet50_v1_5", "resnet50-0676ba61", 23_561_152, 76.130, 92.862,
     "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a"),
    ("resnet101_v1_5", "resnet101-63fe2227", 42_605_504, 77.374, 93.546,
     "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a"),
    ("resnet152_v1_5", "resnet152-394f9c45", 58_295_232, 78.312, 94.046,
     "394f9c45966e3651a89bbb78a48410a6755854ce4a5ab64927cf1c7247f85e58"),
    ("resnet50_v1_5", "resnet50-11ad3fa6", 23_561_152, 80.858, 95.434,
     "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca", SECOND),
    ("resnet101_v1_5", "resnet101-cd907fc2", 42_605_504, 81.886, 95.780,
     "cd907fc2a0de2292b2ba2b27d2216bc672d84632d1cf20058d01c0c03b5e020e", SECOND),
    ("resnet152_v1_5", "resnet152-f82ba261", 58_295_232, 82.284, 96.002, None, SECOND),
    ("vgg16", "vgg16_features-amdegroot-88682ab5", 134_260_544, None, None, None, VGG_DENSE,
     AMDEGROOT),
)
# fmt: on

SOURCES = sources(
    "torchvision",
    "torchvision",
    FILES,
    "https://download.pytorch.org/models/",
    ".pth",
    preprocessing=normalised(IMAGENET, 256, 224),
    protocol="centre crop of 224 pixels, shorter side 256",
)
