"""How a recipe is trained on this machine: what is no part of the recipe. Without TensorFlow."""

from dataclasses import dataclass

from keras_ilsvrc.training.cluster import Cluster


@dataclass(frozen=True)
class Machine:
    """What changes how long a training takes, and its result by rounding alone.

    Args:
        replicas: As for `training.strategy.mirrored`, where there is no cluster.
        cluster: The workers of which this process is one.
        deadline: Seconds in which all workers have to come.
        checkpoint_steps: As for `training.trainer.Trainer`.
        steps_per_call: As for `training.trainer.Trainer`.
        xla: As for `training.update.Update`.
        tensorboard: Whether TensorBoard's files are written, below `tensorboard` in the run's
            directory.
    """

    replicas: int | None = None
    cluster: Cluster | None = None
    deadline: float = 300
    checkpoint_steps: int | None = None
    steps_per_call: int = 1
    xla: bool = False
    tensorboard: bool = False


HERE = Machine()  # all GPUs of this machine, or one CPU device
