"""Builder of CNDS-8 (Wang, Lee, Tu and Lazebnik, arXiv:1505.02496), as the authors released it."""

from keras import layers

from keras_ilsvrc.layers import parts
from keras_ilsvrc.nets.googlenet import BATCH_NORM
from keras_ilsvrc.utils.errors import InputError

# fmt: off
# Convolutions and pool of each stage. Pools round the number of windows up, as Caffe does.
STAGES = (
    ("conv7/2-64",          "maxpool3/2"),
    ("conv3-128",           "maxpool2/2"),
    ("conv3-256 conv3-256", "maxpool2/2"),
    ("conv3-512 conv3-512", "maxpool2/2"),
    ("conv3-512 conv3-512", "maxpool2/2"),
)
# fmt: on
# The auxiliary branch follows this layer, where the authors measured gradients below 1e-7.
BRANCH_AFTER = "conv3_2"
# Initial values of the released net; biases that are not listed start at zero.
INITIAL = {
    "kernel": ("normal", 0.01),
    "bias": {
        "conv1": 0.5,
        **dict.fromkeys(("conv2", "conv3_1", "conv3_2", "conv4_1", "conv4_2"), 0.1),
        **dict.fromkeys(("conv5_1", "conv5_2"), 0.1),
        **dict.fromkeys(("fc6", "fc7"), 1.0),
    },
}


def branch(x, classes, width=1.0, batch_norm=None):
    """Return the logits of the auxiliary branch, whose 1x1 convolution has no ReLU.

    `batch_norm` is a dict with the momentum and epsilon of batch normalisation, or None for no
    batch normalisation.
    """
    x = parts.pool(x, "avgpool5/2", "aux_pool", "ceil")
    cell = parts.Cell.parse("conv1-64").widened(width)
    x = parts.conv(x, cell, "aux_conv", batch_norm=batch_norm)
    x = layers.Flatten(name="aux_flatten")(x)
    units = max(1, round(1024 * width))
    for number in (6, 7):
        x = parts.dense(x, units, f"aux_fc{number}", "relu", batch_norm)
        x = layers.Dropout(0.5, name=f"aux_drop{number}")(x)
    return parts.dense(x, classes, "aux_logits")


def cnds8(image, classes, auxiliary, auxiliary_bn, width):
    """Return the logits, or the 4x4 feature maps of pool5 if `classes` is None.

    If `auxiliary` is True, return a dict with the logits of the net and of the auxiliary branch.
    """
    if auxiliary_bn and not auxiliary:
        raise InputError("auxiliary_bn needs the auxiliary branch: pass auxiliary=True too")
    norm = BATCH_NORM if auxiliary_bn else None
    x, supervised = image, {}
    for stage, (cells, pool) in enumerate(STAGES, 1):
        several = " " in cells
        for number, cell in enumerate(cells.split(), 1):
            name = f"conv{stage}_{number}" if several else f"conv{stage}"
            cell = parts.Cell.parse(cell).widened(width)
            x = parts.conv(x, cell, name, "relu", padding=1 if stage == 1 else "half")
            if name == BRANCH_AFTER and auxiliary and classes:
                supervised["aux"] = branch(x, classes, width, norm)
        x = parts.pool(x, pool, f"pool{stage}", "ceil")
    if classes is None:
        return x
    units = max(1, round(4096 * width))
    main = parts.fully_connected_head(x, classes, (units, units))
    return {"predictions": main, **supervised} if auxiliary else main
