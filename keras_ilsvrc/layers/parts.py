"""What nets are made of: tensor in, tensor out, in the papers' own notation."""

import re
from typing import NamedTuple

from keras import layers

from keras_ilsvrc.layers.grouped_conv import GroupedConv2D
from keras_ilsvrc.layers.lrn import LocalResponseNormalization
from keras_ilsvrc.layers.pooling import CeilAveragePooling2D, overhang

# Of every kernel, so that any net trains as built; biases start at zero. The Gaussian of He et al.
# (arXiv:1502.01852, section 2.2), whose tails Keras' "he_normal" cuts off.
KERNEL_INITIALIZER = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_in", "distribution": "untruncated_normal"},
}
CELL = r"(conv(?=.*-)|maxpool|avgpool)(\d+)(?:x(\d+))?(?:/(\d+))?(?:-(\d+))?"


class Cell(NamedTuple):
    """One entry of a paper's table: `conv7/2-64`, `conv1x7-192`, `maxpool3/2`, `avgpool5/3`."""

    kind: str
    kernel: int | tuple[int, int]  # rows and columns where they differ
    stride: int
    filters: int | None

    @classmethod
    def parse(cls, text):
        """Reads `<kind><kernel>[/<stride>][-<filters>]`; a Cell is returned as it is."""
        if isinstance(text, Cell):
            return text
        match = re.fullmatch(CELL, text)
        if not match:
            raise ValueError(
                f"{text!r} is no cell; expected as in conv3-64, conv7/2-64, maxpool3/2"
            )
        if 0 in map(int, re.findall(r"\d+", text)):
            raise ValueError(f"{text!r} is no cell; expected numbers above 0")
        kind, rows, columns, stride, filters = match.groups()
        kernel = int(rows) if columns in (None, rows) else (int(rows), int(columns))
        return cls(kind, kernel, int(stride or 1), int(filters) if filters else None)


def sides(kernel):
    """Return the rows and columns of a kernel."""
    return kernel if isinstance(kernel, tuple) else (kernel, kernel)


