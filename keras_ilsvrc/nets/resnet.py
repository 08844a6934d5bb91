"""Plain and residual nets: He et al., arXiv:1512.03385."""

from keras import layers

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.layers import ResidualUnit, parts
from keras_ilsvrc.layers.residual import FIGURE_4

# fmt: off
# Table 1: the unit, and how many of it in conv2_x ... conv5_x.
TABLE_1 = {
    18:  ("basic",      (2, 2,  2, 2)),
    34:  ("basic",      (3, 4,  6, 3)),
    50:  ("bottleneck", (3, 4,  6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}
# Figure 5. The stride stands in a bottleneck's first 1x1, as in the authors' release.
UNITS = {
    "basic":      "conv3/{stride}-{maps} conv3-{maps}",
    "bottleneck": "conv1/{stride}-{maps} conv3-{maps} conv1-{wide}",
}
# fmt: on
IMAGENET_MAPS = (64, 128, 256, 512)
CIFAR_MAPS = (16, 32, 64)  # section 4.2
BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}
# Section 3.4: as in He et al., arXiv:1502.01852, equation 10.
INITIAL = {"kernel": ("he_normal",), "bias": {}}


def stages(x, unit, counts, maps, shortcut, order, batch_norm):
    """conv2_x and on: every stage but the first halves the size in its first unit."""
    for stage, (count, filters) in enumerate(zip(counts, maps), 2):
        for number in range(1, count + 1):
            stride = 2 if number == 1 and stage > 2 else 1
            x = ResidualUnit(
                UNITS[unit].format(stride=stride, maps=filters, wide=4 * filters),
                shortcut,
                order,
                activated=stage == 2 and number == 1,
                batch_norm=batch_norm,
                name=f"conv{stage}_{number}",
            )(x)
    for step in FIGURE_4[order].before.split():  # as before a layer, though none follows
        if step == "relu":
            x = layers.Activation("relu", name="last_relu")(x)
        elif batch_norm:
            x = layers.BatchNormalization(**batch_norm, name="last_bn")(x)
    return x


def resnet(image, classes, depth, shortcut, order, batch_norm, width):
    """Image to the 7x7 maps of conv5_x, or to logits if `classes` is given."""
    constants = BATCH_NORM if batch_norm else None
    maps = [max(1, round(filters * width)) for filters in IMAGENET_MAPS]
    x = parts.conv(image, f"conv7/2-{maps[0]}", "conv1", "relu", constants)
    x = parts.pool(x, "maxpool3/2", "pool1", "ceil")
    x = stages(x, *TABLE_1[depth], maps, shortcut, order, constants)
    return x if classes is None else parts.average_head(x, classes)


def resnet_cifar(image, classes, depth, shortcut, order, batch_norm, width):
    """Section 4.2: 6n + 2 layers of 3x3 on 32x32 images, to 8x8 maps or to logits."""
    if depth < 8 or (depth - 2) % 6:
        raise InputError(f"depth is {depth}; expected 6n + 2, as 20, 32, 44, 56 or 110")
    constants = BATCH_NORM if batch_norm else None
    maps = [max(1, round(filters * width)) for filters in CIFAR_MAPS]
    x = parts.conv(image, f"conv3-{maps[0]}", "conv1", "relu", constants)
    counts = ((depth - 2) // 6,) * 3
    x = stages(x, "basic", counts, maps, shortcut, order, constants)
    return x if classes is None else parts.average_head(x, classes)
