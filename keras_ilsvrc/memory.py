"""Running out of memory as an error of one line. Importing this imports no TensorFlow."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from keras_ilsvrc.errors import InputError

# How NumPy, TensorFlow, XLA and CUDA say it.
SIGNS = re.compile(
    "OOM when|out.of.memory|(failed|unable|cannot) to? ?alloc|bad_alloc|ALLOC_FAILED|MemoryError"
    "|Dst tensor is not initialized",
    re.IGNORECASE,
)


def ran_out(error: BaseException) -> bool:
    """Return whether an error says that memory ran out, on the host or on a device."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # The class is not enough: too many open files are a ResourceExhaustedError too.
    of_tensorflow = hasattr(error, "error_code")
    return isinstance(error, MemoryError) or (of_tensorflow and bool(SIGNS.search(str(error))))


@contextmanager
def out_of_memory(advice: str) -> Iterator[None]:
    """Turn every error that says memory ran out into an `InputError`.

    Args:
        advice: What to do about it, the end of the message.
    """
    try:
        yield
    except Exception as error:
        if not ran_out(error):
            raise
        reason = str(error).strip().splitlines() or ["no more can be allocated"]
        raise InputError(f"out of memory: {reason[0][:200]}; {advice}") from error
