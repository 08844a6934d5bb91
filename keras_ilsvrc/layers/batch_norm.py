"""Batch normalisation layer that is fast on CPUs (Ioffe and Szegedy, arXiv:1502.03167)."""

import functools

import keras


@keras.saving.register_keras_serializable("keras_ilsvrc")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` that runs as one operation on a CPU.

    Keras normalises feature maps with about ten operations, each of which reads or writes all
    values. With TensorFlow on a CPU, this layer uses one operation for the forward pass and one for
    the backward pass, which is several times faster (`keras-ilsvrc bench layers`). In all other
    cases, for example on GPUs, on other backends, or with statistics synchronized between replicas,
    this layer runs the code of Keras' layer. Arguments, weights, names and results are those of
    Keras' layer.

    Shape:
        (batch, height, width, channels), channels last, unchanged.
    """

    def call(self, inputs, training=None, mask=None):
        learns = bool(training and self.trainable)
        if mask is not None or not self.fuses(inputs, learns):
            return super().call(inputs, training=training, mask=mask)
        import tensorflow as tf

        channels = inputs.shape[-1]
        unset = tf.zeros([0])
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=tf.convert_to_tensor(self.gamma) if self.scale else tf.ones(channels),
            offset=tf.convert_to_tensor(self.beta) if self.center else tf.zeros(channels),
            mean=unset if learns else tf.convert_to_tensor(self.moving_mean),
            variance=unset if learns else tf.convert_to_tensor(self.moving_variance),
            epsilon=self.epsilon,
            is_training=learns,
        )
        if learns:
            # The operation divides the sum of squared deviations by n - 1, but Keras divides by n.
            count = tf.cast(tf.size(inputs) // channels, "float32")
            for moving, value in (
                (self.moving_mean, mean),
                (self.moving_variance, variance * ((count - 1) / count)),
            ):
                moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return outputs

    def fuses(self, inputs, learns):
        """Return whether a single TensorFlow operation can normalise the inputs.

        `learns` is True if the layer uses the statistics of the batch and updates its averages.
        """
        return (
            keras.backend.backend() == "tensorflow"
            and not keras.distribution.list_devices("gpu")
            and len(inputs.shape) == 4
            and self.axis in (-1, 3)
            and not self.renorm
            and inputs.dtype == self.compute_dtype
            and self.variable_dtype == "float32"
            and _supports(self.compute_dtype)
            and not (learns and self.synchronized and replica_count() > 1)
        )


def _supports(dtype):
    """Return whether TensorFlow's operation supports inputs of this type on this machine.

    For bfloat16, only oneDNN implements the operation. It works only in graphs, and not on every
    CPU.
    """
    import tensorflow as tf

    return dtype == "float32" or (
        dtype == "bfloat16" and not tf.executing_eagerly() and _has_bfloat16()
    )


@functools.cache
def _has_bfloat16():
    import tensorflow as tf

    @tf.function
    def normalise(x):
        ones = tf.ones(1)
        return tf.raw_ops.FusedBatchNormV3(x=x, scale=ones, offset=ones, mean=ones, variance=ones)

    try:
        with tf.init_scope():
            normalise(tf.ones((1, 1, 1, 1), "bfloat16"))
    except tf.errors.OpError:
        return False
    return True


def replica_count():
    """Return the number of replicas of TensorFlow's current strategy, or 1 on other backends."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync
