"""Builders of plain and residual nets (He et al., arXiv:1512.03385 and arXiv:1603.05027)."""

from typing import NamedTuple

from keras import layers

from keras_ilsvrc.layers import BatchNormalization, ResidualUnit, parts
from keras_ilsvrc.layers.residual import FIGURE_4, PUBLISHED_GATE
from keras_ilsvrc.utils.errors import InputError

# fmt: off
# He et al. 2015, table 1: for each depth, the kind of unit, and the number of units in each of the
# stages conv2_x to conv5_x. Depth 200 is from He et al. 2016.
TABLE_1 = {
    18:  ("basic",      (2,  2,  2, 2)),
    34:  ("basic",      (3,  4,  6, 3)),
    50:  ("bottleneck", (3,  4,  6, 3)),
    101: ("bottleneck", (3,  4, 23, 3)),
    152: ("bottleneck", (3,  8, 36, 3)),
    200: ("bottleneck", (3, 24, 36, 3)),
}
# He et al. 2015, figure 5: convolutions of a unit. Each `Variant` has one of the two bottlenecks.
UNITS = {
    "basic":           "conv3/{stride}-{maps} conv3-{maps}",
    "bottleneck":      "conv1/{stride}-{maps} conv3-{maps} conv1-{wide}",
    "bottleneck_3x3":  "conv1-{maps} conv3/{stride}-{maps} conv1-{wide}",
}
IMAGENET_MAPS = (64, 128, 256, 512)
CIFAR_MAPS = (16, 32, 64)  # in the three stages of nets for CIFAR-10 (He et al. 2015, section 4.2)
# fmt: on
BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}  # epsilon as in Caffe; the papers give no momentum
KERAS_BATCH_NORM = {"momentum": 0.99, "epsilon": 1.001e-5}
# He et al. 2015, section 3.4: initial weights are drawn as in equation 10 of arXiv:1502.01852.
INITIAL = {"kernel": ("he",), "bias": {}}


class Variant(NamedTuple):
    """Settings that distinguish one published version of the residual nets from the others."""

    bottleneck: str  # key of the bottleneck unit in UNITS
    pool1: str  # padding of pool1
    batch_norm: dict[str, float]
    use_bias: bool | str | None = None  # `use_bias` of `ResidualUnit`
    stem_norm: bool = True  # whether BN and ReLU follow conv1
    stride_last: bool = False  # whether the last unit of a stage, not the first, has stride 2


FORMS = {
    "authors": Variant("bottleneck", "ceil", BATCH_NORM),
    "v1_5": Variant("bottleneck_3x3", "half", BATCH_NORM),  # as in torchvision and He et al. 2016
    "keras": Variant("bottleneck", "half", KERAS_BATCH_NORM, use_bias=True),
    "keras_v2": Variant(
        "bottleneck_3x3", "half", KERAS_BATCH_NORM, "bare", stem_norm=False, stride_last=True
    ),
}


def stages(x, unit, counts, maps, variant, unit_options):
    """Apply all stages of residual units, conv2_x and so on. The map size halves between stages."""
    order, norm = unit_options["order"], unit_options["batch_norm"]
    for stage, (count, filters) in enumerate(zip(counts, maps), 2):
        last = stage == len(counts) + 1
        for number in range(1, count + 1):
            if variant.stride_last:
                strided = number == count and not last
            else:
                strided = number == 1 and stage > 2
            x = ResidualUnit(
                UNITS[unit].format(stride=2 if strided else 1, maps=filters, wide=4 * filters),
                activated=stage == 2 and number == 1 and variant.stem_norm,
                use_bias=variant.use_bias,
                **unit_options,
                name=f"conv{stage}_{number}",
            )(x)
    for step in FIGURE_4[order].before.split():  # pre-activation nets end with BN and ReLU
        if step == "relu":
            x = layers.Activation("relu", name="last_relu")(x)
        elif norm:
            x = BatchNormalization(**norm, name="last_bn")(x)
    return x


def options_of_units(variant, shortcut, gate_bias, order, batch_norm):
    """Return the arguments of `ResidualUnit` that all units of a net share."""
    if gate_bias != PUBLISHED_GATE and "gating" not in shortcut:
        raise InputError(
            f"gate_bias is {gate_bias}, but shortcut {shortcut!r} has no gate: leave out "
            "gate_bias, or pass shortcut 'exclusive_gating' or 'shortcut_gating'"
        )
    return {
        "shortcut": shortcut,
        "gate_bias": gate_bias,
        "order": order,
        "batch_norm": variant.batch_norm if batch_norm else None,
    }


def resnet(image, classes, depth, form, shortcut, gate_bias, order, batch_norm, width, pool1=None):
    """Return the logits of an ImageNet net, or the 7x7 maps of conv5_x if `classes` is None."""
    variant = FORMS[form]
    options = options_of_units(variant, shortcut, gate_bias, order, batch_norm)
    norm = options["batch_norm"]
    maps = [max(1, round(filters * width)) for filters in IMAGENET_MAPS]
    x = parts.conv(
        image,
        f"conv7/2-{maps[0]}",
        "conv1",
        "relu" if variant.stem_norm else None,
        norm if variant.stem_norm else None,
        use_bias=True if variant.use_bias else None,
    )
    x = parts.pool(x, "maxpool3/2", "pool1", pool1 or variant.pool1)
    unit, counts = TABLE_1[depth]
    unit = variant.bottleneck if unit == "bottleneck" else unit
    x = stages(x, unit, counts, maps, variant, options)
    return x if classes is None else parts.average_head(x, classes)


def resnet_cifar(image, classes, depth, unit, shortcut, gate_bias, order, batch_norm, width):
    """Return the logits of a CIFAR-10 net, or its 8x8 feature maps if `classes` is None.

    The net has three stages (He et al. 2015, section 4.2). Its depth is 6n + 2 with basic units,
    and 9n + 2 with bottlenecks (He et al. 2016, section 3.1).
    """
    layers_per_unit = len(UNITS[unit].split())
    count, rest = divmod(depth - 2, 3 * layers_per_unit)
    if rest or count < 1:
        near = [3 * layers_per_unit * n + 2 for n in (1, 2, 3)]
        raise InputError(
            f"depth is {depth}; expected {3 * layers_per_unit}n + 2 with {unit} units, for example "
            f"{near[0]}, {near[1]} or {near[2]}"
        )
    variant = FORMS["authors"]
    options = options_of_units(variant, shortcut, gate_bias, order, batch_norm)
    maps = [max(1, round(filters * width)) for filters in CIFAR_MAPS]
    x = parts.conv(image, f"conv3-{maps[0]}", "conv1", "relu", options["batch_norm"])
    x = stages(x, unit, (count,) * 3, maps, variant, options)
    return x if classes is None else parts.average_head(x, classes)
