"""One-line messages for bad input and for lack of memory. Does not import TensorFlow."""

import ctypes
import difflib
import errno
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

# Phrases in the out-of-memory messages of NumPy, TensorFlow, XLA and CUDA.
SIGNS = re.compile(
    "OOM when|out.of.memory|(failed to|unable to|cannot) alloc|bad_alloc|ALLOC_FAILED|MemoryError"
    "|Dst tensor is not initialized",
    re.IGNORECASE,
)


class InputError(ValueError):
    """Error in the user's input: an argument, a file or a recipe key.

    The message is one line: the name of the input, what was found, what was expected and what to
    do. If the error has several arguments, each is a line of the message. The command line
    interface prints the message and exits with status 2.
    """

    def __str__(self) -> str:
        return "\n".join(printable(str(line)) for line in self.args)


def reason(error: BaseException) -> str:
    """Return an error's message as one line of at most 200 characters; its class name if empty."""
    text = getattr(error, "strerror", None) or " ".join(str(error).split())
    return text[:200] or type(error).__name__


@contextmanager
def file_errors(path: object, action: str) -> Iterator[None]:
    """Convert an `OSError` in the `with` block into an `InputError` that names the file.

    Args:
        path: File, as it is named in the message.
        action: What could not be done to it: "read" or "written".
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be {action}: {reason(error)}") from error


def printable(text: str) -> str:
    """Return a text with unprintable characters escaped, e.g. in file names that are not UTF-8."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint for an unknown name: similar known names, or all known names if at most 12.

    The hint is empty if no known name is similar and more than 12 are known.
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(word) for word in close) + "?"
    if 0 < len(known) <= 12:
        return "known: " + ", ".join(known)
    return ""


def counted(count: float, noun: str) -> str:
    """Return a number with its noun, for example `1 replica` or `1,000 images`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def ran_out(error: BaseException) -> bool:
    """Return whether an error means that the host or a device ran out of memory."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # Check the message too: TensorFlow also raises ResourceExhaustedError for other reasons, for
    # example too many open files.
    of_tensorflow = hasattr(error, "error_code")
    return isinstance(error, MemoryError) or (of_tensorflow and bool(SIGNS.search(str(error))))


@contextmanager
def out_of_memory(advice: str) -> Iterator[None]:
    """Convert every out-of-memory error in the `with` block into an `InputError`.

    If the C++ error `std::bad_alloc` in a TensorFlow thread terminates the process, the process
    prints the same message and exits with status 2.

    Args:
        advice: Advice at the end of the message, for example "set a smaller batch_size".
    """
    message = f"out of memory: {{}}; {advice}"
    try:
        with _bad_alloc(f"error: {message.format('std::bad_alloc')}\n".encode()):
            yield
    except Exception as error:
        if not ran_out(error):
            raise
        lines = [line for line in str(error).splitlines() if SIGNS.search(line)]
        what = lines[0].strip()[:200] if lines else type(error).__name__
        raise InputError(message.format(what)) from error


@contextmanager
def _bad_alloc(line: bytes) -> Iterator[None]:
    """In a `with` block, print `line` and exit with status 2 if `std::bad_alloc` is not caught."""
    try:
        library: Any = ctypes.CDLL("libstdc++.so.6")
        set_terminate = library._ZSt13set_terminatePFvvE
        kind = library.__cxa_current_exception_type
    except (OSError, AttributeError):  # the C++ library is not libstdc++
        yield
        return
    handler = ctypes.CFUNCTYPE(None)
    set_terminate.restype = kind.restype = ctypes.c_void_p

    def terminate() -> None:
        found = kind()
        # In std::type_info, the pointer to the type's name is at offset 8.
        if found and ctypes.c_char_p.from_address(found + 8).value == b"St9bad_alloc":
            os.write(2, line)
            os._exit(2)
        handler(before)()

    own = handler(terminate)
    before = set_terminate(own)
    try:
        yield
    finally:
        set_terminate(ctypes.c_void_p(before))
