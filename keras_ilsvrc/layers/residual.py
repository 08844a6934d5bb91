"""Residual unit of He et al. 2015 (arXiv:1512.03385) and He et al. 2016 (arXiv:1603.05027)."""

import math
from collections import namedtuple
from collections.abc import Mapping

import keras
from keras import layers

from keras_ilsvrc.layers import parts, sharing
from keras_ilsvrc.layers.arguments import check, check_image, is_number, is_whole
from keras_ilsvrc.layers.batch_norm import BatchNormalization
from keras_ilsvrc.layers.shortcuts import SHORTCUTS, TABLE_1, zero_pad

Order = namedtuple("Order", "before layer last after")

# fmt: off
# He et al. 2016, figure 4: the five orders of the layers in a unit. `before`: steps before each
# convolution. `layer`: a convolution and the steps after it. `last`: the last convolution and the
# steps after it. `after`: steps after the addition of the shortcut.
FIGURE_4 = {
    "original":        Order("",        "conv bn relu", "conv bn",      "relu"),
    "bn_after_add":    Order("",        "conv bn relu", "conv",         "bn relu"),
    "relu_before_add": Order("",        "conv bn relu", "conv bn relu", ""),
    "relu_preact":     Order("relu",    "conv bn",      "conv bn",      ""),
    "full_preact":     Order("bn relu", "conv",         "conv",         ""),
}
# fmt: on
PUBLISHED_GATE = -6.0  # bias b_g of the best gated nets in He et al. 2016, table 1

BATCH_NORM_KEYS = ({"momentum", "epsilon"}, {"momentum"}, {"epsilon"})
# For each argument: a function that returns whether a value is valid, and the text that names the
# valid values in error messages.
VALID = {
    "shortcut": (lambda x: x in list(SHORTCUTS), f"one of {', '.join(SHORTCUTS)}"),
    "order": (lambda x: x in list(FIGURE_4), f"one of {', '.join(FIGURE_4)}"),
    "activated": (lambda x: isinstance(x, bool), "True or False"),
    "batch_norm": (
        lambda x: x is None or (isinstance(x, Mapping) and {*x} in BATCH_NORM_KEYS),
        "{'momentum': 0.9, 'epsilon': 1e-05}, or None for no batch normalisation",
    ),
    "use_bias": (lambda x: x is None or x is True or x == "bare", "None, True or 'bare'"),
    "gate_bias": (is_number, "a number"),
    "synchronized": (lambda x: isinstance(x, bool), "True or False"),
    "seed": (lambda x: x is None or is_whole(x, 0), "None or a whole number"),
    "layer_configs": (
        lambda x: isinstance(x, Mapping) and all(isinstance(y, Mapping) for y in x.values()),
        "a dict from names of layers to their configurations",
    ),
}


