"""TensorFlow's start without its forty lines."""

import os


def quiet_tensorflow() -> None:
    """Imports TensorFlow with its messages below errors switched off, unless asked for."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
