"""Builders of AlexNet (Krizhevsky, Sutskever and Hinton, NIPS 25) and of two later versions."""

from keras_ilsvrc.layers import parts
from keras_ilsvrc.utils.errors import InputError

# fmt: off
# Convolutions of AlexNet (Krizhevsky et al. 2012, section 3.5 and figure 2). Columns: convolution,
# number of towers, layers after its ReLU.
SECTION_3_5 = {
    "conv1": ("conv11/4-96", 1, "norm pool"),
    "conv2": ("conv5-256",   2, "norm pool"),
    "conv3": ("conv3-384",   1, ""),
    "conv4": ("conv3-384",   2, ""),
    "conv5": ("conv3-256",   2, "pool"),
}
# Convolutions of Caffe's bvlc_reference_caffenet, in which pooling comes before normalisation.
CAFFENET_TABLE = {
    "conv1": ("conv11/4-96", 1, "pool norm"),
    "conv2": ("conv5-256",   2, "pool norm"),
    "conv3": ("conv3-384",   1, ""),
    "conv4": ("conv3-384",   2, ""),
    "conv5": ("conv3-256",   2, "pool"),
}
# Convolutions of the one-GPU model (Krizhevsky 2014, arXiv:1404.5997), in torchvision's version.
ONE_WEIRD_TRICK_TABLE = {
    "conv1": ("conv11/4-64", 1, "pool"),
    "conv2": ("conv5-192",   1, "pool"),
    "conv3": ("conv3-384",   1, ""),
    "conv4": ("conv3-256",   1, ""),
    "conv5": ("conv3-256",   1, "pool"),
}
# Initial values in Krizhevsky et al. 2012, section 5: the standard deviation of all kernels, and
# the biases that do not start at zero.
INITIAL = {
    "kernel": ("normal", 0.01),
    "bias": {"conv2": 1.0, "conv4": 1.0, "conv5": 1.0, "fc6": 1.0, "fc7": 1.0},
}
# fmt: on
SECTION_3_3 = {"size": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75}
CAFFE_LRN = {"size": 5, "k": 1.0, "alpha": 1e-4 / 5, "beta": 0.75}  # Caffe divides alpha by size
LRN = {  # {value of the variation `lrn`: arguments of local response normalisation}
    "all": SECTION_3_3,
    "tower": {**SECTION_3_3, "groups": 2},
    "none": None,
    "caffe": CAFFE_LRN,  # as in Caffe's bvlc_alexnet
}


def alexnet(
    image, classes, activation, pool, pool_kind, lrn, dropout, groups, conv1, conv3_5, width
):
    """Return AlexNet's logits, or the 6x6 feature maps of pool5 if `classes` is None."""
    table = {}
    cells = dict(zip(("conv3", "conv4", "conv5"), (f"conv3-{maps}" for maps in conv3_5.split("-"))))
    cells["conv1"] = f"conv{conv1}-96"
    for name, (text, published_towers, follow) in SECTION_3_5.items():
        cell = parts.Cell.parse(cells.get(name, text)).widened(width)
        towers = min(published_towers, groups)
        if cell.filters % towers or (lrn == "tower" and cell.filters % 2):
            raise InputError(
                f"width is {width}, so that {name} has {cell.filters} maps; expected a width that "
                "gives an even number of maps"
            )
        table[name] = cell, towers, follow
    x = parts.column(
        image,
        table,
        pool_cell={"max": "maxpool", "average": "avgpool"}[pool_kind] + pool,
        activation=activation,
        lrn=LRN[lrn],
        # For images of 224x224 pixels, the last windows of conv1 extend beyond the image, as in the
        # authors' code.
        padding={"conv1": "ceil"},
    )
    if classes is None:
        return x
    units = round(4096 * width)
    return parts.fully_connected_head(x, classes, (units, units), dropout, activation)


def caffenet(image, classes):
    """Return CaffeNet's logits, or the feature maps of pool5 if `classes` is None.

    The feature maps are 6x6 for images of 227x227 pixels.
    """
    x = parts.column(image, CAFFENET_TABLE, lrn=CAFFE_LRN, padding={"conv1": "valid"}, ceil=True)
    return x if classes is None else parts.fully_connected_head(x, classes)


def alexnet_owt(image, classes):
    """Return the one-GPU AlexNet's logits (arXiv:1404.5997), or pool5's maps if `classes` is None.

    Dropout precedes fc6 and fc7 in this net; in AlexNet and CaffeNet, it follows them.
    """
    x = parts.column(image, ONE_WEIRD_TRICK_TABLE, padding={"conv1": 2})
    return x if classes is None else parts.fully_connected_head(x, classes, drop_first=True)
