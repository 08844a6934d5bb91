"""Gradients and responses of each layer of a model, measured on one batch in training mode."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.layers.graph import Call, check_functional, leaf_calls, output_of, run_call, walk
from keras_ilsvrc.training.losses import CrossEntropy
from keras_ilsvrc.training.update import is_seed
from keras_ilsvrc.utils.errors import InputError

# Loss scale for float16, so that small gradients do not become zero; this is our addition.
FLOAT16_FACTOR = 2.0**10
NORMALISATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.Normalization,
)
Loss = Callable[..., tuple[tf.Tensor, tf.Tensor]]
PLAIN = CrossEntropy()


class LayerFlow(NamedTuple):
    """Gradients and responses of one layer.

    Attributes:
        layer: Name of the layer, for example `conv3_1/conv_2` inside a residual unit.
        weight_gradient: Mean absolute gradient of the loss with respect to the kernel; None if the
            layer has no kernel.
        activation_gradient: Mean absolute gradient of the loss with respect to the responses.
        response: Standard deviation of the responses.
    """

    layer: str
    weight_gradient: float | None
    activation_gradient: float
    response: float


class GradientFlow:
    """TensorFlow graph of `gradient_flow`, traced only once for batches of the same size.

    Args:
        model: Functional model.
        loss: Loss function, as in `gradient_flow`.
        seed: Seed of the randomness inside the model.

    Raises:
        InputError: If the model is not functional, or has no layer with weights.
    """

    def __init__(self, model: keras.Model, loss: Loss, seed: int = 0):
        check_functional(model)
        self.model, self.loss, self.seed = model, loss, seed
        self.root = walk(model)
        self.calls = list(leaf_calls(self.root))
        self.weighted = [call for call in self.calls if _is_weighted(call.operation)]
        if not self.weighted:
            raise InputError(f"{model.name} has no layer with weights; nothing can be measured")
        self.responses = [_responses(call, self.calls) for call in self.weighted]

    def __call__(self, images: Any, labels: Any, step: int = 0) -> list[LayerFlow]:
        """Measure the model with its current weights; the loss gets `step`, as in training."""
        found = self._measure(images, labels, tf.constant(step, tf.int64)).numpy().T.tolist()
        return [
            LayerFlow(call.name, None if _kernel(call) is None else weights, activations, deviation)
            for call, (weights, activations, deviation) in zip(self.weighted, found)
        ]

    @tf.function(jit_compile=False, autograph=False, reduce_retracing=True)
    def _measure(self, images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        # In this scope, layers read copies of the variables, and their assignments are dropped. So
        # moving statistics and random seeds do not change, and other replicas need not take part.
        values = {id(x): tf.convert_to_tensor(_local(x.value)) for x in self.model.variables}
        values |= _seeds(self.model, self.seed)
        scope = keras.StatelessScope([(x, values[id(x)]) for x in self.model.variables])
        kernels = [_kernel(call) for call in self.weighted]
        kernels = [None if x is None else values[id(x)] for x in kernels]
        given = [x for x in kernels if x is not None]
        tensors = {id(x): y for x, y in zip(self.root.inputs, tf.nest.flatten(images))}
        with scope, tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([given, list(tensors.values())])
            for call in self.calls:
                run_call(call, tensors, training=getattr(call.operation, "trainable", True))
            outputs = [tensors[id(x)] for x in self.root.outputs]
            outputs = keras.tree.pack_sequence_as(output_of(self.model), outputs)
            total, _ = self.loss(outputs, labels, step)
            factor = FLOAT16_FACTOR if self.model.compute_dtype == "float16" else 1.0
            mean = total * factor / tf.cast(tf.size(labels), tf.float32)
        # Keras computes the loss from the inputs of a softmax, so take the gradients of the inputs.
        responses = [
            getattr(tensors[id(x)], "_keras_logits", tensors[id(x)]) for x in self.responses
        ]
        found = tape.gradient(mean, given + responses, unconnected_gradients="zero")
        sizes = [tf.reduce_mean(tf.abs(tf.cast(x, tf.float32))) / factor for x in found]
        unused = iter(sizes[: len(given)])
        weights = [tf.zeros(()) if x is None else next(unused) for x in kernels]
        deviations = [tf.math.reduce_std(tf.cast(x, tf.float32)) for x in responses]
        return tf.stack([weights, sizes[len(given) :], deviations])


def gradient_flow(
    model: keras.Model, images: Any, labels: Any, loss: Loss = PLAIN
) -> list[LayerFlow]:
    """Measure gradients and responses of every layer that has weights, in graph order.

    The model runs as in a training step: batch normalisation uses the statistics of the batch, and
    dropout is on, with a fixed seed. Nothing in the model is changed. The loss is the mean over the
    batch, without regularization losses. The result has no rows for normalisation layers.

    The responses of a layer are defined as in He et al., arXiv:1512.03385, figure 7: its outputs
    before the nonlinearity or addition that follows, but after batch normalisation if that follows
    directly. If the layer itself contains the activation, as in `Conv2D(..., activation="relu")`,
    the responses are the outputs of the activation. A softmax is an exception: the responses are
    its inputs.

    Args:
        model: Functional model whose outputs are probabilities, or a dict of probabilities by name
            with auxiliary classifiers.
        images: Batch as the model takes it, for example (batch, height, width, channels).
        labels: Integer labels, (batch,).
        loss: Function from outputs, labels and a step to the loss summed over the batch and the
            number of correct predictions, for example a `CrossEntropy` with weights of outputs.

    Raises:
        InputError: If the model is not functional, has no layer with weights, or if the numbers of
            images and labels differ.
    """
    images = keras.tree.map_structure(tf.convert_to_tensor, images)
    labels = tf.convert_to_tensor(labels)
    counts = {len(x) for x in tf.nest.flatten(images)} | {len(labels)}
    if len(counts) > 1 or 0 in counts:
        raise InputError(
            f"images and labels have lengths {sorted(counts)}; expected one label for each image"
        )
    return GradientFlow(model, loss)(images, labels)


def branch_placement(
    rows: Sequence[Mapping[str, Any]], below: float = 1e-7, iterations: int = 50
) -> str | None:
    """Return the layer after which an auxiliary branch belongs; None if no branch is needed.

    This is the rule of CNDS (Wang, Lee, Tu and Lazebnik, arXiv:1505.02496): train the net with only
    its main loss for 10 to 50 iterations, and add a branch where the mean gradient of the weights
    is below 1e-7. If this holds for several layers, this function returns the deepest of them,
    since a branch feeds gradients to all layers before it. In the authors' net of eight
    convolutions, this is the fourth convolution. To place more branches, train the net with the
    first branch, and apply the rule to the layers of the main path again.

    Args:
        rows: Rows with `step`, `layer` and `weight_gradient`, with layers in graph order, as in
            `gradients.csv`.
        below: Mean absolute gradient below which a gradient counts as vanished.
        iterations: Number of the last step whose rows are used.
    """
    early = [row for row in rows if row["step"] <= iterations]
    vanished = {
        row["layer"]
        for row in early
        if row["weight_gradient"] is not None and row["weight_gradient"] < below
    }
    order = dict.fromkeys(row["layer"] for row in early)
    return next((layer for layer in reversed(order) if layer in vanished), None)


def _is_weighted(operation: Any) -> bool:
    """Return whether an operation is a layer with weights, but not a normalisation layer."""
    layer = isinstance(operation, keras.layers.Layer) and not isinstance(operation, NORMALISATIONS)
    return layer and any(not is_seed(x) for x in operation.weights)


def _kernel(call: Call) -> Any:
    kernel = getattr(call.operation, "kernel", None)
    return kernel if isinstance(kernel, keras.Variable) else None


def _responses(call: Call, calls: Sequence[Call]) -> Any:
    """Return a layer's output, or that of the normalisation layer that directly follows it."""
    output = call.outputs[0]
    behind = [other for other in calls if any(x is output for x in other.inputs)]
    if len(behind) == 1 and isinstance(behind[0].operation, NORMALISATIONS):
        return behind[0].outputs[0]
    return output


def _seeds(model: keras.Model, seed: int) -> dict[int, tf.Tensor]:
    """Return fixed values for a model's random seeds, for example of `Dropout`, by `id`."""
    states = [x for x in model.non_trainable_variables if is_seed(x)]
    draw = np.random.default_rng(seed)
    return {id(x): tf.constant(draw.integers(2**32, size=x.shape, dtype="uint32")) for x in states}


def _local(variable: Any) -> Any:
    """Return this process's first copy of a variable that has a copy on every replica."""
    return getattr(variable, "values", (variable,))[0]
