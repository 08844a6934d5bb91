"""Builder of ZFNet (Zeiler and Fergus, arXiv:1311.2901)."""

from keras_ilsvrc.layers import parts
from keras_ilsvrc.utils.errors import InputError

# fmt: off
# Convolutions of ZFNet (Zeiler and Fergus 2013, figure 3). Columns: convolution, number of towers
# (always 1), layers after its ReLU. The strides of conv1 and conv2 are 2.
FIGURE_3 = {
    "conv1": ("conv7/2-96",  1, "pool norm"),
    "conv2": ("conv5/2-256", 1, "pool norm"),
    "conv3": ("conv3-384",   1, ""),
    "conv4": ("conv3-384",   1, ""),
    "conv5": ("conv3-256",   1, "pool"),
}
# Zeiler and Fergus 2013, table 2 (b): more feature maps in layers 3, 4 and 5.
TABLE_2B = {
    **FIGURE_3,
    "conv3": ("conv3-512",   1, ""),
    "conv4": ("conv3-1024",  1, ""),
    "conv5": ("conv3-512",   1, "pool"),
}
# The ONNX model zoo's zfnet512 normalises before pooling and does not pad conv1. Its pool5 has
# windows of 2x2.
ONNX = {
    "conv1": ("conv7/2-96",  1, "norm pool"),
    "conv2": ("conv5/2-256", 1, "norm pool"),
    "conv3": ("conv3-512",   1, ""),
    "conv4": ("conv3-512",   1, ""),
    "conv5": ("conv3-512",   1, "maxpool2/2"),
}
# fmt: on
FORMS = {  # (table, padding of conv1, units of fc6 and fc7)
    "a": (FIGURE_3, 1, (4096, 4096)),
    "b": (TABLE_2B, 1, (4096, 4096)),
    "onnx": (ONNX, "valid", (4096, 1024)),
}
LEAST = 93  # smallest height and width in pixels for conv1="11/4", AlexNet's first layer
# The paper says "contrast normalized across feature maps"; the constants are from AlexNet.
LRN = {"size": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75}
# Section 3 of the paper: weights are initialised to 1e-2, which we read as the standard deviation,
# and biases to zero.
INITIAL = {"kernel": ("normal", 0.01), "bias": {}}


def zfnet(image, classes, form, conv1="7/2", lrn=True, pool="3/2", dropout=0.5):
    """Return ZFNet's logits, or the 6x6 feature maps of pool5 if `classes` is None."""
    table, border, units = FORMS[form]
    size = min(x or LEAST for x in image.shape[1:3])
    if conv1 == "11/4" and size < LEAST:
        raise InputError(
            f"images of {size} pixels are too small for conv1='11/4'; use at least {LEAST}"
        )
    x = parts.column(
        image,
        {**table, "conv1": (f"conv{conv1}-96", *table["conv1"][1:])},
        pool_cell=f"maxpool{pool}",
        lrn=LRN if lrn else None,
        padding={"conv1": border, "conv2": "valid"},
        ceil=True,
    )
    return x if classes is None else parts.fully_connected_head(x, classes, units, dropout)
