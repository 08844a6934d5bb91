"""What the plain and residual nets share: where they stand, what they varied, what was new."""

from dataclasses import replace

from keras_ilsvrc.nets.families import WIDTH
from keras_ilsvrc.nets.family import Family
from keras_ilsvrc.nets.variations import Choice, Number

ORDERS = ("original", "bn_after_add", "relu_before_add", "relu_preact", "full_preact")
# The last five multiply option A as in He et al., arXiv:1603.05027, table 1.
SHORTCUTS = (
    *("A", "B", "C", "none"),
    *("constant_0.5", "constant_0.5_0.5", "exclusive_gating", "shortcut_gating", "dropout"),
)
MOVING_AVERAGES = (
    "the statistics of batch normalisation are moving averages of momentum 0.9; the authors "
    "measured them over many images after training"
)


def first(value, values):
    """A choice in which `value` is the published one."""
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
    place="2015: first with 3.57 % top-5 (six nets)",
    news=(
        "identity shortcuts: layers learn what to add to their input",
        "152 layers, eight times VGG's depth, at fewer operations; 1202 on CIFAR-10",
        "showed degradation: deeper plain nets have the higher training error",
    ),
)
PLAIN = replace(
    RESNET,
    variations={k: v for k, v in RESNET.variations.items() if k not in ("shortcut", "gate_bias")},
    place="not an entry: what the residual nets of 2015 are compared with",
    news=(
        "VGG's 3x3 stacks with strides for pools, and one average in place of fc6 and fc7",
        "batch normalisation behind every convolution, so that gradients do not vanish",
        "and still the deeper of two has the higher training error",
    ),
)
V1_5 = replace(
    RESNET,
    paper="He et al., arXiv:1512.03385, as torchvision has it",
    departures=(
        "strides of bottlenecks stand in the 3x3; the authors' in the first 1x1",
        "pool1 is padded by 1; the authors' windows begin at the first pixel",
    ),
    place="not an entry: torchvision's re-make of the winner of 2015",
)
KERAS = replace(
    RESNET,
    paper="He et al., arXiv:1512.03385, as keras.applications has it",
    departures=(
        "every convolution has a bias, which batch normalisation makes idle",
        "pool1 is padded by 1; epsilon is 1.001e-5",
    ),
    place="not an entry: Keras' re-make of the winner of 2015",
)
V2 = Family(
    "He et al., arXiv:1603.05027",
    2016,
    "resnet:resnet",
    {**RESNET.variations, "order": first("full_preact", ORDERS)},
    departures=(MOVING_AVERAGES,),
    place="not an entry",
    news=(
        "BN and ReLU before the weights: nothing stands on the way from unit to unit",
        "identity is the best of six shortcuts, full pre-activation of five orders",
        "1001 layers train, and are better than 164",
    ),
)
V2_KERAS = replace(
    V2,
    paper="He et al., arXiv:1603.05027, as keras.applications has it",
    departures=(
        "conv1 has a bias, no BN and no ReLU, so that zeros can win in pool1",
        "strides stand in the last unit of a stage, whose shortcut drops pixels",
        "shortcut projections and last convolutions have biases; epsilon is 1.001e-5",
    ),
)


def cifar(family, **published):
    """The same nets on 32x32 images, with another published value of what can be varied."""
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
    """A family whose depth is an argument."""
    depth = Number(None, least=least, whole=True)
    return replace(family, variations={"depth": depth, **family.variations})


CIFAR = cifar(RESNET, shortcut="A")
PLAIN_CIFAR = cifar(PLAIN)
CIFAR_V2 = cifar(V2, shortcut="A")
CIFAR_V2_BOTTLENECK = cifar(V2)
CIFAR_ANY_DEPTH = any_depth(CIFAR, 8)
CIFAR_V2_ANY_DEPTH = any_depth(CIFAR_V2_BOTTLENECK, 11)
