"""TensorFlow's start without its messages about devices that are not there."""

import os
import sys
import tempfile


def quiet_tensorflow() -> None:
    """Imports TensorFlow and finds its devices; what it says is shown only if that fails.

    Its first messages come from compiled code, before any setting can hold them back.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    shown = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except BaseException:
            said.seek(0)
            os.write(shown, said.read())
            raise
        finally:
            os.dup2(shown, 2)
            os.close(shown)
