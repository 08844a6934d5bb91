"""Which `tf.distribute` strategy, from what the machine has."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import tensorflow as tf

from keras_ilsvrc.data.pipeline import GONE
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.training.cluster import Cluster, Watch, lost_worker, meet


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
        return _over(*(f"/gpu:{i}" for i in range(replicas or len(gpus))))
    replicas = replicas or 1
    _make_logical_cpus(replicas)
    return _over(*(f"/cpu:{i}" for i in range(replicas)))


@cache
def _over(*devices):
    """One strategy for the same devices: collectives of two are taken for one another's."""
    return tf.distribute.MirroredStrategy(devices)


@contextmanager
def multi_worker(
    cluster: Cluster, deadline: float = 300
) -> Iterator[tf.distribute.MultiWorkerMirroredStrategy]:
    """MultiWorkerMirroredStrategy over all GPUs of all workers, or a CPU device of each.

    Enter it before TensorFlow computes anything. Within it, all workers end when one is lost;
    behind it, all have come to its end.

    Args:
        cluster: As from `cluster_of`.
        deadline: Seconds in which all workers have to come.

    Raises:
        InputError: If a worker is missing after the deadline.
        LostWorker: If another worker is gone.
    """
    meet(cluster, deadline)
    watch = Watch(cluster)
    watch.start()
    own = signal.getsignal(signal.SIGTERM)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(
            tf.distribute.cluster_resolver.SimpleClusterResolver(
                tf.train.ClusterSpec({"worker": list(cluster.workers)}),
                task_type="worker",
                task_id=cluster.index,
                num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
                rpc_layer="grpc",
            )
        )
        signal.signal(signal.SIGTERM, own)  # restore it: TensorFlow's server has replaced it
        yield strategy
        _come_together(strategy)
    except GONE as error:
        raise lost_worker(cluster, _lost(cluster, str(error))) from error
    finally:
        watch.done.set()


@tf.function
def _come_together(strategy):
    def on_replica():
        return tf.distribute.get_replica_context().all_reduce("SUM", tf.ones(()))

    return strategy.run(on_replica)


def _lost(cluster, said, seconds=3.0):
    """Return the names of the workers that do not answer, as soon as one does not.

    One that hangs still answers: then of those that TensorFlow names, or of the only other one.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if names := cluster.absent():
            return names
        time.sleep(0.2)
    others = [index for index in range(len(cluster.workers)) if index != cluster.index]
    tasks = {int(index) for index in re.findall(r"/replica:0/task:(\d+)", said)}
    named = [index for index in others if index in tasks or len(others) == 1]
    return [cluster.name(index) for index in named]


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


def threads() -> int:
    """Return the threads of an operation: TensorFlow's setting, else the available cores."""
    available = getattr(os, "sched_getaffinity", None)  # on Linux
    cores = len(available(0)) if available else os.cpu_count() or 1
    return tf.config.threading.get_intra_op_parallelism_threads() or cores
