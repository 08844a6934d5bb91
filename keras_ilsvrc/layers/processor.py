"""The kind of processor that layers run on."""

import keras


def runs_on_cpu():
    """Return whether the backend is TensorFlow and there is no GPU."""
    tensorflow = keras.backend.backend() == "tensorflow"
    return tensorflow and not keras.distribution.list_devices("gpu")