def pad(x, cell, padding, name, dtype=None):
    """Apply a paper's padding; return the tensor and the padding that Keras still has to apply.

    `"half"` is kernel // 2 on every side, a number as many zeros on every side, `"ceil"` the
    overhang on the right and at the bottom, `"same"` that of TensorFlow, `"valid"` nothing. Zeros
    equal Caffe's and torch's padding of pools where no input is negative, as behind a ReLU.
    """
    if padding in ("valid", "same") or cell.kernel == 1:
        return x, "same" if padding == "same" else "valid"
    kernel = sides(cell.kernel)
    if padding == "half":
        if cell.stride == 1 and all(size % 2 for size in kernel):
            return x, "same"
        padding = tuple(size // 2 for size in kernel)
    options = {"data_format": "channels_last", "dtype": dtype, "name": f"{name}_pad"}
    if padding != "ceil":
        return layers.ZeroPadding2D(padding, **options)(x), "valid"
    sizes = x.shape[1:3]
    after = [overhang(size, rows, cell.stride) for size, rows in zip(sizes, kernel)]
    if not any(after):
        return x, "valid"
    same = [size and -(-size // cell.stride) * cell.stride - size for size in sizes]
    if cell.kernel == cell.stride + 1 and after == [1, 1] and same == [0, 0]:
        return x, "same"  # TensorFlow then pads this one row and column, without a copy
    after = [(0, zeros) for zeros in after]
    return layers.ZeroPadding2D(after, **options)(x), "valid"


def conv(
    x,
    cell,
    name,
    activation=None,
    batch_norm=None,
    padding="half",
    groups=1,
    use_bias=None,
    dtype=None,
    kind=layers.Conv2D,
):
    """A convolution, its batch normalisation where constants are given, its activation.

    It has a bias if `use_bias` says so, else where no batch normalisation follows.
    """
    cell = Cell.parse(cell)
    x, padding = pad(x, cell, padding, name, dtype)
    kind, options = (GroupedConv2D, {"groups": groups}) if groups > 1 else (kind, {})
    x = kind(
        cell.filters,
        cell.kernel,
        cell.stride,
        padding,
        data_format="channels_last",
        activation=None if batch_norm else activation,
        use_bias=not batch_norm if use_bias is None else use_bias,
        kernel_initializer=KERNEL_INITIALIZER,
        dtype=dtype,
        name=name,
        **options,
    )(x)
    return normalise(x, batch_norm, activation, name, dtype) if batch_norm else x


def normalise(x, batch_norm, activation, name, dtype=None):
    """Batch normalisation behind a layer, and the activation that is then behind both."""
    x = layers.BatchNormalization(**batch_norm, dtype=dtype, name=f"{name}_bn")(x)
    return layers.Activation(activation, dtype=dtype, name=f"{name}_relu")(x)


def pool(x, cell, name, padding="valid"):
    """Return the output of a max or average pool."""
    cell = Cell.parse(cell)
    if cell.kind == "avgpool" and padding == "ceil":
        return CeilAveragePooling2D(cell.kernel, cell.stride, "valid", "channels_last", name=name)(
            x
        )
    x, padding = pad(x, cell, padding, name)
    kind = {"maxpool": layers.MaxPooling2D, "avgpool": layers.AveragePooling2D}[cell.kind]
    return kind(cell.kernel, cell.stride, padding, "channels_last", name=name)(x)


def chain(
    x,
    cells,
    prefix,
    activation="relu",
    batch_norm=None,
    strided=None,
    border="half",
    strided_pool="ceil",
):
    """Return the output of cells one after another, named `<prefix>_<key>`.

    Args:
        x: Maps.
        cells: Key to cell.
        prefix: Of every name.
        activation: Of every convolution.
        batch_norm: Constants of the batch normalisation of every convolution, or None for none.
        strided: Padding of cells with a stride; if None, half for convolutions, as Caffe's, and
            `strided_pool` for pools.
        border: Padding of pools without one: `"half"`, in whose averages only pixels count, or
            1, in which the zeros around 3x3 windows count, as in Caffe and torch.
        strided_pool: Padding of pools with a stride; Caffe's if `"ceil"`.
    """
    for key, text in cells.items():
        cell = Cell.parse(text)
        name = f"{prefix}_{key}"
        if cell.kind == "conv":
            padding = strided if strided and cell.stride > 1 else "half"
            x = conv(x, cell, name, activation, batch_norm, padding)
        else:
            x = pool(x, cell, name, (strided or strided_pool) if cell.stride > 1 else border)
    return x


def branches(x, rows, name, **options):
    """Chains side by side, concatenated along the maps in the order of `rows`."""
    return layers.Concatenate(name=name)([chain(x, cells, name, **options) for cells in rows])


def column(x, table, pool_cell="maxpool3/2", activation="relu", lrn=None, padding=None, ceil=False):
    """Convolutions with what follows each: the trunk of AlexNet, ZFNet and their relatives.

    Args:
        x: Images.
        table: Name of a convolution, as `conv1`, to its cell, the number of its towers, and what
            follows, as `"norm pool"`, named `norm1` and `pool1`.
        pool_cell: Every pool.
        activation: Of every convolution.
        lrn: Constants of local response normalisation; None leaves every `norm` out.
        padding: Of the convolutions, by name; kernel // 2 where it is not given.
        ceil: Whether pools take Caffe's last window.
    """
    for name, (cell, towers, follow) in table.items():
        around = (padding or {}).get(name, "half")
        x = conv(x, cell, name, activation, padding=around, groups=towers)
        for step in follow.split():
            below = name.replace("conv", step)
            if step == "pool":
                x = pool(x, pool_cell, below, "ceil" if ceil else "valid")
            elif lrn:
                x = LocalResponseNormalization(**lrn, name=below)(x)
    return x


def dense(x, units, name, activation=None, batch_norm=None):
    """A fully connected layer, its batch normalisation where constants are given."""
    behind = None if batch_norm else activation
    x = layers.Dense(
        units, behind, not batch_norm, kernel_initializer=KERNEL_INITIALIZER, name=name
    )(x)
    return normalise(x, batch_norm, activation, name) if batch_norm else x


def fully_connected_head(
    x, classes, units=(4096, 4096), dropout=0.5, activation="relu", drop_first=False
):
    """fc6, fc7 with dropout behind each, or before it, and fc8: as AlexNet, ZFNet and VGG end."""
    x = layers.Flatten(name="flatten")(x)
    for number, width in enumerate(units, 6):
        drop = layers.Dropout(dropout, name=f"drop{number}")
        x = drop(x) if drop_first else x
        x = dense(x, width, f"fc{number}", activation)
        x = x if drop_first else drop(x)
    return dense(x, classes, "fc8")


def average_head(x, classes, dropout=0.0):
    """Global average pooling, dropout where the paper has it, one linear layer."""
    x = layers.GlobalAveragePooling2D(name="average")(x)
    if dropout:
        x = layers.Dropout(dropout, name="drop")(x)
    return dense(x, classes, "logits")
