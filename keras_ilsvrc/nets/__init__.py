"""Every net by name. Standard library only, so that listing nets costs nothing."""

import fnmatch
from dataclasses import replace

from keras_ilsvrc.nets.registry import Family, Net, unknown
from keras_ilsvrc.nets.variations import Choice, Number, split_name

ORDERS = ("original", "bn_after_add", "relu_before_add", "relu_preact", "full_preact")
WIDTH = Number(1.0, least=0.01)

ALEXNET = Family(
    "Krizhevsky, Sutskever and Hinton, NIPS 25",
    2012,
    "alexnet:alexnet",
    {
        "activation": Choice(("relu", "tanh", "sigmoid")),
        "pool": Choice(("3/2", "2/2")),
        "pool_kind": Choice(("max", "average")),
        "lrn": Choice(("all", "tower", "none")),
        "dropout": Number(0.5, least=0, below=1),
        "groups": Choice((2, 1)),
        "conv1": Choice(("11/4", "7/2")),
        "width": WIDTH,
    },
    minimum=64,
    departures=(
        "LRN runs over all maps, as the formula reads; the authors' code normalises each tower "
        'alone (lrn="tower")',
        "the sum in LRN is not divided by its size, as the formula reads; the authors' code "
        "divides it by 5",
        "convolution, ReLU, LRN, pool, as the text reads; the authors' code has no ReLU before "
        "the first LRN and pool, and one more normalisation after the second LRN",
        "dropout divides by its keeping rate in training, not at the test; the expectation is "
        "the same",
    ),
)
VGG = Family(
    "Simonyan and Zisserman, arXiv:1409.1556",
    2014,
    "vgg:vgg",
    {"batch_norm": Choice((False, True))},
)
GOOGLENET = Family(
    "Szegedy et al., arXiv:1409.4842",
    2014,
    "googlenet:googlenet",
    {"auxiliary": Choice((False, True), same_net=True)},
    departures=("the constants of LRN are those of Krizhevsky et al.; the paper gives none",),
)
RESNET = Family(
    "He et al., arXiv:1512.03385",
    2015,
    "resnet:resnet",
    {
        "shortcut": Choice(("B", "A", "C", "none")),
        "order": Choice(ORDERS),
        "batch_norm": Choice((True, False)),
        "width": WIDTH,
    },
    departures=(
        "the statistics of batch normalisation are moving averages of momentum 0.9; the authors "
        "measured them over many images after training",
    ),
)
CIFAR = replace(
    RESNET,
    builder="resnet:resnet_cifar",
    variations={**RESNET.variations, "shortcut": Choice(("A", "B", "C", "none"))},
    input_shape=(32, 32, 3),
    minimum=4,
    classes=10,
)
CIFAR_ANY_DEPTH = replace(
    CIFAR, variations={"depth": Number(None, least=8, whole=True), **CIFAR.variations}
)

# fmt: off
# Trainable parameters; published top-1 and top-5 error in % of one net, and how it was measured.
TABLE = {
    "alexnet": ALEXNET.net(60_965_224, (40.7, 18.2, "ten_crop")),
    "vgg11": VGG.net(132_863_336, (29.6, 10.4, "dense"), configuration="A"),
    "vgg11_lrn": VGG.net(132_863_336, (29.7, 10.5, "dense"), configuration="A-LRN", departs=(
        "alpha and k of LRN as AlexNet's formula reads; the paper refers to AlexNet",)),
    "vgg13": VGG.net(133_047_848, (28.7, 9.9, "dense"), configuration="B"),
    "vgg16_1x1": VGG.net(133_638_952, (28.1, 9.4, "dense"), configuration="C"),
    "vgg16": VGG.net(138_357_544, (27.0, 8.8, "dense"), configuration="D"),
    "vgg19": VGG.net(143_667_240, (27.3, 9.0, "dense"), configuration="E"),
    "googlenet": GOOGLENET.net(6_998_552, (None, 10.07, "single_view")),
    "plain18": RESNET.net(11_515_688, (27.94, None, "ten_crop"), depth=18, shortcut="none"),
    "plain34": RESNET.net(21_623_848, (28.54, 10.02, "ten_crop"), depth=34, shortcut="none"),
    "resnet18": RESNET.net(11_689_512, depth=18),
    "resnet34": RESNET.net(21_797_672, (24.52, 7.46, "ten_crop"), depth=34),
    "resnet50": RESNET.net(25_557_032, (22.85, 6.71, "ten_crop"), depth=50),
    "resnet101": RESNET.net(44_549_160, (21.75, 6.05, "ten_crop"), depth=101),
    "resnet152": RESNET.net(60_192_808, (21.43, 5.71, "ten_crop"), depth=152),
    "plain20_cifar": CIFAR.net(269_722, depth=20, shortcut="none"),
    "plain32_cifar": CIFAR.net(464_154, depth=32, shortcut="none"),
    "plain44_cifar": CIFAR.net(658_586, depth=44, shortcut="none"),
    "plain56_cifar": CIFAR.net(853_018, depth=56, shortcut="none"),
    "plain110_cifar": CIFAR.net(1_727_962, depth=110, shortcut="none"),
    "resnet20_cifar": CIFAR.net(269_722, (8.75, None, "single_view"), depth=20),
    "resnet32_cifar": CIFAR.net(464_154, (7.51, None, "single_view"), depth=32),
    "resnet44_cifar": CIFAR.net(658_586, (7.17, None, "single_view"), depth=44),
    "resnet56_cifar": CIFAR.net(853_018, (6.97, None, "single_view"), depth=56),
    "resnet110_cifar": CIFAR.net(1_727_962, (6.43, None, "single_view"), depth=110),
    "resnet_cifar": CIFAR_ANY_DEPTH.net(),
}
# fmt: on
NETS = {name: replace(net, name=name) for name, net in TABLE.items()}


def available(pattern: str = "*") -> list[str]:
    """The names of the nets that match a shell pattern, as in `available("resnet*")`."""
    return [name for name in NETS if fnmatch.fnmatchcase(name, pattern)]


def info(name: str, **variations: object) -> Net:
    """The registry's facts of a net; of a varied one, also by its name in brackets.

    Args:
        name: As in `available()`, or a varied name as `"alexnet[activation=tanh]"`.
        **variations: As in `build`.

    Raises:
        InputError: If the net, a variation or its value is unknown; near names are suggested.
    """
    base, spelled = split_name(name, {key: net.variations for key, net in NETS.items()})
    if base not in NETS:
        raise unknown(base, NETS)
    return NETS[base].vary({**spelled, **variations})


def depths(name: str) -> dict[int, str]:
    """Depth to name of the nets that differ from this one in depth alone; itself included."""
    own = NETS[info(name).name]
    rest = {key: value for key, value in own.arguments.items() if key != "depth"}
    return {
        net.arguments["depth"]: net.name
        for net in NETS.values()
        if net.builder == own.builder
        and net.arguments == {**rest, "depth": net.arguments.get("depth")}
    }
