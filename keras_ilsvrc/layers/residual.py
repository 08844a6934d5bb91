"""The residual unit: He et al., arXiv:1512.03385 [1] and arXiv:1603.05027 [2]."""

from collections import namedtuple

import keras
from keras import layers, ops

from keras_ilsvrc.layers import parts

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
    x = unit.convolution(x, f"conv1/{stride}-{target}", "shortcut")
    return x if "bn" in unit.form.before else unit.apply(x, "bn", "shortcut")


def project_on_change(unit, x, target, stride):
    """Option B: option C where the size or the number of maps changes, else identity."""
    return project(unit, x, target, stride) if unit.changes(x, target, stride) else x


# [1] section 3.3 and 4.1.
SHORTCUTS = {"none": no_shortcut, "A": zero_pad, "B": project_on_change, "C": project}


@keras.saving.register_keras_serializable("keras_ilsvrc")
class ResidualUnit(layers.Layer):
    """F(x) + h(x): the unit of which every plain, residual and pre-activation net is made.

    Where a pre-activation unit changes the size or the number of maps, its first BN-ReLU stands
    before the split, so that the shortcut sees it too (He et al., arXiv:1603.05027, appendix).

    Args:
        convolutions: The weight layers of F in the papers' notation, as in
            `"conv3/2-128 conv3-128"`: kernel, stride where it is not 1, filters.
        shortcut: `"none"`, `"A"`, `"B"` or `"C"` (He et al., arXiv:1512.03385, section 4.1).
        order: `"original"`, `"bn_after_add"`, `"relu_before_add"`, `"relu_preact"` or
            `"full_preact"` (He et al., arXiv:1603.05027, figure 4).
        activated: Whether the input is activated already, as behind a stem: the first
            activation of a pre-activation order is then left out.
        batch_norm: Momentum and epsilon, or None for convolutions with biases and no BN.
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
        self.synchronized = synchronized
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
            y = self.convolution(y, cell, str(number))
            y = self.apply(y, steps.removeprefix("conv"), str(number))
        h = SHORTCUTS[self.shortcut](self, x, target, stride)
        if h is not None:
            y = layers.Add(dtype=self.dtype_policy, name="add")([h, y])
        return self.apply(y, self.form.after, "out")

    def changes(self, x, target, stride):
        """Whether the unit's output differs from its input in size or number of maps."""
        return stride > 1 or x.shape[-1] != target

    def convolution(self, x, cell, name):
        """A convolution of F or of the shortcut; its bias is left to the BN that follows."""
        return parts.conv(
            x, cell, name=f"conv_{name}", use_bias=not self.batch_norm, dtype=self.dtype_policy
        )

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
        own = ("convolutions", "shortcut", "order", "activated", "batch_norm", "synchronized")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}
