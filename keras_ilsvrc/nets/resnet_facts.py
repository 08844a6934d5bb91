"""Facts about plain and residual nets: He et al., arXiv:1512.03385 and arXiv:1603.05027."""

from dataclasses import replace
from functools import partial
from typing import Any

from keras_ilsvrc.nets.family import Family
from keras_ilsvrc.nets.printed import Line, Printed
from keras_ilsvrc.nets.variations import WIDTH, Choice, Number

ORDERS = ("original", "bn_after_add", "relu_before_add", "relu_preact", "full_preact")
# The last five shortcuts are option A with scaling, gating or dropout (arXiv:1603.05027, table 1).
SHORTCUTS = Choice(
    (
        *("A", "B", "C", "none"),
        *("constant_0.5", "constant_0.5_0.5", "exclusive_gating", "shortcut_gating", "dropout"),
    )
)
MOVING_AVERAGES = (
    "batch normalisation uses moving averages with momentum 0.9; the authors computed its "
    "statistics over many images after training"
)
STRIDE_IN_3X3 = (
    "bottlenecks have their stride in the 3x3 convolution; the authors' bottlenecks have it in "
    "the first 1x1 convolution"
)
NO_SHORTCUT: dict[str, Any] = {"shortcut": "none", "gate_bias": -6.0}

RESNET = Family(
    "He et al., arXiv:1512.03385",
    2015,
    "resnet:resnet",
    {
        "shortcut": SHORTCUTS.with_default("B"),
        "gate_bias": Number(-6.0, least=-10.0, below=0.5),
        "order": Choice(ORDERS),
        "batch_norm": Choice((True, False)),  # False is not in the papers
        "width": WIDTH,
    },
    arguments={"form": "authors"},
    space={
        "depth": [18, 34, 50, 101, 152],
        "shortcut": ["A", "B", "C", "none"],
        "order": list(ORDERS),
        "width": [0.25, 0.5, 1.0, 2.0],
    },
    departures=(MOVING_AVERAGES,),
    place="2015: first with 3.57 % top-5 error (six nets)",
    news=(
        "identity shortcuts: layers learn what to add to their input",
        "152 layers, eight times VGG's depth, with fewer operations; 1202 layers on CIFAR-10",
        "showed the degradation problem: deeper plain nets have a higher training error",
    ),
)
# pool1="half" pads pool1 by 1, as in the nets of MXNet's Gluon.
AUTHORS = replace(RESNET, variations={**RESNET.variations, "pool1": Choice(("ceil", "half"))})
PLAIN = replace(
    RESNET,
    arguments={"form": "authors", **NO_SHORTCUT},
    place="not a challenge entry: the baseline of the residual nets of 2015",
    news=(
        "VGG's 3x3 convolutions; strides replace pools, and average pooling replaces fc6 and fc7",
        "batch normalisation after every convolution, so that gradients do not vanish",
        "deeper plain nets nevertheless have a higher training error than shallower ones",
    ),
)
V1_5 = replace(
    RESNET,
    paper="He et al., arXiv:1512.03385, in torchvision's version",
    arguments={"form": "v1_5"},
    departures=(
        STRIDE_IN_3X3,
        "pool1 is padded by 1; the windows of the authors' pool1 begin at the first pixel",
    ),
    place="not a challenge entry: torchvision's version of the winner of 2015",
)
KERAS = replace(
    RESNET,
    paper="He et al., arXiv:1512.03385, in the version of keras.applications",
    arguments={"form": "keras"},
    departures=(
        "every convolution has a bias, which batch normalisation cancels",
        "pool1 is padded by 1; epsilon is 1.001e-5",
    ),
    place="not a challenge entry: Keras' version of the winner of 2015",
)
V2 = Family(
    "He et al., arXiv:1603.05027",
    2016,
    "resnet:resnet",
    {**RESNET.variations, "order": Choice(ORDERS).with_default("full_preact")},
    arguments={"form": "v1_5"},
    space={**RESNET.space, "depth": [50, 101, 152, 200]},
    departures=(MOVING_AVERAGES,),
    place="not a challenge entry",
    news=(
        "BN and ReLU before the weight layers: the path from unit to unit is an identity",
        "the identity is the best of six shortcuts, full pre-activation the best of five orders",
        "nets of 1001 layers can be trained, and have a lower error than nets of 164 layers",
    ),
)
V2_KERAS = replace(
    V2,
    paper="He et al., arXiv:1603.05027, in the version of keras.applications",
    arguments={"form": "keras_v2", "shortcut": "keras", "gate_bias": -6.0},
    departures=(
        "conv1 has a bias, but no BN or ReLU, so that padding zeros can be maxima in pool1",
        "the last unit of a stage, not the first, has stride 2, and its shortcut drops pixels",
        "shortcut projections and the last convolutions of units have biases; epsilon is 1.001e-5",
    ),
)

