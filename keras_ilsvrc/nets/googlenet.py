"""Builders of GoogLeNet (Szegedy et al., arXiv:1409.4842) and of torchvision's version of it."""

from functools import partial

from keras import layers

from keras_ilsvrc.layers import LocalResponseNormalization, parts
from keras_ilsvrc.nets.alexnet import CAFFE_LRN, SECTION_3_3
from keras_ilsvrc.utils.errors import InputError

# fmt: off
# Numbers of filters in each Inception module (Szegedy et al. 2014, table 1).
# Columns: #1x1  #3x3 reduce  #3x3  #5x5 reduce  #5x5  pool proj.
TABLE_1 = {
    "3a": (64,   96, 128,  16,  32,  32),
    "3b": (128, 128, 192,  32,  96,  64),
    "4a": (192,  96, 208,  16,  48,  64),
    "4b": (160, 112, 224,  24,  64,  64),
    "4c": (128, 128, 256,  24,  64,  64),
    "4d": (112, 144, 288,  32,  64,  64),
    "4e": (256, 160, 320,  32, 128, 128),
    "5a": (256, 160, 320,  32, 128, 128),
    "5b": (384, 192, 384,  48, 128, 128),
}
# fmt: on
POOL_AFTER = {"3b": "pool3", "4e": "pool4"}
# {module: auxiliary classifier that takes its output} (Szegedy et al. 2014, section 5).
AUXILIARY_AFTER = {"4a": "aux1", "4d": "aux2"}
# Average pooling of 5x5 windows with stride 3, at the start of auxiliary classifiers (section 5).
AVERAGE_5_3 = partial(layers.AveragePooling2D, 5, 3)
# The paper gives no LRN constants (figure 3). The values are those of Krizhevsky et al. 2012, or of
# Caffe's bvlc_googlenet.
LRN = {"alexnet": SECTION_3_3, "caffe": CAFFE_LRN}
BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-3}  # from torchvision; not in the paper


def inception(x, row, module="reduced", width=1.0, largest=5, batch_norm=None):
    """Apply an Inception module, or the layers that replace it.

    Args:
        x: Feature maps.
        row: Name of the module in `TABLE_1`.
        module: "reduced" for figure 2b of the paper. "naive" leaves out the 1x1 reductions and the
            pool projection (figure 2a). "serial" applies two 3x3 convolutions, one after the other.
            The second has as many filters as the module has output maps. The first has so many
            that both together need about as many multiply-adds as the module.
        width: Factor for all numbers of filters.
        largest: Kernel size of the branch called "5x5".
        batch_norm: Momentum and epsilon of batch normalisation, or None for no batch normalisation.
    """
    n1, n3_reduce, n3, n5_reduce, n5, proj = (max(1, round(n * width)) for n in TABLE_1[row])
    rows = (
        {"1x1": f"conv1-{n1}"},
        {"3x3_reduce": f"conv1-{n3_reduce}", "3x3": f"conv3-{n3}"},
        {"5x5_reduce": f"conv1-{n5_reduce}", "5x5": f"conv{largest}-{n5}"},
        {"pool": "maxpool3/1", "pool_proj": f"conv1-{proj}"},
    )
    if module == "naive":
        rows = [
            {key: cell for key, cell in cells.items() if not key.endswith(("_reduce", "_proj"))}
            for cells in rows
        ]
    if module == "serial":
        maps = n1 + n3 + n5 + proj
        macs = x.shape[-1] * (n1 + n3_reduce + n5_reduce + proj)
        macs += 3 * 3 * n3_reduce * n3 + largest**2 * n5_reduce * n5
        first = max(1, round(macs / (3 * 3 * (x.shape[-1] + maps))))
        cells = {"3x3_1": f"conv3-{first}", "3x3_2": f"conv3-{maps}"}
        return parts.chain(x, cells, f"inception_{row}", batch_norm=batch_norm)
    return parts.branches(x, rows, name=f"inception_{row}", batch_norm=batch_norm)


