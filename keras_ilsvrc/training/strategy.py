"""Which `tf.distribute` strategy, from what the machine has."""

import tensorflow as tf

from keras_ilsvrc.errors import InputError


def mirrored(replicas: int | None = None) -> tf.distribute.MirroredStrategy:
    """MirroredStrategy over the GPUs, or over logical CPU devices where there is none.

    Call it before TensorFlow computes anything: logical devices are made at its start.

    Args:
        replicas: How many devices; None for all GPUs, or one CPU device.

    Raises:
        InputError: If there are fewer GPUs than replicas, or TensorFlow has started with
            fewer logical devices.
    """
    if replicas is not None and replicas < 1:
        raise InputError(f"replicas is {replicas}; expected at least 1")
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        if replicas and replicas > len(gpus):
            raise InputError(f"replicas is {replicas}, but this machine has {len(gpus)} GPUs")
        names = [f"/gpu:{i}" for i in range(replicas or len(gpus))]
        return tf.distribute.MirroredStrategy(names)
    replicas = replicas or 1
    _make_logical_cpus(replicas)
    return tf.distribute.MirroredStrategy([f"/cpu:{i}" for i in range(replicas)])


def _make_logical_cpus(count):
    cpu = tf.config.list_physical_devices("CPU")[0]
    made = tf.config.get_logical_device_configuration(cpu) or [None]
    if len(made) >= count:
        return
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * count
        )
    except RuntimeError as error:
        raise InputError(
            f"replicas is {count}, but TensorFlow has started with {len(made)} CPU devices: "
            "choose the replicas before building any model"
        ) from error
