"""Training settings that depend on the machine, not the recipe.

This module does not import TensorFlow.
"""

from dataclasses import dataclass

from keras_ilsvrc.training.cluster import Cluster


@dataclass(frozen=True)
class Machine:
    """Machine settings for training. They affect its speed; results differ only by rounding.

    Args:
        replicas: Number of replicas without a cluster, as in `training.strategy.mirrored`; None for
            all GPUs, or one CPU device.
        cluster: Cluster of workers that includes this process; None for a single process.
        deadline: Seconds to wait at the start until all workers are connected.
        checkpoint_steps: Number of steps between checkpoints, as in `training.plan.Plan`.
        steps_per_call: Number of steps per graph call, as in `training.plan.Plan`.
        xla: Whether to compile with XLA, as in `training.update.Update`.
        stop_epoch: Epoch after which training stops with a checkpoint, as in `training.plan.Plan`.
        tensorboard: Whether to write TensorBoard files to `tensorboard` in the run directory.
    """

    replicas: int | None = None
    cluster: Cluster | None = None
    deadline: float = 300
    checkpoint_steps: int | None = None
    steps_per_call: int = 1
    xla: bool = False
    tensorboard: bool = False
    stop_epoch: int | None = None


HERE = Machine()  # one process that uses all GPUs, or one CPU device if there is no GPU
