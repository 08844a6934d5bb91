"""Builders of Network in Network (Lin, Chen and Yan, arXiv:1312.4400), as released."""

from keras.layers import Dropout, Flatten, GlobalAveragePooling2D

from keras_ilsvrc.layers import parts

# fmt: off
# Each row is one mlpconv layer (a convolution, then 1x1 convolutions) and the pool after it. The
# 1x1 convolutions are called cccp, for cascaded cross-channel pooling. The last one has one feature
# map per class.
CIFAR10 = (
    {"conv1": "conv5-192", "cccp1": "conv1-160", "cccp2": "conv1-96",  "pool1": "maxpool3/2"},
    {"conv2": "conv5-192", "cccp3": "conv1-192", "cccp4": "conv1-192", "pool2": "maxpool3/2"},
    {"conv3": "conv3-192", "cccp5": "conv1-192", "cccp6": "conv1-{classes}"},
)
# A variation that is not in the paper: one linear convolution in place of each mlpconv layer. The
# layers give 96, 192 and 192 maps in the paper's net, and here 1.236 times as many. With this
# factor, both nets have about the same number of multiply-adds: 222.5 million in the paper's net,
# 222.1 million here. The last 1x1 convolution stays, so that both nets have the same classifier.
CIFAR10_LINEAR = (
    {"conv1": "conv5-119", "pool1": "maxpool3/2"},
    {"conv2": "conv5-237", "pool2": "maxpool3/2"},
    {"conv3": "conv3-237", "cccp6": "conv1-{classes}"},
)
IMAGENET = (
    {"conv1": "conv11/4-96", "cccp1": "conv1-96",   "cccp2": "conv1-96",  "pool0": "maxpool3/2"},
    {"conv2": "conv5-256",   "cccp3": "conv1-256",  "cccp4": "conv1-256", "pool2": "maxpool3/2"},
    {"conv3": "conv3-384",   "cccp5": "conv1-384",  "cccp6": "conv1-384", "pool3": "maxpool3/2"},
    {"conv4": "conv3-1024",  "cccp7": "conv1-1024", "cccp8": "conv1-{classes}"},
)
# fmt: on
# Initial kernels have standard deviation 0.05 in all layers, as in the released CIFAR-10 net. The
# released ImageNet net has 0.01 in conv1, conv3 and cccp8.
INITIAL = {"kernel": ("normal", 0.05), "bias": {}}


def mlpconv(x, cells, classes, width=1.0):
    """Apply an mlpconv layer (a convolution, then 1x1 convolutions), and the pool after it.

    The convolutions have `width` times as many filters as in `cells`. A convolution with one filter
    per class keeps its number of filters.
    """
    for name, text in cells.items():
        if name.startswith("pool"):
            x = parts.pool(x, text, name, "ceil")
            continue
        cell = parts.Cell.parse(text.format(classes=classes))
        cell = cell if "{classes}" in text else cell.widened(width)
        padding = "valid" if cell.stride > 1 else "half"
        x = parts.conv(x, cell, name, "relu", padding=padding)
    return x


def mlpconv_layers(image, classes, table, dropout_after, width=1.0):
    """Apply mlpconv layers and dropout, without the last convolution if `classes` is None."""
    x = image
    for number, cells in enumerate(table, 1):
        if classes is None and number == len(table):
            cells = dict(list(cells.items())[:-1])
        x = mlpconv(x, cells, classes, width)
        if number in dropout_after:
            x = Dropout(0.5, name=f"drop{number}")(x)
    return x


def average(x):
    """Apply global average pooling, which turns one feature map per class into the logits."""
    return GlobalAveragePooling2D(name="average")(x)


def nin(image, classes):
    """Return the logits of the ImageNet net, or the 6x6 maps of cccp7 if `classes` is None."""
    x = mlpconv_layers(image, classes, IMAGENET, dropout_after=(3,))
    return x if classes is None else average(x)


def nin_cifar10(image, classes, layers, head, pool2, width):
    """Return the logits of the CIFAR-10 net, or the 8x8 maps before cccp6 if `classes` is None."""
    first, second, third = {"mlpconv": CIFAR10, "linear": CIFAR10_LINEAR}[layers]
    if pool2 == "average":  # as in the net that was released for Caffe
        second = {**second, "pool2": "avgpool3/2"}
    x = mlpconv_layers(image, classes, (first, second, third), (1, 2), width)
    if classes is None:
        return x
    if head == "average":
        return average(x)
    x = Flatten(name="flatten")(x)  # the fully connected classifier of the paper's section 4.6
    if head == "dense_dropout":
        x = Dropout(0.5, name="drop3")(x)
    return parts.dense(x, classes, "logits")
