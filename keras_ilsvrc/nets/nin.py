"""Network in Network: Lin, Chen and Yan, arXiv:1312.4400; layers as released by the authors."""

from keras import layers

from keras_ilsvrc.layers import parts

# fmt: off
# Each row is one mlpconv layer: a convolution, then 1x1 convolutions. The latter are called cccp,
# for cascaded cross-channel pooling. The last one has one feature map per class.
CIFAR10 = (
    {"conv1": "conv5-192", "cccp1": "conv1-160", "cccp2": "conv1-96",  "pool1": "maxpool3/2"},
    {"conv2": "conv5-192", "cccp3": "conv1-192", "cccp4": "conv1-192", "pool2": "maxpool3/2"},
    {"conv3": "conv3-192", "cccp5": "conv1-192", "cccp6": "conv1-{classes}"},
)
# The net as released for Caffe, in which pool2 is an average pool.
CIFAR10_AVERAGE = (CIFAR10[0], {**CIFAR10[1], "pool2": "avgpool3/2"}, CIFAR10[2])
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


def mlpconv(x, cells, classes):
    """Apply an mlpconv layer (a convolution, then 1x1 convolutions), and the pool after it."""
    for name, text in cells.items():
        if name.startswith("pool"):
            x = parts.pool(x, text, name, "ceil")
            continue
        cell = parts.Cell.parse(text.format(classes=classes))
        padding = "valid" if cell.stride > 1 else "half"
        x = parts.conv(x, cell, name, "relu", padding=padding)
    return x


def mlpconv_layers(image, classes, table, dropout_after):
    """Apply mlpconv layers and dropout, without the last convolution if `classes` is None."""
    x = image
    for number, cells in enumerate(table, 1):
        if classes is None and number == len(table):
            cells = dict(list(cells.items())[:-1])
        x = mlpconv(x, cells, classes)
        if number in dropout_after:
            x = layers.Dropout(0.5, name=f"drop{number}")(x)
    return x


def average(x):
    """Apply global average pooling, which turns one feature map per class into the logits."""
    return layers.GlobalAveragePooling2D(name="average")(x)


def nin(image, classes):
    """Return the logits of the ImageNet net, or the 6x6 maps of cccp7 if `classes` is None."""
    x = mlpconv_layers(image, classes, IMAGENET, dropout_after=(3,))
    return x if classes is None else average(x)


def nin_cifar10(image, classes, head, pool2):
    """Return the logits of the CIFAR-10 net, or the 8x8 maps of cccp5 if `classes` is None."""
    table = {"max": CIFAR10, "average": CIFAR10_AVERAGE}[pool2]
    x = mlpconv_layers(image, classes, table, dropout_after=(1, 2))
    if classes is None:
        return x
    if head == "average":
        return average(x)
    x = layers.Flatten(name="flatten")(x)  # fully connected classifier, section 4.6 of the paper
    if head == "dense_dropout":
        x = layers.Dropout(0.5, name="drop3")(x)
    return parts.dense(x, classes, "logits")
