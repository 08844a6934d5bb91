"""Plain and residual nets: variations, departures, result in the challenge, what was new."""

from dataclasses import replace

from keras_ilsvrc.nets.families import WIDTH
from keras_ilsvrc.nets.family import Family
from keras_ilsvrc.nets.variations import Choice, Number

ORDERS = ("original", "bn_after_add", "relu_before_add", "relu_preact", "full_preact")
# The last five are option A with the factors of He et al., arXiv:1603.05027, table 1.
SHORTCUTS = (
    *("A", "B", "C", "none"),
    *("constant_0.5", "constant_0.5_0.5", "exclusive_gating", "shortcut_gating", "dropout"),
)
MOVING_AVERAGES = (
    "batch normalisation uses moving averages with momentum 0.9; the authors computed its "
    "statistics over many images after training"
)


def first(value, values):
    """Return a choice of `values` in which `value` is the published one."""
    return Choice((value, *(other for other in values if other != value)))


RESNET = Family(
    "He et al., arXiv:1512.03385",
    2015,
    "resnet:resnet",
    {
        "shortcut": first("B", SHORTCUTS),
        "gate_bias": Number(-6.0, least=-10.0, below=0.5),
        "order": Choice(ORDERS),
        "batch_norm": Choice((True, False)),
        "width": WIDTH,
    },
    departures=(MOVING_AVERAGES,),
    place="2015: first with 3.57 % top-5 error (six nets)",
    news=(
        "identity shortcuts: layers learn what to add to their input",
        "152 layers, eight times VGG's depth, with fewer operations; 1202 layers on CIFAR-10",
        "showed the degradation problem: deeper plain nets have a higher training error",
    ),
)
PLAIN = replace(
    RESNET,
    variations={k: v for k, v in RESNET.variations.items() if k not in ("shortcut", "gate_bias")},
    place="not an entry: the baseline of the residual nets of 2015",
    news=(
        "VGG's stacks of 3x3, with strides instead of pools, and an average instead of fc6 and fc7",
        "batch normalisation after every convolution, so that gradients do not vanish",
        "even so, the deeper of two nets has the higher training error",
    ),
)
V1_5 = replace(
    RESNET,
    paper="He et al., arXiv:1512.03385, in torchvision's version",
    departures=(
        "bottlenecks have their stride in the 3x3 convolution; the authors' in the first 1x1",
        "pool1 is padded by 1; the authors' windows begin at the first pixel",
    ),
    place="not an entry: torchvision's version of the winner of 2015",
)
KERAS = replace(
    RESNET,
    paper="He et al., arXiv:1512.03385, in the version of keras.applications",
    departures=(
        "every convolution has a bias, which batch normalisation cancels",
        "pool1 is padded by 1; epsilon is 1.001e-5",
    ),
    place="not an entry: Keras' version of the winner of 2015",
)
V2 = Family(
    "He et al., arXiv:1603.05027",
    2016,
    "resnet:resnet",
    {**RESNET.variations, "order": first("full_preact", ORDERS)},
    departures=(MOVING_AVERAGES,),
    place="not an entry",
    news=(
        "BN and ReLU before the weight layers: the path from unit to unit is an identity",
        "the identity is the best of six shortcuts, full pre-activation the best of five orders",
        "nets of 1001 layers can be trained, and have a lower error than nets of 164",
    ),
)
V2_KERAS = replace(
    V2,
    paper="He et al., arXiv:1603.05027, in the version of keras.applications",
    departures=(
        "conv1 has a bias, but no BN or ReLU, so that zeros of the padding can be maxima in pool1",
        "the last unit of a stage has the stride, and its shortcut drops pixels",
        "shortcut projections and last convolutions have biases; epsilon is 1.001e-5",
    ),
)


def cifar(family, **published):
    """Return a family's version for CIFAR-10; `published` replaces defaults of variations."""
    variations = {
        key: first(published[key], choice.values) if key in published else choice
        for key, choice in family.variations.items()
    }
    return replace(
        family,
        builder="resnet:resnet_cifar",
        variations=variations,
        input_shape=(32, 32, 3),
        minimum=4,
        classes=10,
        place="not an entry: for CIFAR-10",
    )


def any_depth(family, least):
    """Return the family with the depth as a further argument of `build`, at least `least`."""
    depth = Number(None, least=least, whole=True)
    return replace(family, variations={"depth": depth, **family.variations})


CIFAR = cifar(RESNET, shortcut="A")
PLAIN_CIFAR = cifar(PLAIN)
CIFAR_V2 = cifar(V2, shortcut="A")
CIFAR_V2_BOTTLENECK = cifar(V2)
CIFAR_ANY_DEPTH = any_depth(CIFAR, 8)
CIFAR_V2_ANY_DEPTH = any_depth(CIFAR_V2_BOTTLENECK, 11)
