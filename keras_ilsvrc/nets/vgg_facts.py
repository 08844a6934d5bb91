"""Facts about VGG: Simonyan and Zisserman, arXiv:1409.1556v6."""

from dataclasses import replace
from functools import partial

from keras_ilsvrc.nets.family import Family
from keras_ilsvrc.nets.printed import Line, Printed
from keras_ilsvrc.nets.variations import ACTIVATION, WIDTH, Choice

VGG = Family(
    "Simonyan and Zisserman, arXiv:1409.1556",
    2014,
    "vgg:vgg",
    {
        "batch_norm": Choice((False, True)),  # True is from torchvision
        "activation": ACTIVATION,  # the paper uses only ReLU
        "width": WIDTH,
    },
    space={
        "configuration": ["A", "A-LRN", "B", "C", "D", "E"],
        "batch_norm": [False, True],
        "initial": ["he", "glorot", "paper"],
    },
    fixed_size=True,
    place="2014: second with 7.3 % top-5 error; first in localisation",
    news=(
        "stacks of 3x3 convolutions: receptive fields of 5x5 or 7x7 pixels with fewer weights",
        "11 to 19 weight layers: more depth by itself lowers the error",
        "dense evaluation at several scales; deeper nets are initialised from shallower ones",
    ),
)
VGG_BN = replace(
    VGG,
    paper="Simonyan and Zisserman, arXiv:1409.1556, in torchvision's version",
    variations={**VGG.variations, "batch_norm": Choice((True, False))},
    departures=("batch normalisation after every convolution, which also has a bias",),
    place="not a challenge entry: torchvision's version of VGG, second in 2014",
)

# For each net, its column in table 1 of Simonyan and Zisserman 2014, and the millions of parameters
# in table 2.
TABLES = {
    "vgg11": ("A", 133),
    "vgg11_lrn": ("A-LRN", 133),
    "vgg13": ("B", 133),
    "vgg16_1x1": ("C", 134),
    "vgg16": ("D", 138),
    "vgg19": ("E", 144),
}

NETS = {
    "vgg11": VGG.net(132_863_336, (29.6, 10.4, "dense"), configuration="A"),
    "vgg11_lrn": VGG.net(
        132_863_336,
        (29.7, 10.5, "dense"),
        configuration="A-LRN",
        departures=("LRN uses alpha and k as in AlexNet's formula, to which the paper refers",),
    ),
    "vgg13": VGG.net(133_047_848, (28.7, 9.9, "dense"), configuration="B"),
    "vgg13_5x5": VGG.net(134_503_528, configuration="B-5x5"),
    "vgg16_1x1": VGG.net(133_638_952, (28.1, 9.4, "dense"), configuration="C"),
    "vgg16": VGG.net(138_357_544, (27.0, 8.8, "dense"), configuration="D"),
    "vgg19": VGG.net(143_667_240, (27.3, 9.0, "dense"), configuration="E"),
    "vgg11_bn": VGG_BN.net(132_868_840, configuration="A"),
    "vgg13_bn": VGG_BN.net(133_053_736, configuration="B"),
    "vgg16_bn": VGG_BN.net(138_365_992, (26.64, 8.48, "single_view"), configuration="D"),
    "vgg19_bn": VGG_BN.net(143_678_248, configuration="E"),
}


def _lines(column: str, millions: int) -> list[Line]:
    from keras_ilsvrc.nets.vgg import TABLE_1  # imported only when needed, since it imports Keras

    lines = [
        Line(f"conv{stage}", "cells", f"conv{stage}", row.replace(" LRN", ""))
        for stage, row in enumerate(TABLE_1[column], 1)
    ]
    return [*lines, Line("parameters", "parameters", "", f"{millions}M")]


PRINTED = {net: Printed("tables 1 and 2", partial(_lines, *row)) for net, row in TABLES.items()}
