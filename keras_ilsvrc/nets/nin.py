"""Network in Network: Lin, Chen and Yan, arXiv:1312.4400; layers as released by the authors."""

from keras import layers

from keras_ilsvrc.layers import parts

# fmt: off
# One row per mlpconv layer: a convolution, then 1x1 convolutions (cccp, cascaded cross-channel
# pooling). The last 1x1 convolution has one map per class.
CIFAR10 = (
    {"conv1": "conv5-192", "cccp1": "conv1-160", "cccp2": "conv1-96",  "pool1": "maxpool3/2"},
    {"conv2": "conv5-192", "cccp3": "conv1-192", "cccp4": "conv1-192", "pool2": "maxpool3/2"},
    {"conv3": "conv3-192", "cccp5": "conv1-192", "cccp6": "conv1-{classes}"},
)
IMAGENET = (
    {"conv1": "conv11/4-96", "cccp1": "conv1-96",   "cccp2": "conv1-96",  "pool0": "maxpool3/2"},
    {"conv2": "conv5-256",   "cccp3": "conv1-256",  "cccp4": "conv1-256", "pool2": "maxpool3/2"},
    {"conv3": "conv3-384",   "cccp5": "conv1-384",  "cccp6": "conv1-384", "pool3": "maxpool3/2"},
    {"conv4": "conv3-1024",  "cccp7": "conv1-1024", "cccp8": "conv1-{classes}"},
)
# fmt: on
# Released CIFAR-10 net: all kernels; conv1, conv3 and cccp8 of the ImageNet net have 0.01.
INITIAL = {"kernel": ("normal", 0.05), "bias": {}}


def mlpconv(x, cells, classes):
    """Apply an mlpconv layer (section 3.1: a small perceptron at every position) and its pool."""
    for name, text in cells.items():
        if name.startswith("pool"):
            x = parts.pool(x, text, name, "ceil")
            continue
        cell = parts.Cell.parse(text.format(classes=classes))
        padding = "valid" if cell.stride > 1 else "half"
        x = parts.conv(x, cell, name, "relu", padding=padding)
    return x


def mlpconv_layers(image, classes, table, dropout_after):
    """Apply mlpconv layers and dropout; if `classes` is None, omit the last convolution."""
    x = image
    for number, cells in enumerate(table, 1):
        if classes is None and number == len(table):
            cells = dict(list(cells.items())[:-1])
        x = mlpconv(x, cells, classes)
        if number in dropout_after:
            x = layers.Dropout(0.5, name=f"drop{number}")(x)
    return x


def average(x):
    """Apply global average pooling to one map per class, which gives the logits (section 3.2)."""
    return layers.GlobalAveragePooling2D(name="average")(x)


def nin(image, classes):
    """Return the logits, or the 6x6 maps of cccp7 if `classes` is None."""
    x = mlpconv_layers(image, classes, IMAGENET, dropout_after=(3,))
    return x if classes is None else average(x)


def nin_cifar10(image, classes, head):
    """Return the logits, or the 8x8 maps of cccp5 if `classes` is None."""
    x = mlpconv_layers(image, classes, CIFAR10, dropout_after=(1, 2))
    if classes is None:
        return x
    if head == "average":
        return average(x)
    x = layers.Flatten(name="flatten")(x)  # section 4.6 compares dense heads with averaging
    if head == "dense_dropout":
        x = layers.Dropout(0.5, name="drop3")(x)
    return parts.dense(x, classes, "logits")
