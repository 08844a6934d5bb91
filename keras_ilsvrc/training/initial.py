"""Initialization of the weights of a built model with the values given in the papers."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from keras_ilsvrc.layers.graph import leaves

# Standard initializers by name, for networks whose paper gives no initial values.
RULES = {
    "he": {"kernel": ("he",), "bias": {}},
    "glorot": {"kernel": ("glorot_uniform",), "bias": {}},
}


def set_initial_values(model: keras.Model, table: Mapping[str, Any], seed: int) -> None:
    """Draw new initial values for the kernels of a model, and set the biases to constants.

    Args:
        model: Functional model; layers without a kernel keep their values. The coefficients of
            LeNet-5's subsampling layers are drawn like kernels.
        table: `{"kernel": rule, "bias": {layer: value}}`. The rule is `("normal", deviation)`,
            `("fan_in", bound)` for uniform values between -bound / fan-in and bound / fan-in,
            `("he",)` for He et al.'s normal values, or `(name of a Keras initializer,)`.
            A bias that is not listed is set by the layer's own initializer.
        seed: Seed; the same seed gives the same values.
    """
    for number, layer in enumerate(leaves(model)):
        weight = getattr(layer, "kernel", getattr(layer, "coefficient", None))
        if weight is None:
            continue
        draw = _initializer(*table["kernel"], seed=seed * 100_003 + number)
        if hasattr(layer, "by_fan_in"):  # such a layer computes its own fan-in
            draw = layer.by_fan_in(draw)
        weight.assign(draw(weight.shape, dtype=weight.dtype))
        if layer.bias is not None:
            start = getattr(layer, "bias_initializer", keras.initializers.Zeros())
            if layer.name in table["bias"]:
                start = keras.initializers.Constant(table["bias"][layer.name])
            layer.bias.assign(start(layer.bias.shape, dtype=layer.bias.dtype))


def _initializer(name: str, *numbers: float, seed: int) -> Callable[..., Any]:
    """Return an initializer: a function that draws weights, given their shape and dtype.

    Args:
        name: First entry of a rule of `set_initial_values`, for example "normal".
        *numbers: Other entries of the rule, for example the standard deviation.
        seed: Seed; the same seed gives the same values.
    """
    if name == "normal":
        return keras.initializers.RandomNormal(stddev=numbers[0], seed=seed)
    if name == "he":
        return keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal", seed=seed)
    if name != "fan_in":
        return keras.initializers.get({"class_name": name, "config": {"seed": seed}})

    def draw(shape: Sequence[int], dtype: Any = None) -> Any:
        limit = numbers[0] / math.prod(shape[:-1])
        return keras.initializers.RandomUniform(-limit, limit, seed=seed)(shape, dtype=dtype)

    return draw
