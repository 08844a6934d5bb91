"""Facts about LeNet-5: LeCun, Bottou, Bengio and Haffner 1998, Proceedings of the IEEE 86(11)."""

from dataclasses import replace

from keras_ilsvrc.nets.family import Family
from keras_ilsvrc.nets.printed import Line, Printed
from keras_ilsvrc.nets.variations import Choice

LENET = Family(
    "LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE 86",
    1998,
    "lenet:lenet5",
    space={"initial": ["he", "glorot", "paper"]},
    input_shape=(32, 32, 1),
    classes=10,
    fixed_size=True,
    place="not a challenge entry: fourteen years before AlexNet; used to read cheques",
    news=(
        "alternating convolutions and subsampling, trained end to end by back-propagation",
        "each kernel slides over the image: few weights, and the same response at every position",
        "from layer to layer, more feature maps of a smaller size",
    ),
)

# LeCun et al. 1998, section II.B: trainable parameters and connections of each layer.
SECTION_2B = {
    "c1": (156, 122_304),
    "s2": (12, 5_880),
    "c3": (1_516, 151_600),
    "s4": (32, 2_000),
    "c5": (48_120, 48_120),
    "f6": (10_164, 10_164),
    "": (60_000, 340_908),
}

NETS = {
    "lenet5": LENET.net(
        60_000,
        (0.95, None, "MNIST"),
        departures=(
            "can be trained with any optimizer; the authors used a stochastic diagonal "
            "Levenberg-Marquardt method",
        ),
    ),
    "lenet5_modern": replace(
        LENET,
        builder="lenet:lenet5_modern",
        variations={"activation": Choice(("tanh", "relu", "sigmoid"))},  # the paper uses only tanh
    ).net(
        61_706,
        departures=(
            "the simplified net usually called LeNet-5: C3 is an ordinary convolution, pools have "
            "no coefficients, and a softmax replaces the distances to drawn digits",
        ),
    ),
}


def _lines() -> list[Line]:
    return [
        Line(layer.upper() or "total", quantity, layer, f"{value:,}")
        for layer, values in SECTION_2B.items()
        for quantity, value in zip(("parameters", "connections"), values)
    ]


PRINTED = {"lenet5": Printed("section II.B", _lines)}
