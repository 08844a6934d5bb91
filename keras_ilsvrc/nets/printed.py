"""Values printed in papers, and the quantities of the built nets to compare them with."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from keras_ilsvrc.nets.registry import Net


class Line(NamedTuple):
    """Value printed in a paper, and the quantity of the built net to compare it with.

    Attributes:
        label: Name of the value in the paper.
        quantity: `size`, `cells`, or a count: `parameters`, `units`, `connections`, `macs`.
        layers: Layer name, which includes layers `<layers>_*` and `<layers>/*`; empty for the net.
        printed: Value as printed; K, M and G after a number are powers of `Printed.thousand`.
        why: Reason for the difference if the built net has a different value.
    """

    label: str
    quantity: str
    layers: str
    printed: str
    why: str = ""


class Printed(NamedTuple):
    """Table of a paper: `lines` returns its values, and `thousand` is the meaning of K in them."""

    title: str
    lines: Callable[[], list[Line]]
    thousand: int = 1000


# fmt: off
# LeCun et al. 1998, section II.B: trainable parameters and connections of each layer.
LENET_SECTION_2B = {
    "c1": (156, 122_304), "s2": (12, 5_880), "c3": (1_516, 151_600), "s4": (32, 2_000),
    "c5": (48_120, 48_120), "f6": (10_164, 10_164), "": (60_000, 340_908),
}
# Krizhevsky et al. 2012, caption of figure 2: units of each layer.
ALEXNET_FIGURE_2 = {
    "conv1": 253_440, "conv2": 186_624, "conv3": 64_896, "conv4": 64_896, "conv5": 43_264,
    "fc6": 4_096, "fc7": 4_096, "fc8": 1_000,
}
# Szegedy et al., arXiv:1409.4842, table 1: output size, parameters and operations of each layer.
GOOGLENET_TABLE_1 = {
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
# Simonyan and Zisserman, arXiv:1409.1556: column of table 1, and number of parameters in table 2.
VGG_TABLES = {
    "vgg11":     ("A", "133M"), "vgg11_lrn": ("A-LRN", "133M"), "vgg13": ("B", "133M"),
    "vgg16_1x1": ("C", "134M"), "vgg16":     ("D", "138M"),     "vgg19": ("E", "144M"),
}
RESNET_PAPER = "arXiv:1512.03385"
# Table 1 of arXiv:1512.03385: FLOPs by depth. The paper counts a multiply-add as one FLOP.
RESNET_TABLE_1 = {18: "1.8G", 34: "3.6G", 50: "3.8G", 101: "7.6G", 152: "11.3G"}
SIZES = "112x112", "56x56", "28x28", "14x14", "7x7"
RESNET_SIZES = {f"conv{stage}": size for stage, size in enumerate(SIZES, 1)}
# He et al., arXiv:1512.03385, table 6 and section 4.2: parameters and map sizes on CIFAR-10.
CIFAR_TABLE_6 = {20: "0.27M", 32: "0.46M", 44: "0.66M", 56: "0.85M", 110: "1.7M", 1202: "19.4M"}
CIFAR_SIZES = {"conv2": "32x32", "conv3": "16x16", "conv4": "8x8"}
# fmt: on
OWN_FILTERS = "the printed values do not follow from the numbers of filters in the same table"
SEPARABLE = "printed for a depthwise separable convolution (multiplier 8), as in the authors' code"


def printed(net: Net) -> Printed | None:
    """Return the values that the paper prints about a net, or None if there are none to compare."""
    if net.name in OWN_TABLES:
        return OWN_TABLES[net.name]
    if net.varied or RESNET_PAPER not in net.paper:  # only that paper has tables to compare
        return None
    depth, unit = (net.arguments.get(key) for key in ("depth", "unit"))
    if net.builder == "resnet:resnet" and depth in RESNET_TABLE_1:
        lines = partial(_resnet, net, RESNET_SIZES, "macs", RESNET_TABLE_1[depth])
        return Printed("table 1", lines)
    if unit == "basic" and depth in CIFAR_TABLE_6:
        lines = partial(_resnet, net, CIFAR_SIZES, "parameters", CIFAR_TABLE_6[depth])
        return Printed("section 4.2, table 6", lines)
    return None


def _lenet() -> list[Line]:
    return [
        Line(layer.upper() or "total", quantity, layer, f"{value:,}")
        for layer, values in LENET_SECTION_2B.items()
        for quantity, value in zip(("parameters", "connections"), values)
    ]


def _alexnet() -> list[Line]:
    why = {"conv1": "55 * 55 * 96 is 290,400; no number of maps gives the value in the caption"}
    lines = [Line(k, "units", k, f"{n:,}", why.get(k, "")) for k, n in ALEXNET_FIGURE_2.items()]
    return [
        *lines,
        Line("neurons", "units", "", "650K", "rounded in the abstract"),
        Line("parameters", "parameters", "", "60M"),
    ]


def _googlenet() -> list[Line]:
    return [
        Line(layer, quantity, layer, value, "" if quantity == "size" else why)
        for layer, row in GOOGLENET_TABLE_1.items()
        for why in [SEPARABLE if layer == "conv1" else OWN_FILTERS]
        for quantity, value in zip(("size", "parameters", "macs"), row)
        if value
    ]


def _vgg(column: str, millions: str) -> list[Line]:
    from keras_ilsvrc.nets.vgg import TABLE_1  # not above, as this module imports Keras

    lines = [
        Line(f"conv{stage}", "cells", f"conv{stage}", row.replace(" LRN", ""))
        for stage, row in enumerate(TABLE_1[column], 1)
    ]
    return [*lines, Line("parameters", "parameters", "", millions)]


def _resnet(net: Net, sizes: dict[str, str], quantity: str, total: str) -> list[Line]:
    why = next((text for text in net.departures if "stride" in text), "")
    # The paper calls the stages with several units conv2_x, conv3_x and so on.
    lines = [Line(k if k == "conv1" else f"{k}_x", "size", k, x) for k, x in sizes.items()]
    return [*lines, Line("FLOPs" if quantity == "macs" else quantity, quantity, "", total, why)]


OWN_TABLES = {
    "lenet5": Printed("section II.B", _lenet),
    "alexnet": Printed("caption of figure 2, abstract", _alexnet),
    "googlenet": Printed("table 1 (K is 1024)", _googlenet, 1024),
    **{net: Printed("tables 1 and 2", partial(_vgg, *row)) for net, row in VGG_TABLES.items()},
}
