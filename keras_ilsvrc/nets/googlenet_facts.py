"""Facts about GoogLeNet: Szegedy et al., arXiv:1409.4842."""

from dataclasses import replace

from keras_ilsvrc.nets.family import Family
from keras_ilsvrc.nets.printed import Line, Printed
from keras_ilsvrc.nets.variations import AUXILIARY, WIDTH, Choice

GOOGLENET = Family(
    "Szegedy et al., arXiv:1409.4842",
    2014,
    "googlenet:googlenet",
    {
        "auxiliary": AUXILIARY,
        "auxiliary_bn": Choice((False, True)),
        "module": Choice(("reduced", "naive", "serial")),  # "serial" is not in the paper
        "lrn": Choice(("alexnet", "caffe")),  # "caffe": constants of bvlc_googlenet
        "width": WIDTH,
    },
    space={"width": [0.25, 0.5, 0.75, 1.0, 1.25, 1.5], "module": ["reduced", "naive"]},
    fixed_size={"auxiliary": (True,)},
    departures=("the constants of LRN are those of Krizhevsky et al.; the paper gives none",),
    place="2014: first with 6.67 % top-5 error (seven nets)",
    news=(
        "22 layers; inception modules have 1x1, 3x3 and 5x5 convolutions and a pool in parallel",
        "1x1 convolutions reduce the cost; average pooling replaces fc6 and fc7",
        "auxiliary classifiers feed gradients into the middle layers",
    ),
)
GOOGLENET_BN = replace(
    GOOGLENET,
    paper="Szegedy et al., arXiv:1409.4842, in torchvision's version",
    builder="googlenet:googlenet_bn",
    variations={"auxiliary": AUXILIARY},
    space={},
    fixed_size=False,
    place="not a challenge entry: torchvision's version of the winner of 2014",
    departures=(
        "as in torchvision, batch normalisation instead of LRN and biases, 3x3 instead of 5x5 "
        "convolutions, a 2x2 pool4 with stride 2, dropout 0.2, and auxiliary classifiers on maps "
        "averaged to 4x4",
    ),
)

# fmt: off
# Szegedy et al. 2014, table 1: output size, parameters and operations of each layer.
TABLE_1 = {
    "conv1":        ("112x112x64",  "2.7K",  "34M"),
    "pool1":        ("56x56x64",    "",      ""),
    "conv2":        ("56x56x192",   "112K",  "360M"),
    "pool2":        ("28x28x192",   "",      ""),
    "inception_3a": ("28x28x256",   "159K",  "128M"),
    "inception_3b": ("28x28x480",   "380K",  "304M"),
    "pool3":        ("14x14x480",   "",      ""),
    "inception_4a": ("14x14x512",   "364K",  "73M"),
    "inception_4b": ("14x14x512",   "437K",  "88M"),
    "inception_4c": ("14x14x512",   "463K",  "100M"),
    "inception_4d": ("14x14x528",   "580K",  "119M"),
    "inception_4e": ("14x14x832",   "840K",  "170M"),
    "pool4":        ("7x7x832",     "",      ""),
    "inception_5a": ("7x7x832",     "1072K", "54M"),
    "inception_5b": ("7x7x1024",    "1388K", "71M"),
    "logits":       ("1000",        "1000K", "1M"),
}
# fmt: on
OWN_FILTERS = "the printed values do not follow from the numbers of filters in the same table"
SEPARABLE = "printed for a depthwise separable convolution (multiplier 8), as in the authors' code"

NETS = {
    "googlenet": GOOGLENET.net(6_998_552, (None, 10.07, "single_view")),
    "googlenet_bn": GOOGLENET_BN.net(6_624_904, (30.222, 10.47, "single_view")),
}


def _lines() -> list[Line]:
    return [
        Line(layer, quantity, layer, value, "" if quantity == "size" else why)
        for layer, row in TABLE_1.items()
        for why in [SEPARABLE if layer == "conv1" else OWN_FILTERS]
        for quantity, value in zip(("size", "parameters", "macs"), row)
        if value
    ]


PRINTED = {"googlenet": Printed("table 1 (K is 1024)", _lines, 1024)}
