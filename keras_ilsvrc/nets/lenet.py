"""Builders of LeNet-5 (LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE 86(11), 1998)."""

from keras import layers

from keras_ilsvrc.layers import RadialBasis, Subsampling2D, TableConv2D, parts, scaled_tanh
from keras_ilsvrc.utils.errors import InputError

# LeCun et al. 1998, table I. An X connects a feature map of layer S2 (row) to one of layer C3
# (column). The header has the last digit of each column's number.
TABLE_1 = (
    # 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
    "X . . . X X X . . X X X X . X X",
    "X X . . . X X X . . X X X X . X",
    "X X X . . . X X X . . X . X X X",
    ". X X X . . X X X X . . X . X X",
    ". . X X X . . X X X X . X X . X",
    ". . . X X X . . X X X X . X X X",
)
# LeCun et al. 1998, figure 3: the digits of the full ASCII set, copied from the authors' PDF, in
# which each digit is an image of 7x12 pixels. In the codes, ink (#) is +1 and paper (.) is -1.
FIGURE_3 = """
.#####.  ...##..  .#####.  #######  .#####.  .#####.  ..####.  #######  .#####.  .#####.
.......  ..###..  .......  .....##  .......  .......  .##....  .....##  ##...##  ##..###
..###..  .####..  .#####.  ....##.  .......  #######  ##.....  .....##  ##...##  ##...##
.##.##.  ...##..  ##...##  ...##..  .##..##  ##.....  ##.....  ....##.  ##...##  ##...##
##...##  ...##..  #....##  ..####.  .##..##  ##.....  ######.  ...##..  .#####.  ##..###
##...##  ...##..  ....##.  .....##  ###..##  .####..  ###..##  ...##..  ##...##  .######
##...##  ...##..  ..###..  .....##  ##...##  ..####.  ##...##  ..##...  ##...##  .....##
##...##  ...##..  .##....  .....##  ##...##  .....##  ##...##  ..##...  ##...##  .....##
.##.##.  ...##..  ##.....  ##...##  ##..###  ##...##  ###..##  ..##...  ##...##  ....##.
..###..  .######  #######  .#####.  .######  .#####.  .#####.  ..##...  .#####.  .####..
.......  .......  .......  .......  .....##  .......  .......  .......  .......  .......
.......  .......  .......  .......  .....##  .......  .......  .......  .......  .......
"""
# LeCun et al. 1998, appendix A: weights are uniform between -2.4 / fan-in and 2.4 / fan-in.
INITIAL = {"kernel": ("fan_in", 2.4), "bias": {}}

C3 = [
    [s2 for s2, row in enumerate(TABLE_1) if row.split()[c3] == "X"]
    for c3 in range(len(TABLE_1[0].split()))
]
CODES = [
    [
        1 if pixel == "#" else -1
        for row in FIGURE_3.split("\n")[1:-1]
        for pixel in row.split()[digit]
    ]
    for digit in range(10)
]


def lenet5(image, classes):
    """Return the output of LeNet-5's `RadialBasis` layer, or C5's maps if `classes` is None."""
    if classes not in (None, len(CODES)):
        raise InputError(
            f"lenet5 has ten codes, one per digit, but classes is {classes}: pass 10, or build "
            "lenet5_modern"
        )
    x = parts.conv(image, "conv5-6", "c1", scaled_tanh, padding="valid")
    x = Subsampling2D(scaled_tanh, parts.KERNEL_INITIALIZER, name="s2")(x)
    x = TableConv2D(C3, 5, scaled_tanh, parts.KERNEL_INITIALIZER, name="c3")(x)
    x = Subsampling2D(scaled_tanh, parts.KERNEL_INITIALIZER, name="s4")(x)
    x = parts.conv(x, "conv5-120", "c5", scaled_tanh, padding="valid")
    if classes is None:
        return x
    x = layers.Flatten(name="flatten")(x)
    x = parts.dense(x, 84, "f6", scaled_tanh)
    return RadialBasis(CODES, name="logits")(x)


def lenet5_modern(image, classes, activation="tanh"):
    """Return the logits of a simplified LeNet-5, or the feature maps of S4 if `classes` is None.

    C3 is an ordinary convolution, and S2 and S4 are average pools.
    """
    x = parts.conv(image, "conv5-6", "c1", activation, padding="valid")
    x = parts.pool(x, "avgpool2/2", "s2")
    x = parts.conv(x, "conv5-16", "c3", activation, padding="valid")
    x = parts.pool(x, "avgpool2/2", "s4")
    if classes is None:
        return x
    x = layers.Flatten(name="flatten")(x)
    x = parts.dense(x, 120, "c5", activation)
    x = parts.dense(x, 84, "f6", activation)
    return parts.dense(x, classes, "logits")
