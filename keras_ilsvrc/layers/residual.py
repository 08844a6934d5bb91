"""The residual unit: He et al., arXiv:1512.03385 [1] and arXiv:1603.05027 [2]."""

from collections import namedtuple

import keras
from keras import layers, ops

from keras_ilsvrc.layers import parts
from keras_ilsvrc.layers.conv import Conv2D

Order = namedtuple("Order", "before layer last after")

# fmt: off
# [2] figure 4: before each weight layer, the layer, the last layer of F, after the addition.
FIGURE_4 = {
    "original":        Order("",        "conv bn relu", "conv bn",      "relu"),
    "bn_after_add":    Order("",        "conv bn relu", "conv",         "bn relu"),
    "relu_before_add": Order("",        "conv bn relu", "conv bn relu", ""),
    "relu_preact":     Order("relu",    "conv bn",      "conv bn",      ""),
    "full_preact":     Order("bn relu", "conv",         "conv",         ""),
}
# [2] table 1: what multiplies the shortcut h(x), and what multiplies F(x). g is a gate, a sigmoid
# of a 1x1 convolution of x. Its row "1x1 convolution" is option C.
TABLE_1 = {
    "constant_0.5":     (0.5,       None),
    "constant_0.5_0.5": (0.5,       0.5),
    "exclusive_gating": ("1 - g",   "g"),
    "shortcut_gating":  ("1 - g",   None),
    "dropout":          ("dropout", None),
}
# fmt: on


def no_shortcut(unit, x, target, stride):
    """A plain net: nothing is added."""
    return None


def zero_pad(unit, x, target, stride):
    """Option A: identity, every `stride`-th pixel, new maps zero and last. No parameters."""
    x = x[:, ::stride, ::stride, :] if stride > 1 else x
    new = target - x.shape[-1]
    return ops.pad(x, [(0, 0), (0, 0), (0, 0), (0, new)]) if new else x


def project(unit, x, target, stride):
    """Option C: 1x1 convolution, with BN unless the unit begins with one ([2], appendix)."""
    normalised = "bn" not in unit.form.before
    x = unit.convolution(x, f"conv1/{stride}-{target}", "shortcut", normalised)
    return unit.apply(x, "bn", "shortcut") if normalised else x


def project_on_change(unit, x, target, stride):
    """Option B: option C where the size or the number of maps changes, else identity."""
    return project(unit, x, target, stride) if unit.changes(x, target, stride) else x


def project_new_maps(unit, x, target, stride):
    """Keras' pre-activation nets: option C for new maps, where only the size changes option A."""
    return (zero_pad if x.shape[-1] == target else project)(unit, x, target, stride)


# [1] section 3.3 and 4.1; those of [2] table 1 are option A, multiplied.
SHORTCUTS = {
    "none": no_shortcut,
    "A": zero_pad,
    "B": project_on_change,
    "C": project,
    "keras": project_new_maps,
    **dict.fromkeys(TABLE_1, zero_pad),
}