# Values printed in arXiv:1512.03385, table 1: FLOPs (multiply-adds) by depth, and the map size of
# each stage.
TABLE_1 = {18: "1.8G", 34: "3.6G", 50: "3.8G", 101: "7.6G", 152: "11.3G"}
SIZES = {"conv1": 112, "conv2": 56, "conv3": 28, "conv4": 14, "conv5": 7}

NETS = {
    "plain18": PLAIN.net(11_515_688, (27.94, None, "ten_crop"), depth=18),
    "plain34": PLAIN.net(21_623_848, (28.54, 10.02, "ten_crop"), depth=34),
    "resnet18": AUTHORS.net(11_689_512, depth=18),
    "resnet34": AUTHORS.net(21_797_672, (24.52, 7.46, "ten_crop"), depth=34),
    "resnet50": AUTHORS.net(25_557_032, (22.85, 6.71, "ten_crop"), depth=50),
    "resnet101": AUTHORS.net(44_549_160, (21.75, 6.05, "ten_crop"), depth=101),
    "resnet152": AUTHORS.net(60_192_808, (21.43, 5.71, "ten_crop"), depth=152),
    "resnet18_v1_5": V1_5.net(11_689_512, (30.242, None, "single_view"), depth=18),
    "resnet34_v1_5": V1_5.net(21_797_672, (26.686, None, "single_view"), depth=34),
    "resnet50_v1_5": V1_5.net(25_557_032, (23.870, None, "single_view"), depth=50),
    "resnet101_v1_5": V1_5.net(44_549_160, (22.626, None, "single_view"), depth=101),
    "resnet152_v1_5": V1_5.net(60_192_808, (21.688, None, "single_view"), depth=152),
    "resnet50_keras": KERAS.net(25_583_592, depth=50),
    "resnet101_keras": KERAS.net(44_601_832, depth=101),
    "resnet152_keras": KERAS.net(60_268_520, depth=152),
    "resnet50_v2": V2.net(25_549_352, depth=50),
    "resnet101_v2": V2.net(44_541_480, depth=101),
    "resnet152_v2": V2.net(60_185_128, (21.1, 5.5, "single_view at 320"), depth=152),
    "resnet200_v2": V2.net(64_666_152, (20.7, 5.3, "single_view at 320"), depth=200),
    "resnet50_v2_keras": V2_KERAS.net(25_568_360, depth=50),
}


def printed_lines(sizes: dict[str, int], quantity: str, total: str, why: str = "") -> list[Line]:
    """Return lines with the printed map size of each stage, and with the `total`, such as FLOPs."""
    # The paper calls the stages with several units conv2_x, conv3_x and so on.
    labels = {stage: stage if stage == "conv1" else f"{stage}_x" for stage in sizes}
    lines = [Line(labels[x], "size", x, f"{size}x{size}") for x, size in sizes.items()]
    return [*lines, Line("FLOPs" if quantity == "macs" else quantity, quantity, "", total, why)]


PRINTED = {
    name: Printed(
        "table 1", partial(printed_lines, SIZES, "macs", TABLE_1[net.arguments["depth"]], why)
    )
    for name, net in NETS.items()
    for why in [STRIDE_IN_3X3 if STRIDE_IN_3X3 in net.departures else ""]
    if "arXiv:1512.03385" in net.paper
}
