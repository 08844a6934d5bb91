"""Builder of BN-Inception (Ioffe and Szegedy, arXiv:1502.03167)."""

from keras_ilsvrc.layers import parts

# fmt: off
# Ioffe and Szegedy 2015, figure 5: filters and pool of each module. Modules without a 1x1 branch
# have stride 2, and no projection (1x1 convolution) after the pool.
# Columns: #1x1  #3x3 reduce  #3x3  double #3x3 reduce  double #3x3  pool  proj.
FIGURE_5 = {
    "3a": (64,   64,  64,  64,  96, "avg",  32),
    "3b": (64,   64,  96,  64,  96, "avg",  64),
    "3c": (0,   128, 160,  64,  96, "max",   0),
    "4a": (224,  64,  96,  96, 128, "avg", 128),
    "4b": (192,  96, 128,  96, 128, "avg", 128),
    "4c": (160, 128, 160, 128, 160, "avg", 128),
    "4d": (96,  128, 192, 160, 192, "avg", 128),
    "4e": (0,   128, 192, 192, 256, "max",   0),
    "5a": (352, 192, 320, 160, 224, "avg", 128),
    "5b": (352, 192, 320, 192, 224, "max", 128),
}
# fmt: on
# The paper does not give these constants; they are from the Caffe and PyTorch versions.
BATCH_NORM = {"momentum": 0.9, "epsilon": 1e-5}


def inception(x, row):
    """Apply an Inception module with two 3x3 convolutions instead of a 5x5 convolution (figure 5).

    In a module that halves the map size, the last layer of each branch has stride 2.
    """
    n1, n3_reduce, n3, double_reduce, double, kind, proj = FIGURE_5[row]
    stride = 1 if n1 else 2
    rows = (
        {"1x1": f"conv1-{n1}"},
        {"3x3_reduce": f"conv1-{n3_reduce}", "3x3": f"conv3/{stride}-{n3}"},
        {
            "double_3x3_reduce": f"conv1-{double_reduce}",
            "double_3x3_1": f"conv3-{double}",
            "double_3x3_2": f"conv3/{stride}-{double}",
        },
        {"pool": f"{kind}pool3/{stride}", "pool_proj": f"conv1-{proj}"},
    )
    kept = filter(
        None, ({key: x for key, x in cells.items() if not x.endswith("conv1-0")} for cells in rows)
    )
    # For even sizes, "same" padding of a pool equals Caffe's rule. For an odd size, for example 15,
    # "same" gives 8, which fits the parallel convolutions, but Caffe's rule gives 7.
    return parts.branches(
        x, kept, f"inception_{row}", batch_norm=BATCH_NORM, border=1, strided_pool="same"
    )


def bn_inception(image, classes):
    """Return BN-Inception's logits, or the 7x7 feature maps of 5b if `classes` is None."""
    x = parts.conv(image, "conv7/2-64", "conv1", "relu", BATCH_NORM)
    x = parts.pool(x, "maxpool3/2", "pool1", "ceil")
    x = parts.conv(x, "conv1-64", "conv2_reduce", "relu", BATCH_NORM)
    x = parts.conv(x, "conv3-192", "conv2", "relu", BATCH_NORM)
    x = parts.pool(x, "maxpool3/2", "pool2", "ceil")
    for row in FIGURE_5:
        x = inception(x, row)
    return x if classes is None else parts.average_head(x, classes)
