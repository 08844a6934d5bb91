"""Builder of the VGG nets A to E (Simonyan and Zisserman, arXiv:1409.1556v6)."""

from keras_ilsvrc.layers import LocalResponseNormalization, parts

# fmt: off
# Convolutions of each net by stage (Simonyan and Zisserman 2014, table 1), in the table's notation
# conv<kernel>-<filters>. A max pool follows every stage.
TABLE_1 = {
    "A": ("conv3-64", "conv3-128", "conv3-256 conv3-256",
          "conv3-512 conv3-512", "conv3-512 conv3-512"),
    "A-LRN": ("conv3-64 LRN", "conv3-128", "conv3-256 conv3-256",
              "conv3-512 conv3-512", "conv3-512 conv3-512"),
    "B": ("conv3-64 conv3-64", "conv3-128 conv3-128", "conv3-256 conv3-256",
          "conv3-512 conv3-512", "conv3-512 conv3-512"),
    "C": ("conv3-64 conv3-64", "conv3-128 conv3-128", "conv3-256 conv3-256 conv1-256",
          "conv3-512 conv3-512 conv1-512", "conv3-512 conv3-512 conv1-512"),
    "D": ("conv3-64 conv3-64", "conv3-128 conv3-128", "conv3-256 conv3-256 conv3-256",
          "conv3-512 conv3-512 conv3-512", "conv3-512 conv3-512 conv3-512"),
    "E": ("conv3-64 conv3-64", "conv3-128 conv3-128", "conv3-256 conv3-256 conv3-256 conv3-256",
          "conv3-512 conv3-512 conv3-512 conv3-512", "conv3-512 conv3-512 conv3-512 conv3-512"),
    # Section 4.1 of the paper: net B with one 5x5 convolution instead of each pair of 3x3
    # convolutions.
    "B-5x5": ("conv5-64", "conv5-128", "conv5-256", "conv5-512", "conv5-512"),
}
# fmt: on
# The VGG paper (section 2.1) uses the LRN constants of Krizhevsky et al. 2012.
LRN = {"size": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75}
BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}  # from torchvision; not in the paper
# Section 3.1 of the paper: initial kernels have variance 1e-2, a standard deviation of 0.1.
INITIAL = {"kernel": ("normal", 0.1), "bias": {}}


def vgg(image, classes, configuration, batch_norm, activation, width):
    """Return the logits of a VGG net, or the 7x7 maps of pool5 if `classes` is None."""
    x = image
    constants = BATCH_NORM if batch_norm else None
    for stage, row in enumerate(TABLE_1[configuration], 1):
        for number, cell in enumerate(row.split(), 1):
            if cell == "LRN":
                x = LocalResponseNormalization(**LRN, name=f"norm{stage}")(x)
            else:  # as in torchvision, convolutions before batch normalisation have biases
                cell, name = parts.Cell.parse(cell).widened(width), f"conv{stage}_{number}"
                x = parts.conv(x, cell, name, activation, constants, use_bias=True)
        x = parts.pool(x, "maxpool2/2", f"pool{stage}")
    if classes is None:
        return x
    units = max(1, round(4096 * width))
    return parts.fully_connected_head(x, classes, (units, units), activation=activation)
