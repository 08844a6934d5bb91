"""Two logical CPU devices in this process; imported before any test starts TensorFlow."""

import pytest
import tensorflow as tf

from keras_ilsvrc.training import strategy

(CPU,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)


def mirrored(replicas):
    """The package's strategy of one or two CPU devices, also where there is a GPU."""
    return strategy._over(*(f"/cpu:{number}" for number in range(replicas)))


@pytest.fixture(scope="module")
def without_gpus():
    """As on a machine without a GPU, where replicas are logical CPU devices."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            tf.config, "list_physical_devices", lambda kind=None: [] if kind == "GPU" else [CPU]
        )
        yield
