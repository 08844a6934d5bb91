"""Facts about plain and residual nets for CIFAR-10: arXiv:1512.03385 and arXiv:1603.05027."""

from dataclasses import replace
from functools import partial
from typing import Any

from keras_ilsvrc.nets.printed import Printed
from keras_ilsvrc.nets.resnet_facts import (
    NO_SHORTCUT,
    PLAIN,
    RESNET,
    SHORTCUTS,
    V2,
    printed_lines,
)
from keras_ilsvrc.nets.variations import Number

ON_CIFAR: dict[str, Any] = {
    "builder": "resnet:resnet_cifar",
    "input_shape": (32, 32, 3),
    "minimum": 4,
    "classes": 10,
    "place": "not a challenge entry: for CIFAR-10",
    # Depths to search. Nets of 1001 and 1202 layers are left out, since training takes days.
    "space": {**RESNET.space, "depth": [20, 32, 44, 56, 110]},
}
BASIC = {"unit": "basic"}

PLAIN_CIFAR = replace(PLAIN, **ON_CIFAR, arguments={**BASIC, **NO_SHORTCUT})
CIFAR = replace(
    RESNET,
    **ON_CIFAR,
    arguments=BASIC,
    variations={**RESNET.variations, "shortcut": SHORTCUTS},
)
CIFAR_ANY_DEPTH = replace(
    CIFAR, variations={"depth": Number(None, least=8, whole=True), **CIFAR.variations}
)
V2_CIFAR = replace(
    V2,
    **ON_CIFAR,
    arguments=BASIC,
    variations={**V2.variations, "shortcut": SHORTCUTS},
)
V2_CIFAR_BOTTLENECK = replace(
    V2_CIFAR,
    variations=V2.variations,
    arguments={"unit": "bottleneck"},
    space={**RESNET.space, "depth": [20, 29, 56, 110, 164]},
)
V2_CIFAR_ANY_DEPTH = replace(
    V2_CIFAR_BOTTLENECK,
    variations={"depth": Number(None, least=11, whole=True), **V2.variations},
)

# Values printed in arXiv:1512.03385: parameters by depth (table 6), and map sizes (section 4.2).
TABLE_6 = {20: "0.27M", 32: "0.46M", 44: "0.66M", 56: "0.85M", 110: "1.7M", 1202: "19.4M"}
SIZES = {"conv2": 32, "conv3": 16, "conv4": 8}

NETS = {
    "plain20_cifar": PLAIN_CIFAR.net(269_722, depth=20),
    "plain32_cifar": PLAIN_CIFAR.net(464_154, depth=32),
    "plain44_cifar": PLAIN_CIFAR.net(658_586, depth=44),
    "plain56_cifar": PLAIN_CIFAR.net(853_018, depth=56),
    "plain110_cifar": PLAIN_CIFAR.net(1_727_962, depth=110),
    "resnet20_cifar": CIFAR.net(269_722, (8.75, None, "single_view"), depth=20),
    "resnet32_cifar": CIFAR.net(464_154, (7.51, None, "single_view"), depth=32),
    "resnet44_cifar": CIFAR.net(658_586, (7.17, None, "single_view"), depth=44),
    "resnet56_cifar": CIFAR.net(853_018, (6.97, None, "single_view"), depth=56),
    "resnet110_cifar": CIFAR.net(1_727_962, (6.43, None, "single_view"), depth=110),
    "resnet1202_cifar": CIFAR.net(19_421_274, (7.93, None, "single_view"), depth=1202),
    "resnet_cifar": CIFAR_ANY_DEPTH.net(),
    "resnet20_v2_cifar": V2_CIFAR.net(269_722, depth=20),
    "resnet56_v2_cifar": V2_CIFAR.net(853_018, depth=56),
    "resnet110_v2_cifar": V2_CIFAR.net(1_727_962, (6.37, None, "single_view"), depth=110),
    "resnet164_v2_cifar": V2_CIFAR_BOTTLENECK.net(
        1_703_258, (5.46, None, "single_view"), depth=164
    ),
    "resnet1001_v2_cifar": V2_CIFAR_BOTTLENECK.net(
        10_327_706, (4.92, None, "single_view"), depth=1001
    ),
    "resnet_v2_cifar": V2_CIFAR_ANY_DEPTH.net(),
}
PRINTED = {
    name: Printed(
        "section 4.2, table 6",
        partial(printed_lines, SIZES, "parameters", TABLE_6[net.arguments["depth"]]),
    )
    for name, net in NETS.items()
    if "arXiv:1512.03385" in net.paper and "depth" in net.arguments
}
