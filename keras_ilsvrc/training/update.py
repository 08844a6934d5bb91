"""Training step of a model as a graph that works under every `tf.distribute` strategy.

Under a strategy, Keras' own training step fails with several steps per call, with gradient
accumulation, and with moving averages of the weights. Besides, it clips the gradients of each
replica by their global norm, although the sum over the replicas should be clipped.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from keras_ilsvrc.layers.graph import leaves
from keras_ilsvrc.training.losses import Loss
from keras_ilsvrc.utils.errors import InputError

FLOAT16_SCALE = 2.0**15  # initial loss scale; training in float16 is our addition to the papers
FLOAT16_PATIENCE = 2000  # steps without an overflow after which the loss scale doubles


class StepResult(NamedTuple):
    """Results of one training step over the images of all replicas."""

    loss: float  # mean over the global batch, plus regularization losses
    accuracy: float  # share of correct predictions
    gradient_norm: float
    finite: bool  # whether the loss and all gradients are finite
    stop: bool  # whether a worker has asked all workers to stop
    save: bool  # whether a worker has asked all workers to save a checkpoint
    waited: float  # seconds of waiting for images


class Update(tf.Module):
    """Training step: forward and backward pass, sum of gradients over replicas, weight update.

    The randomness of a step, for example in dropout, is a pure function of seed, step, replica and
    piece of the batch. It differs between replicas, and is the same if the step is repeated.

    A step whose loss or gradient is not finite changes no weight, but it does change the
    statistics of batch normalisation. In float16, if only the gradient is not finite, the scale
    of the loss is halved; the step counts as not finite only if the scale is already 1.

    Layers that are not trainable run as in inference. Keras does this only for batch normalisation;
    here it also applies to dropout.

    Args:
        model: Model built in the strategy's scope.
        optimizer: Keras optimizer that does its whole update in `update_step`.
        loss: Loss function of a batch.
        batch_size: Global batch size.
        seed: Seed of the randomness inside the model.
        clip_norm: Maximum global norm of the gradients, or None.
        accumulate: Number of pieces into which each replica splits its images to accumulate
            gradients; batch normalisation treats each piece as a batch.
        average: Momentum of the moving averages of the weights, or None for no averages. At step n,
            it is at most (1 + n) / (10 + n), as in TensorFlow; the papers have no such limit.
        xla: Whether XLA compiles the forward and backward pass of each replica.
        prepare: Function applied on the device to each batch of images before the model. If the
            iterator yields a tuple in place of the images, the function gets the tuple.
        mixup: Parameter alpha of mixup (Zhang et al., arXiv:1710.09412), above 0; None for none.
            Each piece is mixed with itself in reversed order. All pieces of a step use the same
            ratio, drawn from Beta(alpha, alpha). The accuracy counts both labels in this ratio.

    Raises:
        ValueError: If a replica's images cannot be divided into equal pieces.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: Loss,
        batch_size: int,
        seed: int,
        clip_norm: float | None = None,
        accumulate: int = 1,
        average: float | None = None,
        xla: bool = False,
        prepare: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
        mixup: float | None = None,
    ):
        super().__init__()
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self.batch_size, self.seed, self.clip_norm = batch_size, seed, clip_norm
        self.accumulate, self.average, self.prepare = accumulate, average, prepare
        self.mixup = mixup
        self.strategy = tf.distribute.get_strategy()
        replicas = self.strategy.num_replicas_in_sync
        if batch_size % (replicas * accumulate):
            raise ValueError(
                f"batch_size is {batch_size}; expected a multiple of {replicas * accumulate} "
                f"({replicas} replicas, accumulate = {accumulate})"
            )
        weights = model.trainable_weights
        optimizer.build(weights)
        self.averages = []
        if average is not None:
            self.averages = [_variable(weight, f"average/{weight.path}") for weight in weights]
        self.scale: Any = None
        self.good: Any = None
        if model.compute_dtype == "float16":
            self.scale = _variable(tf.constant(FLOAT16_SCALE), "loss_scale")
            self.good = _variable(tf.constant(0), "good_steps")
        self.seeds = [x for x in model.non_trainable_variables if is_seed(x)]
        self.differentiate = (
            tf.function(self._gradients, jit_compile=True) if xla else self._gradients
        )

    def variables_of_training(self) -> dict[str, tf.Variable]:
        """Return {name: variable} for all variables that training changes, except random seeds."""
        named = {f"model/{x.path}": x.value for x in self.model.variables if not is_seed(x)}
        prefix = f"{self.optimizer.name}/"  # an optimizer's name may differ between processes
        for x in self.optimizer.variables:
            named[f"optimizer/{x.path.removeprefix(prefix)}"] = x.value
        own = [*self.averages, *(x for x in (self.scale, self.good) if x is not None)]
        count = len(self.model.variables) - len(self.seeds) + len(self.optimizer.variables)
        if len(named) < count:
            raise InputError(
                f"{count - len(named)} of {count} variables have duplicate names; give each layer "
                "its own name"
            )
        return named | {f"update/{x.name.split(':')[0]}": x for x in own}

    def reset_averages(self) -> None:
        """Set the moving averages of the weights to the model's current weights."""
        with self.strategy.scope():
            for average, weight in zip(self.averages, self.model.trainable_weights):
                average.assign(weight.value.numpy())

    def take(
        self, iterator: Any, first: int, count: int, stop: bool = False, save: bool = False
    ) -> Sequence[StepResult]:
        """Take `count` training steps in one graph call, and return the result of each step.

        Args:
            iterator: Iterator over batches of (images, labels), distributed over the replicas.
            first: Number of the first step.
            count: Number of steps.
            stop: Whether to ask all workers to stop. `stop` is then set in all workers' results.
            save: Whether to ask all workers to save a checkpoint. `save` is set in the same way.
        """
        requests = tf.constant([stop, save], tf.float32)
        rows = self._take(iterator, tf.constant(first, tf.int64), count, requests)
        return [
            StepResult(loss, accuracy, norm, finite > 0, stop > 0, save > 0, waited)
            for loss, accuracy, norm, finite, stop, save, waited in rows.numpy().tolist()
        ]

    @tf.function(jit_compile=False, reduce_retracing=False)
    def _take(self, iterator: Any, first: tf.Tensor, count: int, requests: tf.Tensor) -> tf.Tensor:
        if count == 1:
            return self._step(iterator, first, requests)[None]
        rows = tf.TensorArray(tf.float32, count, element_shape=[len(StepResult._fields)])
        for number in tf.range(count):
            row = self._step(iterator, first + tf.cast(number, tf.int64), requests)
            rows = rows.write(number, row)
        return rows.stack()

    def _step(self, iterator: Any, step: tf.Tensor, requests: tf.Tensor) -> tf.Tensor:
        before = tf.timestamp()
        with tf.control_dependencies([before]):
            images, labels = next(iterator)
        with tf.control_dependencies(self.strategy.experimental_local_results(labels)):
            waited = tf.cast(tf.timestamp() - before, tf.float32)
        with self._frozen_dropout_off():
            row = self.strategy.run(self._on_replica, (images, labels, step, requests))
        row = self.strategy.experimental_local_results(row)[0]
        self.optimizer.iterations.assign_add(1)
        return tf.concat([row, waited[None]], 0)

    @contextmanager
    def _frozen_dropout_off(self) -> Iterator[None]:
        """Set the rate of frozen dropout layers to 0 while the graph of a step is traced."""
        kinds = (x for x in leaves(self.model) if isinstance(x, keras.layers.Dropout))
        rates = {layer: layer.rate for layer in kinds if not layer.trainable}
        try:
            for layer in rates:
                layer.rate = 0.0
            yield
        finally:
            for layer, rate in rates.items():
                layer.rate = rate

    def _on_replica(
        self, images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor, requests: tf.Tensor
    ) -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        sums, gradients = self._in_pieces(images, labels, step, context.replica_id_in_sync_group)
        sums = tf.concat([sums, requests], 0)
        if self.strategy.num_replicas_in_sync > 1:
            sums, *gradients = context.all_reduce("SUM", [sums, *gradients])
        if self.scale is not None:
            gradients = [gradient / self.scale for gradient in gradients]
        norm = tf.linalg.global_norm(gradients)
        finite = tf.math.is_finite(norm) & tf.math.is_finite(sums[0])
        if self.clip_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm, use_norm=norm)
        tf.cond(finite, lambda: self._apply(gradients), lambda: None)
        if self.scale is not None:  # an overflow is not a failure if the scale can be halved
            finite |= (self._rescale(finite) > 1) & tf.math.is_finite(sums[0])
        return tf.concat([sums[:2], [norm, tf.cast(finite, tf.float32)], sums[2:]], 0)

    def _in_pieces(
        self, images: tf.Tensor, labels: tf.Tensor, step: tf.Tensor, replica: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Split a replica's batch into pieces; return metrics and gradients summed over them."""
        ratio = self._mixing_ratio(step)
        if self.accumulate == 1:
            self._reseed(step, replica, 0)
            return self.differentiate(images, labels, ratio, step)
        size = self.batch_size // self.strategy.num_replicas_in_sync // self.accumulate

        def add(piece: tf.Tensor, sums: tf.Tensor, gradients: list[tf.Tensor]) -> Any:
            self._reseed(step, replica, piece)
            chosen = slice(piece * size, (piece + 1) * size)
            own = tf.nest.map_structure(lambda x: x[chosen], images)
            new_sums, new = self.differentiate(own, labels[chosen], ratio, step)
            return piece + 1, sums + new_sums, [old + each for old, each in zip(gradients, new)]

        zeros = [tf.zeros(x.shape, x.dtype) for x in self.model.trainable_weights]
        _, sums, gradients = tf.while_loop(
            lambda piece, *_: piece < self.accumulate, add, (0, tf.zeros(2), zeros)
        )
        return sums, gradients

    def _gradients(
        self, images: tf.Tensor, labels: tf.Tensor, ratio: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        images = self.prepare(images)
        if self.mixup:
            images = ratio * images + (1 - ratio) * images[::-1]
        weights = [weight.value for weight in self.model.trainable_weights]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            outputs = self.model(images, training=True)
            sums = tf.stack(self.loss(outputs, labels, step)) / self.batch_size
            if self.mixup:
                others = tf.stack(self.loss(outputs, labels[::-1], step)) / self.batch_size
                sums = ratio * sums + (1 - ratio) * others
            total = sums[0]
            if self.model.losses:  # each piece gets an equal share of the regularization losses
                shares = self.strategy.num_replicas_in_sync * self.accumulate
                total += tf.cast(tf.add_n(self.model.losses), tf.float32) / shares
            scaled = total if self.scale is None else total * self.scale
        gradients = tape.gradient(scaled, weights, unconnected_gradients="zero")
        return tf.stack([total, sums[1]]), gradients

    def _mixing_ratio(self, step: tf.Tensor) -> tf.Tensor:
        """Draw the mixup weight of the first of two images. All replicas draw the same weight."""
        if not self.mixup:
            return tf.constant(1.0)
        own = tf.constant([self.seed, -1])  # -1 differs from the numbers in `_reseed`: 0, 1, ...
        seed = tf.random.experimental.stateless_fold_in(own, tf.cast(step, tf.int32))
        # If a and b have gamma distributions, a / (a + b) has a beta distribution. Draw a and b in
        # float64, because in float32 both may be 0 if alpha is small.
        alpha = tf.constant(self.mixup, tf.float64)
        drawn = tf.random.stateless_gamma([2], seed, alpha, dtype=tf.float64)
        return tf.cast(tf.math.divide_no_nan(drawn[0], tf.reduce_sum(drawn)), tf.float32)

    def _reseed(self, step: tf.Tensor, replica: tf.Tensor, piece: Any) -> None:
        for number, state in enumerate(self.seeds):
            seed = tf.constant([self.seed, number])
            for part in (tf.cast(step, tf.int32), replica, piece):
                seed = tf.random.experimental.stateless_fold_in(seed, part)
            state.assign(tf.bitcast(seed, tf.uint32))

    def _apply(self, gradients: Sequence[tf.Tensor]) -> None:
        """Update this replica's copy of the weights. All replicas apply the same gradients."""
        rate = self.optimizer.learning_rate
        weights = self.model.trainable_weights
        for gradient, weight in zip(gradients, weights):
            self.optimizer.update_step(gradient, weight, rate)
            if weight.constraint is not None:
                weight.assign(weight.constraint(weight))
        if self.averages:
            taken = tf.cast(self.optimizer.iterations, tf.float32)
            momentum = tf.minimum(self.average, (1 + taken) / (10 + taken))
            for average, weight in zip(self.averages, weights):
                average.assign(momentum * average + (1 - momentum) * weight.value)

    def _rescale(self, finite: tf.Tensor) -> tf.Tensor:
        """Update the loss scale of float16 training, and return the scale used in this step."""
        scale = tf.identity(self.scale)
        patient = self.good + 1 >= FLOAT16_PATIENCE
        grown = tf.where(patient, scale * 2, scale)
        self.scale.assign(tf.where(finite, grown, tf.maximum(scale / 2, 1)))
        self.good.assign(tf.where(finite & ~patient, self.good + 1, 0))
        return scale


def is_seed(variable: keras.Variable) -> bool:
    """Return whether a variable is the random seed of a layer, for example of `Dropout`."""
    return variable.path.endswith("seed_generator_state")


def _variable(value: Any, name: str) -> tf.Variable:
    return tf.Variable(tf.convert_to_tensor(value), trainable=False, name=name.replace("/", "."))
