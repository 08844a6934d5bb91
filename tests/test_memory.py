"""Tests that a lack of memory leads to a one-line error with advice."""

import errno
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_ilsvrc import InputError
from keras_ilsvrc.utils.errors import out_of_memory, ran_out

GRAPH = "Graph execution error:\n\nDetected at node conv1\nOOM when allocating tensor with shape[9]"
RAN_OUT = [
    (MemoryError(), "MemoryError"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), "[Errno 12] Cannot al"),
    (tf.errors.ResourceExhaustedError(None, None, GRAPH), "OOM when allocating tensor"),
    (tf.errors.InternalError(None, None, "CUDA_ERROR_OUT_OF_MEMORY"), "CUDA_ERROR_OUT"),
    (tf.errors.UnknownError(None, None, "Failed to allocate memory for the batch"), "Failed to al"),
]
OTHERS = [
    ValueError("out of memory"),
    OSError(errno.ENOENT, "No such file"),
    tf.errors.ResourceExhaustedError(None, None, "/a/b.jpg; Too many open files"),
    tf.errors.InternalError(None, None, "collective failed"),
]


@pytest.mark.parametrize(("error", "reason"), RAN_OUT)
def test_every_form_of_running_out_is_one_line_with_advice(error, reason):
    assert ran_out(error)
    with pytest.raises(InputError) as caught, out_of_memory("set a smaller batch"):
        raise error
    assert str(caught.value).startswith(f"out of memory: {reason}")
    assert str(caught.value).endswith("; set a smaller batch")
    assert "\n" not in str(caught.value)


def test_an_array_too_large_for_numpy_is_one_line_too():
    said = r"^out of memory: Unable to allocate .*; use less$"
    with pytest.raises(InputError, match=said), out_of_memory("use less"):
        np.zeros((1 << 40, 1 << 10))


@pytest.mark.parametrize("error", OTHERS)
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as caught, out_of_memory("set a smaller batch"):
        raise error
    assert caught.value is error


# A thread that C++ ends, as one of TensorFlow's does when an allocation fails in it.
THREAD = """
import ctypes, threading
from keras_ilsvrc.utils.errors import out_of_memory
library = ctypes.CDLL("libstdc++.so.6")

def throw():
    library._ZSt{what}v()

with out_of_memory("use less"):
    pass
with out_of_memory("set a smaller batch"):
    thread = threading.Thread(target=throw)
    thread.start()
    thread.join()
"""


@pytest.mark.parametrize(
    ("what", "status", "said"),
    [
        ("17__throw_bad_alloc", 2, "error: out of memory: std::bad_alloc; set a smaller batch\n"),
        (
            "16__throw_bad_cast",
            -6,
            "throwing an instance of 'std::bad_cast'",
        ),
    ],
)
def test_an_exception_of_cpp_ends_the_process_with_its_own_line(what, status, said):
    done = subprocess.run(
        [sys.executable, "-c", THREAD.format(what=what)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
