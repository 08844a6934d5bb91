"""Building blocks of networks: functions that apply layers to a tensor and return the result."""

import re
from typing import NamedTuple

from keras import layers

from keras_ilsvrc.layers.batch_norm import BatchNormalization
from keras_ilsvrc.layers.grouped_conv import GroupedConv2D
from keras_ilsvrc.layers.lrn import LocalResponseNormalization
from keras_ilsvrc.layers.pooling import CeilAveragePooling2D, overhang

# Default initializer of all kernels: the Gaussian of He et al. (arXiv:1502.01852, section 2.2). It
# is not truncated, unlike Keras' "he_normal". Biases start at zero. If a paper gives initial values
# for its own nets, `training/initial.py` can set them.
KERNEL_INITIALIZER = {
    "class_name": "VarianceScaling",
    "config": {"scale": 2.0, "mode": "fan_in", "distribution": "untruncated_normal"},
}
CELL = r"(conv(?=.*-)|maxpool|avgpool)(\d+)(?:x(\d+))?(?:/(\d+))?(?:-(\d+))?"


class Cell(NamedTuple):
    """Layer in the papers' notation, for example `conv7/2-64`, `conv1x7-192` or `maxpool3/2`."""

    kind: str
    kernel: int | tuple[int, int]  # one number for a square kernel, or (rows, columns)
    stride: int
    filters: int | None

    @classmethod
    def parse(cls, text):
        """Parse a text of the form `<kind><kernel>[/<stride>][-<filters>]` into a `Cell`.

        A `Cell` is also accepted and returned unchanged.
        """
        if isinstance(text, Cell):
            return text
        match = re.fullmatch(CELL, text)
        if not match:
            raise ValueError(
                f"{text!r} does not describe a layer; expected, for example, conv3-64, conv7/2-64 "
                "or maxpool3/2"
            )
        if 0 in map(int, re.findall(r"\d+", text)):
            raise ValueError(f"{text!r} contains a 0; expected numbers above 0")
        kind, rows, columns, stride, filters = match.groups()
        kernel = int(rows) if columns in (None, rows) else (int(rows), int(columns))
        return cls(kind, kernel, int(stride or 1), int(filters) if filters else None)

    def widened(self, width):
        """Return a copy of a convolution with `width` times as many filters, at least one."""
        return self._replace(filters=max(1, round(self.filters * width)))


def sides(kernel):
    """Return the size of a kernel as (rows, columns)."""
    return kernel if isinstance(kernel, tuple) else (kernel, kernel)


def pad(x, cell, padding, name, dtype=None):
    """Pad `x` with zeros. Return the result and the `padding` argument for the next Keras layer.

    `padding` is `"half"` for kernel // 2 zeros on every side, a number for that many zeros on every
    side, `"ceil"` for as many zeros on the right and at the bottom as `overhang` returns, `"same"`
    for TensorFlow's padding, or `"valid"` for none. If no input is negative, for example after a
    ReLU, max pools of zero-padded inputs have the same result as in Caffe and PyTorch.
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
        return x, "same"  # at this size, "same" and "ceil" are equal; "same" is faster
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
):
    """Apply a convolution, batch normalisation unless `batch_norm` is None, and an activation.

    If `use_bias` is None, the convolution has a bias only if there is no batch normalisation.
    """
    cell = Cell.parse(cell)
    x, padding = pad(x, cell, padding, name, dtype)
    kind, options = (GroupedConv2D, {"groups": groups}) if groups > 1 else (layers.Conv2D, {})
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
    """Apply batch normalisation, then an activation unless it is None, to the output of a layer.

    `name` is the name of the layer. It is the prefix of the new layers' names.
    """
    x = BatchNormalization(**batch_norm, dtype=dtype, name=f"{name}_bn")(x)
    if activation is None:
        return x
    return layers.Activation(activation, dtype=dtype, name=f"{name}_{activation}")(x)


def pool(x, cell, name, padding="valid"):
    """Apply the max or average pooling layer that `cell` describes."""
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
    """Apply convolutions and pools one after another, as layers called `<prefix>_<key>`.

    Args:
        x: Feature maps.
        cells: {key: layer in the papers' notation}, in the order of the layers.
        prefix: Prefix of the names of layers.
        activation: Activation of every convolution.
        batch_norm: Momentum and epsilon of the batch normalisation after every convolution, or None
            for no batch normalisation.
        strided: Padding of layers with a stride above 1. If None, convolutions are padded by half
            the kernel, as in Caffe, and pools as `strided_pool` says.
        border: Padding of pools with stride 1. With `"half"`, averages are taken without the
            padding. With 1, averages over 3x3 windows include the zeros of the padding, as in Caffe
            and PyTorch.
        strided_pool: Padding of pools with a stride above 1; `"ceil"` is Caffe's rule.
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
    """Apply each branch of layers in `rows` to `x`, and concatenate their outputs.

    The layers are named `<name>_<key>`, with the key from `rows`.
    """
    return layers.Concatenate(name=name)([chain(x, cells, name, **options) for cells in rows])


def column(x, table, pool_cell="maxpool3/2", activation="relu", lrn=None, padding=None, ceil=False):
    """Apply the convolutions, normalisations and pools of AlexNet, ZFNet and related networks.

    Args:
        x: Images.
        table: {name of a convolution, for example `conv1`: row}. A row has the convolution in the
            papers' notation, the number of towers, and the layers that follow, for example
            `"norm pool"` for layers named `norm1` and `pool1`, or a pool in the papers' notation.
        pool_cell: Pooling layers called `pool` in `table`, in the papers' notation.
        activation: Activation of every convolution.
        lrn: Arguments of local response normalisation; None to leave out every `norm`.
        padding: {name of a convolution: padding}; the default is kernel // 2 on every side.
        ceil: Whether pools round the number of windows up, as Caffe does.
    """
    for name, (cell, towers, follow) in table.items():
        around = (padding or {}).get(name, "half")
        x = conv(x, cell, name, activation, padding=around, groups=towers)
        for step in follow.split():
            if step != "norm":
                below, cell = name.replace("conv", "pool"), pool_cell if step == "pool" else step
                x = pool(x, cell, below, "ceil" if ceil else "valid")
            elif lrn:
                x = LocalResponseNormalization(**lrn, name=name.replace("conv", "norm"))(x)
    return x


def dense(x, units, name, activation=None, batch_norm=None):
    """Apply a dense layer, batch normalisation unless `batch_norm` is None, and an activation."""
    behind = None if batch_norm else activation
    x = layers.Dense(
        units, behind, not batch_norm, kernel_initializer=KERNEL_INITIALIZER, name=name
    )(x)
    return normalise(x, batch_norm, activation, name) if batch_norm else x


def fully_connected_head(
    x, classes, units=(4096, 4096), dropout=0.5, activation="relu", drop_first=False
):
    """Apply the fully connected layers of AlexNet and VGG: fc6, fc7 and fc8.

    Dropout follows fc6 and fc7; if `drop_first` is True, it comes before them.
    """
    x = layers.Flatten(name="flatten")(x)
    for number, width in enumerate(units, 6):
        drop = layers.Dropout(dropout, name=f"drop{number}")
        x = drop(x) if drop_first else x
        x = dense(x, width, f"fc{number}", activation)
        x = x if drop_first else drop(x)
    return dense(x, classes, "fc8")


def average_head(x, classes, dropout=0.0):
    """Apply global average pooling, dropout if its rate is above 0, and one linear layer."""
    x = layers.GlobalAveragePooling2D(name="average")(x)
    if dropout:
        x = layers.Dropout(dropout, name="drop")(x)
    return dense(x, classes, "logits")
