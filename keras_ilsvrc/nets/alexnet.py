"""AlexNet: Krizhevsky, Sutskever and Hinton 2012, NIPS 25."""

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.layers import LocalResponseNormalization, parts

# fmt: off
# Section 3.5 and figure 2: the cell, in how many towers, normalised after it, pooled after it.
SECTION_3_5 = {
    "conv1": ("conv11/4-96", 1, True,  True),
    "conv2": ("conv5-256",   2, True,  True),
    "conv3": ("conv3-384",   1, False, False),
    "conv4": ("conv3-384",   2, False, False),
    "conv5": ("conv3-256",   2, False, True),
}
# Section 5: standard deviation of the kernels and, where it is not zero, the bias.
INITIAL = {
    "kernel": ("normal", 0.01),
    "bias": {"conv2": 1.0, "conv4": 1.0, "conv5": 1.0, "fc6": 1.0, "fc7": 1.0},
}
# fmt: on
SECTION_3_3 = {"size": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75}


def alexnet(
    image,
    classes,
    activation,
    pool,
    pool_kind,
    lrn,
    dropout,
    groups,
    conv1,
    width,
):
    """Image to the 6x6 maps of pool5, or to the logits of fc8 if `classes` is given."""
    x = image
    for name, (text, towers, normalised, pooled) in SECTION_3_5.items():
        cell = parts.Cell.parse(text)
        padding = "half"
        if name == "conv1":  # its last windows overhang at 224, as in the authors' code
            cell = parts.Cell.parse(f"conv{conv1}-{cell.filters}")
            padding = "ceil"
        cell = cell._replace(filters=round(cell.filters * width))
        towers = groups if towers == 2 else 1
        if cell.filters % towers or (lrn == "tower" and cell.filters % 2):
            raise InputError(f"width is {width}: {name} cannot halve {cell.filters} maps")
        x = parts.conv(x, cell, name, activation, padding=padding, groups=towers)
        number = name[-1]
        if normalised and lrn != "none":
            halves = 2 if lrn == "tower" else 1
            norm = LocalResponseNormalization(**SECTION_3_3, groups=halves, name=f"norm{number}")
            x = norm(x)
        if pooled:
            kind = {"max": "maxpool", "average": "avgpool"}[pool_kind]
            x = parts.pool(x, f"{kind}{pool}", f"pool{number}")
    if classes is None:
        return x
    units = round(4096 * width)
    return parts.fully_connected_head(x, classes, units, dropout, activation)
