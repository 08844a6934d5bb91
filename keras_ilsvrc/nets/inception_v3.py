"""Builder of Inception-v3 (Szegedy et al., arXiv:1512.00567), as the authors released it.

The released net has a 1x1 convolution to 80 maps and a second pool, which table 1 of the paper
lacks.
"""

from keras import layers

from keras_ilsvrc.layers import parts
from keras_ilsvrc.utils.errors import InputError

# fmt: off
# Layers before the first Inception module: (layer in the papers' notation, padding).
STEM = {
    "conv1a": ("conv3/2-32",  "valid"),
    "conv2a": ("conv3-32",    "valid"),
    "conv2b": ("conv3-64",    "half"),
    "pool3a": ("maxpool3/2",  "valid"),
    "conv3b": ("conv1-80",    "valid"),
    "conv4a": ("conv3-192",   "valid"),
    "pool5a": ("maxpool3/2",  "valid"),
}
# fmt: on
# {version: (BN momentum, padding of average pools, dropout rate)}. The paper does not give the BN
# momentum.
FORMS = {
    "tensorflow": (0.99, "half", 0.2),
    "torchvision": (0.9, 1, 0.5),
}


def figure_5(x, name, projected, **options):
    """Apply the Inception module for 35x35 maps: two 3x3 convolutions replace a 5x5 convolution.

    The released net also has a branch with a 5x5 convolution.
    """
    rows = (
        {"1x1": "conv1-64"},
        {"5x5_reduce": "conv1-48", "5x5": "conv5-64"},
        {
            "double_3x3_reduce": "conv1-64",
            "double_3x3_1": "conv3-96",
            "double_3x3_2": "conv3-96",
        },
        {"pool": "avgpool3/1", "pool_proj": f"conv1-{projected}"},
    )
    return parts.branches(x, rows, name, **options)


def figure_6(x, name, maps, **options):
    """Apply the Inception module for 17x17 maps, with 1x7 and 7x1 instead of 7x7 convolutions."""
    rows = (
        {"1x1": "conv1-192"},
        {"7x7_reduce": f"conv1-{maps}", "1x7": f"conv1x7-{maps}", "7x1": "conv7x1-192"},
        {
            "double_7x7_reduce": f"conv1-{maps}",
            "double_7x1_1": f"conv7x1-{maps}",
            "double_1x7_1": f"conv1x7-{maps}",
            "double_7x1_2": f"conv7x1-{maps}",
            "double_1x7_2": "conv1x7-192",
        },
        {"pool": "avgpool3/1", "pool_proj": "conv1-192"},
    )
    return parts.branches(x, rows, name, **options)


def figure_7(x, name, **options):
    """Apply the Inception module for 8x8 maps, with 1x3 and 3x1 convolutions in parallel."""
    trunks = {
        "3x3": {"3x3_reduce": "conv1-384"},
        "double_3x3": {"double_3x3_reduce": "conv1-448", "double_3x3": "conv3-384"},
    }
    maps = [parts.chain(x, {"1x1": "conv1-320"}, name, **options)]
    for key, cells in trunks.items():
        trunk = parts.chain(x, cells, name, **options)
        for side in ("1x3", "3x1"):
            cell = {f"{key}_{side}": f"conv{side}-384"}
            maps.append(parts.chain(trunk, cell, name, **options))
    maps.append(parts.chain(x, {"pool": "avgpool3/1", "pool_proj": "conv1-192"}, name, **options))
    return layers.Concatenate(name=name)(maps)


def figure_10(x, name, rows, **options):
    """Halve the map size with parallel branches of convolutions and a pool, each with stride 2."""
    return parts.branches(x, (*rows, {"pool": "maxpool3/2"}), name, strided="valid", **options)


# Convolution branches of the modules that halve the map size, from 35x35 to 17x17 and then to 8x8.
MIXED_6A = (
    {"3x3": "conv3/2-384"},
    {"double_3x3_reduce": "conv1-64", "double_3x3_1": "conv3-96", "double_3x3_2": "conv3/2-96"},
)
MIXED_7A = (
    {"3x3_reduce": "conv1-192", "3x3": "conv3/2-320"},
    {
        "7x7x3_reduce": "conv1-192",
        "7x7x3_1x7": "conv1x7-192",
        "7x7x3_7x1": "conv7x1-192",
        "7x7x3_3x3": "conv3/2-192",
    },
)


def auxiliary_classifier(x, classes, batch_norm):
    """Return the logits of the auxiliary classifier, computed from the last 17x17 feature maps."""
    if min(size or 17 for size in x.shape[1:3]) < 17:
        raise InputError(
            "the auxiliary classifier needs feature maps of at least 17x17, but these are "
            f"{x.shape[1]}x{x.shape[2]}: use images of at least 299x299, or leave out auxiliary"
        )
    x = parts.pool(x, "avgpool5/3", "aux_pool")
    x = parts.conv(x, "conv1-128", "aux_conv1", "relu", batch_norm)
    x = parts.conv(x, "conv5-768", "aux_conv2", "relu", batch_norm, padding="valid")
    x = layers.GlobalAveragePooling2D(name="aux_average")(x)
    return parts.dense(x, classes, "aux_logits")


def inception_v3(image, classes, auxiliary, form):
    """Return the logits, or the 8x8 feature maps of module 7c if `classes` is None.

    If `auxiliary` is True, return a dict with the logits of the net and its auxiliary classifier.
    """
    momentum, border, dropout = FORMS[form]
    norm = {"momentum": momentum, "epsilon": 1e-3}
    options = {"batch_norm": norm, "border": border}
    x = image
    for name, (cell, padding) in STEM.items():
        if name.startswith("pool"):
            x = parts.pool(x, cell, name, padding)
        else:
            x = parts.conv(x, cell, name, "relu", norm, padding)
    for name, projected in (("mixed_5b", 32), ("mixed_5c", 64), ("mixed_5d", 64)):
        x = figure_5(x, name, projected, **options)
    x = figure_10(x, "mixed_6a", MIXED_6A, **options)
    for name, maps in (("mixed_6b", 128), ("mixed_6c", 160), ("mixed_6d", 160), ("mixed_6e", 192)):
        x = figure_6(x, name, maps, **options)
    logits = {}
    if auxiliary and classes:
        logits["aux"] = auxiliary_classifier(x, classes, norm)
    x = figure_10(x, "mixed_7a", MIXED_7A, **options)
    for name in ("mixed_7b", "mixed_7c"):
        x = figure_7(x, name, **options)
    if classes is None:
        return x
    main = parts.average_head(x, classes, dropout)
    return {"predictions": main, **logits} if auxiliary else main