@keras.saving.register_keras_serializable("keras_ilsvrc")
class ResidualUnit(layers.Layer):
    """Residual unit F(x) + h(x), where F is a stack of convolutions and h is the shortcut, if any.

    A pre-activation unit begins with BN and ReLU. If it changes the size or the number of feature
    maps, these first BN and ReLU are applied to the input of both F and the shortcut (He et al.,
    arXiv:1603.05027, appendix).

    Args:
        convolutions: The convolutions of F in the papers' notation (kernel, stride if it is not
            1, filters), for example `"conv3/2-128 conv3-128"`.
        shortcut: `"none"`, `"A"`, `"B"` or `"C"` (He et al., arXiv:1512.03385, section 4.1);
            `"constant_0.5"`, `"constant_0.5_0.5"`, `"exclusive_gating"`, `"shortcut_gating"` or
            `"dropout"` (arXiv:1603.05027, table 1); `"keras"` as in Keras' ResNet50V2.
        order: `"original"`, `"bn_after_add"`, `"relu_before_add"`, `"relu_preact"` or
            `"full_preact"`: order of convolutions, BN and ReLU (He et al., arXiv:1603.05027,
            figure 4).
        activated: Whether BN and ReLU have already been applied to the input, for example in the
            layers before the first unit. If so, a pre-activation unit omits its first BN and ReLU.
        batch_norm: Momentum and epsilon of BN, as a dict, or None for convolutions with biases and
            no BN.
        use_bias: Which convolutions have a bias if the unit has BN: None for none, True for all,
            `"bare"` for those not directly followed by BN.
        gate_bias: Initial bias of the gate in a gating shortcut (b_g in arXiv:1603.05027, table 1).
        synchronized: Whether BN uses the statistics of all replicas (TensorFlow only).
        seed: Seed of the shortcut `"dropout"`.
        layer_configs: Changes to the configurations (`get_config()`) of layers inside the unit, by
            layer name, for example `{"bn_1": {"trainable": False}}`. `get_config()` of the unit
            returns all such changes here, including those made after the unit was built.

    Shape:
        (batch, height, width, channels), channels last, to
        (batch, ceil(height / stride), ceil(width / stride), filters of the last convolution).

    Raises:
        ValueError: If an argument is invalid, if the number of input maps is unknown, or if the
            input has more maps than the output and the shortcut has no weights.
    """

    def __init__(
        self,
        convolutions,
        shortcut="B",
        order="original",
        activated=False,
        batch_norm=None,
        use_bias=None,
        gate_bias=PUBLISHED_GATE,
        synchronized=False,
        seed=None,
        layer_configs=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.cells = _cells(convolutions)
        layer_configs = {} if layer_configs is None else layer_configs
        given = locals()
        for name, (valid, expected) in VALID.items():
            check(name, given[name], valid(given[name]), expected)
        gated, drops = "gating" in shortcut, shortcut == "dropout"
        here = f"with shortcut {shortcut!r}"
        usual = f"{PUBLISHED_GATE} {here}, which has no gate"
        check("gate_bias", gate_bias, gated or gate_bias == PUBLISHED_GATE, usual)
        check("seed", seed, drops or seed is None, f"None {here}, which has no dropout")
        self.convolutions, self.shortcut, self.order = convolutions, shortcut, order
        self.activated, self.use_bias, self.synchronized = activated, use_bias, synchronized
        for name, value in (batch_norm or {}).items():
            check(f"batch_norm[{name!r}]", value, is_number(value, 0), "a number of at least 0")
        self.batch_norm = batch_norm and {k: float(v) for k, v in batch_norm.items()}
        self.gate_bias, self.seed = float(gate_bias), seed if seed is None else int(seed)
        self.layer_configs = _plain(layer_configs)
        self.form = FIGURE_4[order]
        self.stride = math.prod(cell.stride for cell in self.cells)

    def build(self, input_shape):
        self.compute_output_shape(input_shape)  # raises an error if the unit cannot be built
        image = keras.Input(input_shape[1:], dtype=self.compute_dtype)
        body = keras.Model(image, self.graph(image), name="body")
        body.trainable = self.trainable
        self.built_configs = {x.name: _plain(x.get_config()) for x in body.layers[1:]}
        self.body = self.configured(body) if self.layer_configs else body
        self.body.dtype_policy = self.dtype_policy
        self.built = True

    def configured(self, body):
        """Return a copy of the inner model with the layer settings that `layer_configs` changes."""
        for name in self.layer_configs:
            if name not in self.built_configs:
                known = ", ".join(self.built_configs)
                raise ValueError(f"layer_configs names layer {name!r}; expected one of {known}")

        def clone(layer):
            changed = self.layer_configs.get(layer.name, {})
            return type(layer).from_config({**layer.get_config(), **changed})

        return keras.models.clone_model(body, clone_function=clone)

    def graph(self, x):
        """Apply the layers of the unit to a symbolic input, and return the output."""
        stride, target = self.stride, self.cells[-1].filters
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
        """Return whether the shortcut must change the size or the number of feature maps."""
        return x.shape[-1] != target or (stride > 1 and self.shortcut != "keras")

    def convolution(self, x, cell, name, normalised):
        """Apply a convolution. `normalised` says whether BN directly follows the convolution."""
        bare = not (normalised and self.batch_norm)
        bias = {None: not self.batch_norm, True: True, "bare": bare}[self.use_bias]
        options = {"use_bias": bias, "dtype": self.dtype_policy}
        return parts.conv(x, cell, f"conv_{name}", **options)

    def gate(self, x, target, stride):
        """Return the gate g(x): a 1x1 convolution and a sigmoid (He et al. 2016, section 3.1)."""
        start = keras.initializers.Constant(self.gate_bias)
        options = {"kernel_initializer": parts.KERNEL_INITIALIZER, "bias_initializer": start}
        options |= {"data_format": "channels_last", "dtype": self.dtype_policy, "name": "gate"}
        gate = layers.Conv2D(target, 1, stride, activation="sigmoid", **options)
        return gate(x)

    def multiply(self, x, factor, gate, name):
        """Apply a `factor` of `TABLE_1` to `x`: multiply by a number or gate, or apply dropout."""
        options = {"dtype": self.dtype_policy, "name": f"{name}_scaled"}
        if factor is None:
            return x
        if factor == "dropout":
            return layers.Dropout(0.5, seed=self.seed, **options)(x)
        if isinstance(factor, float):
            return layers.Rescaling(factor, **options)(x)
        if factor == "1 - g":
            gate = layers.Rescaling(-1.0, 1.0, dtype=self.dtype_policy, name="gate_closed")(gate)
        return layers.Multiply(**options)([x, gate])

    def apply(self, x, steps, name):
        """Apply BN and ReLU layers in the order of `steps`, for example "bn relu"."""
        for step in steps.split():
            if step == "relu":
                x = layers.Activation("relu", dtype=self.dtype_policy, name=f"relu_{name}")(x)
            elif self.batch_norm:
                x = BatchNormalization(
                    **self.batch_norm,
                    synchronized=self.synchronized,
                    dtype=self.dtype_policy,
                    name=f"bn_{name}",
                )(x)
        return x

    def call(self, inputs, training=None):
        return sharing.run(self, inputs, training)

    def compute_output_shape(self, input_shape):
        check_image(input_shape)
        maps, target = input_shape[3], self.cells[-1].filters
        if SHORTCUTS[self.shortcut] is zero_pad and target < maps:
            raise ValueError(
                f"shortcut {self.shortcut} cannot reduce {maps} maps to {target}; it can only add "
                "maps: use shortcut B or C, or more filters"
            )
        sizes = [size and -(-size // self.stride) for size in input_shape[1:3]]
        return (input_shape[0], *sizes, target)

    def get_config(self):
        own = ("convolutions", "shortcut", "order", "activated", "use_bias", "gate_bias")
        own += ("synchronized", "seed")
        return {
            **super().get_config(),
            **{name: getattr(self, name) for name in own},
            "batch_norm": self.batch_norm and dict(self.batch_norm),
            "layer_configs": self.changed_configs(),
        }

    def changed_configs(self):
        """Return all changes to the configurations of inner layers, as {layer: {key: value}}."""
        if not self.built:
            return _plain(self.layer_configs)
        shared = {
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "synchronized": self.synchronized,
        }
        changes = {}
        for layer in self.body.layers[1:]:
            made = {**self.built_configs[layer.name], **_plain(shared)}
            config = _plain(layer.get_config())
            changed = {key: value for key, value in config.items() if value != made.get(key)}
            changes.update({layer.name: changed} if changed else {})
        return changes


def _cells(convolutions):
    """Parse the `convolutions` of a residual unit, or raise a ValueError if they are invalid."""
    try:
        cells = tuple(parts.Cell.parse(text) for text in convolutions.split())
    except (AttributeError, ValueError):
        cells = ()
    odd = all(size % 2 for cell in cells for size in parts.sides(cell.kernel))
    valid = cells and odd and all(cell.kind == "conv" for cell in cells)
    expected = "convolutions with odd kernels, for example 'conv3/2-64 conv3-64'"
    check("convolutions", convolutions, valid, expected)
    return cells


def _plain(config):
    """Return a configuration as plain dicts and lists, without Keras' `shared_object_id`."""
    if isinstance(config, Mapping):
        return {key: _plain(value) for key, value in config.items() if key != "shared_object_id"}
    return [_plain(value) for value in config] if isinstance(config, (list, tuple)) else config