@keras.saving.register_keras_serializable("keras_ilsvrc")
class ResidualUnit(layers.Layer):
    """F(x) + h(x): the unit of which every plain, residual and pre-activation net is made.

    Where a pre-activation unit changes the size or the number of maps, its first BN-ReLU stands
    before the split, so that the shortcut sees it too (He et al., arXiv:1603.05027, appendix).

    Args:
        convolutions: The weight layers of F in the papers' notation, as in
            `"conv3/2-128 conv3-128"`: kernel, stride where it is not 1, filters.
        shortcut: `"none"`, `"A"`, `"B"` or `"C"` (He et al., arXiv:1512.03385, section 4.1);
            `"constant_0.5"`, `"constant_0.5_0.5"`, `"exclusive_gating"`, `"shortcut_gating"` or
            `"dropout"` (arXiv:1603.05027, table 1); `"keras"` as in Keras' ResNet50V2.
        order: `"original"`, `"bn_after_add"`, `"relu_before_add"`, `"relu_preact"` or
            `"full_preact"` (He et al., arXiv:1603.05027, figure 4).
        activated: Whether the input is activated already, as behind a stem: the first
            activation of a pre-activation order is then left out.
        batch_norm: Momentum and epsilon, or None for convolutions with biases and no BN.
        use_bias: Whether a convolution beside BN has a bias too: None for none, True for all,
            `"bare"` for those with no BN right behind them.
        gate_bias: Where the bias of a gate starts, b_g of the paper's table 1.
        synchronized: Whether BN uses the statistics of all replicas (TensorFlow only).

    Shape:
        (batch, height, width, channels), channels last, to
        (batch, ceil(height / stride), ceil(width / stride), filters of the last convolution).

    Raises:
        ValueError: If a shortcut or order is unknown, if option A should remove maps, or if a
            convolution is not in the notation.
    """

    def __init__(
        self,
        convolutions,
        shortcut="B",
        order="original",
        activated=False,
        batch_norm=None,
        use_bias=None,
        gate_bias=-6.0,
        synchronized=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for argument, value, known in (
            ("shortcut", shortcut, SHORTCUTS),
            ("order", order, FIGURE_4),
        ):
            if value not in known:
                raise ValueError(f"{argument} is {value!r}; expected one of {', '.join(known)}")
        self.cells = [parts.Cell.parse(text) for text in convolutions.split()]
        self.convolutions, self.shortcut, self.order = convolutions, shortcut, order
        self.activated, self.batch_norm = activated, batch_norm
        self.use_bias, self.gate_bias, self.synchronized = use_bias, gate_bias, synchronized
        self.form = FIGURE_4[order]

    def build(self, input_shape):
        image = keras.Input(input_shape[1:], dtype=self.compute_dtype)
        self.body = keras.Model(image, self.graph(image), name="body")
        self.body.dtype_policy = self.dtype_policy
        self.built = True

    def graph(self, x):
        """The unit as tensors: input to output."""
        stride = 1
        for cell in self.cells:
            stride *= cell.stride
        target = self.cells[-1].filters
        if self.shortcut == "A" and target < x.shape[-1]:
            raise ValueError(f"shortcut A adds maps, it cannot turn {x.shape[-1]} into {target}")
        ready = self.activated
        if not ready and self.changes(x, target, stride):
            x, ready = self.apply(x, self.form.before, "1"), True
        y = x
        for number, cell in enumerate(self.cells, 1):
            if number > 1 or not ready:
                y = self.apply(y, self.form.before, str(number))
            steps = self.form.last if cell is self.cells[-1] else self.form.layer
            below = steps if cell is self.cells[-1] else steps + self.form.before
            y = self.convolution(y, cell, str(number), "bn" in below)
            y = self.apply(y, steps.removeprefix("conv"), str(number))
        h = SHORTCUTS[self.shortcut](self, x, target, stride)
        if self.shortcut in TABLE_1:
            gate = self.gate(x, target, stride) if "gating" in self.shortcut else None
            of_h, of_f = TABLE_1[self.shortcut]
            h = self.multiply(h, of_h, gate, "shortcut")
            y = self.multiply(y, of_f, gate, "residual")
        if h is not None:
            y = layers.Add(dtype=self.dtype_policy, name="add")([h, y])
        return self.apply(y, self.form.after, "out")

    def changes(self, x, target, stride):
        """Whether the shortcut must change the size or the number of maps."""
        return x.shape[-1] != target or (stride > 1 and self.shortcut != "keras")

    def convolution(self, x, cell, name, normalised):
        """A convolution of F or of the shortcut; `normalised` says whether BN follows."""
        bare = not (normalised and self.batch_norm)
        bias = {None: not self.batch_norm, True: True, "bare": bare}[self.use_bias]
        options = {"use_bias": bias, "dtype": self.dtype_policy, "kind": Conv2D}
        return parts.conv(x, cell, f"conv_{name}", **options)

    def gate(self, x, target, stride):
        """g(x) of [2] section 3.1."""
        start = keras.initializers.Constant(self.gate_bias)
        options = {"kernel_initializer": parts.INITIAL, "bias_initializer": start}
        gate = layers.Conv2D(
            target, 1, stride, activation="sigmoid", dtype=self.dtype_policy, name="gate", **options
        )
        return gate(x)

    def multiply(self, x, factor, gate, name):
        """h(x) or F(x) times what its column of `TABLE_1` says."""
        options = {"dtype": self.dtype_policy, "name": f"{name}_scaled"}
        if factor is None:
            return x
        if factor == "dropout":
            return layers.Dropout(0.5, **options)(x)
        if isinstance(factor, float):
            return layers.Rescaling(factor, **options)(x)
        if factor == "1 - g":
            gate = layers.Rescaling(-1.0, 1.0, dtype=self.dtype_policy, name="gate_closed")(gate)
        return layers.Multiply(**options)([x, gate])

    def apply(self, x, steps, name):
        """The BN and ReLU of one place of `FIGURE_4`."""
        for step in steps.split():
            if step == "relu":
                x = layers.Activation("relu", dtype=self.dtype_policy, name=f"relu_{name}")(x)
            elif self.batch_norm:
                x = layers.BatchNormalization(
                    **self.batch_norm,
                    synchronized=self.synchronized,
                    dtype=self.dtype_policy,
                    name=f"bn_{name}",
                )(x)
        return x

    def call(self, inputs, training=None):
        return self.body(inputs, training=training)

    def compute_output_shape(self, input_shape):
        return self.body.compute_output_shape(input_shape)

    def get_config(self):
        own = ("convolutions", "shortcut", "order", "activated", "batch_norm", "use_bias")
        own += ("gate_bias", "synchronized")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
