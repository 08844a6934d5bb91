"""The number formats in which nets are timed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import tensorflow as tf

from keras_ilsvrc.errors import InputError

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}  # {option: Keras' dtype policy}
FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # processor flags; the last one is of Arm
CPUINFO = Path("/proc/cpuinfo")  # exists only on Linux


@contextmanager
def policy(dtype: str) -> Iterator[None]:
    """Set Keras' dtype policy for the `with` block.

    Raises:
        InputError: If the processor does not compute in the format, and there is no GPU.
    """
    if dtype == "bfloat16" and not tf.config.list_physical_devices("GPU"):
        text = CPUINFO.read_text() if CPUINFO.is_file() else ""
        if not FLAGS & set(re.findall(r"\w+", text)):
            raise InputError(
                "--dtype bfloat16: the processor has none of the flags avx512_bf16, amx_bf16 and "
                "bf16, and there is no GPU; use --dtype float32"
            )
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[dtype])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
