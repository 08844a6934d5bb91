"""What nets are made of: tensor in, tensor out, in the papers' own notation."""

import re
from typing import NamedTuple

from keras import layers

from keras_ilsvrc.layers.grouped_conv import GroupedConv2D

INITIAL = "he_normal"  # of every kernel, so that any net trains as built; biases start at zero


class Cell(NamedTuple):
    """One entry of a paper's table: `conv7/2-64`, `maxpool3/2`, `avgpool5/3`."""

    kind: str
    kernel: int
    stride: int
    filters: int | None

    @classmethod
    def parse(cls, text):
        """Reads `<kind><kernel>[/<stride>][-<filters>]`; a Cell is returned as it is."""
        if isinstance(text, Cell):
            return text
        match = re.fullmatch(r"(conv(?=.*-)|maxpool|avgpool)(\d+)(?:/(\d+))?(?:-(\d+))?", text)
        if not match:
            raise ValueError(
                f"{text!r} is no cell; expected as in conv3-64, conv7/2-64, maxpool3/2"
            )
        kind, kernel, stride, filters = match.groups()
        return cls(kind, int(kernel), int(stride or 1), int(filters) if filters else None)


def overhang(size, kernel, stride):
    """Zeros after the last pixel with which the windows cover all of `size` pixels.

    Caffe's ceil rule. For a size known only when the net runs, as many as can be needed.
    """
    return stride - 1 if size is None else -(size - kernel) % stride


def pad(x, cell, padding, name, dtype=None):
    """Applies a paper's padding: the padded tensor, and what is left to say to Keras.

    `"half"` is kernel // 2 on every side, `"ceil"` the overhang on the right and at the bottom,
    `"valid"` nothing. Zeros equal Caffe's and torch's padding of pools where no input is
    negative, as it is behind a ReLU.
    """
    if padding == "valid" or cell.kernel == 1:
        return x, "valid"
    if padding == "half":
        if cell.stride == 1 and cell.kernel % 2:
            return x, "same"
        amount = (cell.kernel // 2,) * 2
        return layers.ZeroPadding2D((amount, amount), dtype=dtype, name=f"{name}_pad")(x), "valid"
    sizes = x.shape[1:3]
    after = [overhang(size, cell.kernel, cell.stride) for size in sizes]
    if not any(after):
        return x, "valid"
    same = [size and -(-size // cell.stride) * cell.stride - size for size in sizes]
    if cell.kernel == cell.stride + 1 and after == [1, 1] and same == [0, 0]:
        return x, "same"  # TensorFlow then pads this one row and column, without a copy
    after = [(0, zeros) for zeros in after]
    return layers.ZeroPadding2D(after, dtype=dtype, name=f"{name}_pad")(x), "valid"


def conv(
    x,
    cell,
    name,
    activation=None,
    batch_norm=None,
    padding="half",
    groups=1,
    use_bias=True,
    dtype=None,
):
    """A convolution, its batch normalisation where constants are given, its activation."""
    cell = Cell.parse(cell)
    x, padding = pad(x, cell, padding, name, dtype)
    kind, options = (GroupedConv2D, {"groups": groups}) if groups > 1 else (layers.Conv2D, {})
    x = kind(
        cell.filters,
        cell.kernel,
        cell.stride,
        padding,
        activation=None if batch_norm else activation,
        use_bias=use_bias and not batch_norm,
        kernel_initializer=INITIAL,
        dtype=dtype,
        name=name,
        **options,
    )(x)
    if batch_norm:
        x = layers.BatchNormalization(**batch_norm, dtype=dtype, name=f"{name}_bn")(x)
        x = layers.Activation(activation, dtype=dtype, name=f"{name}_relu")(x)
    return x


def pool(x, cell, name, padding="valid"):
    """A max or average pool."""
    cell = Cell.parse(cell)
    x, padding = pad(x, cell, padding, name)
    kind = {"maxpool": layers.MaxPooling2D, "avgpool": layers.AveragePooling2D}[cell.kind]
    return kind(cell.kernel, cell.stride, padding, name=name)(x)


def chain(x, cells, prefix, activation="relu"):
    """Cells one after another, named `<prefix>_<key>`."""
    for key, text in cells.items():
        cell = Cell.parse(text)
        name = f"{prefix}_{key}"
        if cell.kind == "conv":
            x = conv(x, cell, name, activation)
        else:
            x = pool(x, cell, name, padding="half")
    return x


def branches(x, rows, name):
    """Chains side by side, concatenated along the maps in the order of `rows`."""
    return layers.Concatenate(name=name)([chain(x, cells, name) for cells in rows])


def dense(x, units, name, activation=None):
    """A fully connected layer."""
    return layers.Dense(units, activation, kernel_initializer=INITIAL, name=name)(x)


def fully_connected_head(x, classes, units=4096, dropout=0.5, activation="relu"):
    """fc6, fc7 with dropout, fc8: the head of AlexNet, ZFNet and VGG."""
    x = layers.Flatten(name="flatten")(x)
    for number in (6, 7):
        x = dense(x, units, f"fc{number}", activation)
        x = layers.Dropout(dropout, name=f"drop{number}")(x)
    return dense(x, classes, "fc8")


def average_head(x, classes, dropout=0.0):
    """Global average pooling, dropout where the paper has it, one linear layer."""
    x = layers.GlobalAveragePooling2D(name="average")(x)
    if dropout:
        x = layers.Dropout(dropout, name="drop")(x)
    return dense(x, classes, "logits")