def auxiliary_classifier(x, classes, name, pool=AVERAGE_5_3, conv_norm=None, fc_norm=None):
    """Return the logits of an auxiliary classifier (section 5), with 70 % dropout."""
    if min(size or 5 for size in x.shape[1:3]) < 5:
        raise InputError(
            "auxiliary classifiers need feature maps of at least 5x5, but these are "
            f"{x.shape[1]}x{x.shape[2]}: use images of at least 79x79, or leave out auxiliary"
        )
    x = pool(name=f"{name}_pool")(x)
    x = parts.conv(x, "conv1-128", f"{name}_conv", "relu", conv_norm)
    x = layers.Flatten(name=f"{name}_flatten")(x)
    x = parts.dense(x, 1024, f"{name}_fc", "relu", fc_norm)
    x = layers.Dropout(0.7, name=f"{name}_drop")(x)
    return parts.dense(x, classes, f"{name}_logits")


def modules(x, classes, auxiliary, classifier, pool4="maxpool3/2", dropout=0.4, **options):
    """Apply GoogLeNet's Inception modules 3a to 5b and its classifiers.

    Returns:
        The logits, or the 7x7 feature maps of 5b if `classes` is None. If `auxiliary` is True, a
        dict with the logits of each classifier.
    """
    logits = {}
    for row in TABLE_1:
        x = inception(x, row, **options)
        if auxiliary and classes and row in AUXILIARY_AFTER:
            name = AUXILIARY_AFTER[row]
            logits[name] = classifier(x, classes, name)
        if row in POOL_AFTER:
            cell = pool4 if row == "4e" else "maxpool3/2"
            x = parts.pool(x, cell, POOL_AFTER[row], "ceil")
    if classes is None:
        return x
    main = parts.average_head(x, classes, dropout)
    return {"predictions": main, **logits} if auxiliary else main


def googlenet(image, classes, auxiliary, auxiliary_bn, module, lrn, width):
    """Return the logits, or the 7x7 feature maps of module 5b if `classes` is None.

    If `auxiliary` is True, return a dict with the logits of the net and its auxiliary classifiers.
    """
    if auxiliary_bn and not auxiliary:
        raise InputError("auxiliary_bn needs auxiliary classifiers: pass auxiliary=True too")
    maps, maps_reduce, maps_out = (max(1, round(n * width)) for n in (64, 64, 192))
    x = parts.conv(image, f"conv7/2-{maps}", "conv1", "relu")
    x = parts.pool(x, "maxpool3/2", "pool1", "ceil")
    x = LocalResponseNormalization(**LRN[lrn], name="norm1")(x)
    x = parts.conv(x, f"conv1-{maps_reduce}", "conv2_reduce", "relu")
    x = parts.conv(x, f"conv3-{maps_out}", "conv2", "relu")
    x = LocalResponseNormalization(**LRN[lrn], name="norm2")(x)
    x = parts.pool(x, "maxpool3/2", "pool2", "ceil")
    norm = BATCH_NORM if auxiliary_bn else None
    classifier = partial(auxiliary_classifier, conv_norm=norm, fc_norm=norm)
    return modules(x, classes, auxiliary, classifier, module=module, width=width)


def googlenet_bn(image, classes, auxiliary):
    """Return the logits of torchvision's GoogLeNet, or the maps of 5b if `classes` is None.

    This version has BN, 3x3 instead of 5x5 convolutions, a 2x2 pool4 and a dropout rate of 0.2.
    """
    x = parts.conv(image, "conv7/2-64", "conv1", "relu", BATCH_NORM)
    x = parts.pool(x, "maxpool3/2", "pool1", "ceil")
    x = parts.conv(x, "conv1-64", "conv2_reduce", "relu", BATCH_NORM)
    x = parts.conv(x, "conv3-192", "conv2", "relu", BATCH_NORM)
    x = parts.pool(x, "maxpool3/2", "pool2", "ceil")
    pool = partial(layers.AdaptiveAveragePooling2D, 4)
    classifier = partial(auxiliary_classifier, pool=pool, conv_norm=BATCH_NORM)
    return modules(
        x, classes, auxiliary, classifier, "maxpool2/2", 0.2, largest=3, batch_norm=BATCH_NORM
    )
