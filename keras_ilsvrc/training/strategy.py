"""`tf.distribute` strategies for the devices of one machine or of several workers."""

import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import tensorflow as tf

from keras_ilsvrc.data.pipeline import GONE
from keras_ilsvrc.training.cluster import Cluster, Watch, lost_worker, meet
from keras_ilsvrc.utils.errors import InputError

MOST_REPLICAS = 4096


def mirrored(replicas: int | None = None) -> tf.distribute.MirroredStrategy:
    """Return a MirroredStrategy over the GPUs, or over logical CPU devices if there is no GPU.

    Call this before TensorFlow computes anything, since it cannot create logical devices later.

    Args:
        replicas: Number of devices, at least 1; None for all GPUs, or one CPU device.

    Raises:
        InputError: If there are fewer GPUs than replicas, or if TensorFlow has already created
            fewer logical CPU devices than replicas.
    """
    if replicas is not None and not 1 <= replicas <= MOST_REPLICAS:
        raise InputError(f"replicas is {replicas}; expected 1 to {MOST_REPLICAS}")
    if not os.environ.get("TF_CONFIG", "set"):
        del os.environ["TF_CONFIG"]  # TensorFlow would fail to parse an empty value as JSON
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        if replicas and replicas > len(gpus):
            raise InputError(
                f"replicas is {replicas}, but this machine has {len(gpus)} GPUs; use at most one "
                "replica per GPU"
            )
        return _over(*(f"/gpu:{i}" for i in range(replicas or len(gpus))))
    replicas = replicas or 1
    _make_logical_cpus(replicas)
    return _over(*(f"/cpu:{i}" for i in range(replicas)))


@cache
def _over(*devices: str) -> tf.distribute.MirroredStrategy:
    """Return the strategy for these devices, created only once, since two would interfere."""
    return tf.distribute.MirroredStrategy(devices)


@contextmanager
def multi_worker(
    cluster: Cluster, deadline: float = 300
) -> Iterator[tf.distribute.MultiWorkerMirroredStrategy]:
    """Yield a MultiWorkerMirroredStrategy over all GPUs of all workers, or over their CPUs.

    Enter this context before TensorFlow computes anything. If a worker is lost in the block, the
    other workers end too. At the end of the block, all workers wait for each other.

    Args:
        cluster: Cluster, as returned by `cluster_of`.
        deadline: Maximum seconds to wait for all workers at the start.

    Raises:
        InputError: If a worker does not answer before the deadline.
        LostWorker: If another worker is lost.
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
        signal.signal(signal.SIGTERM, own)  # restore the handler that TensorFlow's server replaced
        yield strategy
        _come_together(strategy)
    except GONE as error:
        raise lost_worker(cluster, _lost(cluster, str(error))) from error
    finally:
        watch.done.set()


@tf.function
def _come_together(strategy: tf.distribute.Strategy) -> tf.Tensor:
    def on_replica() -> tf.Tensor:
        return tf.distribute.get_replica_context().all_reduce("SUM", tf.ones(()))

    return strategy.run(on_replica)


def _lost(cluster: Cluster, message: str, seconds: float = 3.0) -> list[str]:
    """Wait up to `seconds` until a worker stops answering, and return the names of lost workers.

    A worker that hangs may still answer. If all workers answer, return the workers that
    TensorFlow's error message names; in a cluster of two, return the other worker.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if names := cluster.absent():
            return names
        time.sleep(0.2)
    others = [index for index in range(len(cluster.workers)) if index != cluster.index]
    tasks = {int(index) for index in re.findall(r"/replica:0/task:(\d+)", message)}
    named = [index for index in others if index in tasks or len(others) == 1]
    return [cluster.name(index) for index in named]


def _make_logical_cpus(count: int) -> None:
    """Create `count` logical CPU devices, unless TensorFlow already has at least that many."""
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
            f"replicas is {count}, but TensorFlow has already started with {len(made)} CPU "
            "devices; set the number of replicas before any model is built"
        ) from error


def gpu_ids() -> list[str]:
    """Return the IDs of this machine's GPUs, as `CUDA_VISIBLE_DEVICES` would list them."""
    visible = [x for x in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if x]
    count = len(tf.config.list_physical_devices("GPU"))
    return visible[:count] if visible else [str(number) for number in range(count)]


def threads() -> int:
    """Return TensorFlow's number of threads per operation, by default one per available core."""
    available = getattr(os, "sched_getaffinity", None)  # this function exists only on Linux
    cores = len(available(0)) if available else os.cpu_count() or 1
    return tf.config.threading.get_intra_op_parallelism_threads() or cores
