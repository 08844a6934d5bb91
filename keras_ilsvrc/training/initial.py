"""The papers' initial values, on a model that stands."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_ilsvrc.layers.graph import leaves

# Rules of no paper of this family, by name.
RULES = {
    "he": {"kernel": ("he_normal",), "bias": {}},
    "glorot": {"kernel": ("glorot_uniform",), "bias": {}},
}


def set_initial_values(model: keras.Model, table: Mapping[str, Any], seed: int) -> None:
    """Draws every kernel anew and sets every bias.

    Args:
        model: Any functional model; what has no kernel keeps its values.
        table: `{"kernel": ("normal", deviation) or (Keras initializer,), "bias": {layer: value}}`;
            biases of layers that are not named become zero.
        seed: The same seed gives the same values.
    """
    name, *deviation = table["kernel"]
    for number, layer in enumerate(leaves(model)):
        if not hasattr(layer, "kernel"):
            continue
        own_seed = seed * 100_003 + number
        if name == "normal":
            draw = keras.initializers.RandomNormal(stddev=deviation[0], seed=own_seed)
        else:
            draw = keras.initializers.get({"class_name": name, "config": {"seed": own_seed}})
        layer.kernel.assign(draw(layer.kernel.shape, dtype=layer.kernel.dtype))
        if layer.bias is not None:
            value = table["bias"].get(layer.name, 0.0)
            layer.bias.assign(keras.ops.full(layer.bias.shape, value, dtype=layer.bias.dtype))
