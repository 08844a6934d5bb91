"""Standard streams that never raise write errors, and an import of TensorFlow without messages."""

import contextlib
import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from keras_ilsvrc.utils.errors import InputError, printable


def open_streams() -> None:
    """Connect closed standard streams to the null device; ignore write errors on open streams.

    If stderr is not a terminal, there are no progress bars and colours, even if FORCE_COLOR is
    set, as it is in notebooks.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor, which is `number`
    sys.stdout, sys.stderr = _text(1), _text(2)
    if not sys.stderr.isatty():
        os.environ.setdefault("TTY_COMPATIBLE", "0")  # rich then assumes no terminal


def show_log() -> None:
    """Print the package's log messages to stderr, for example which weights were recognised."""
    log, handler = logging.getLogger("keras_ilsvrc"), logging.StreamHandler()
    handler.setFormatter(_Printable())
    log.handlers = [handler]
    log.setLevel(logging.INFO)


class _Printable(logging.Formatter):
    """Formatter that escapes unprintable characters, for example in names from weight files."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).split("\n")))


class _Output(io.FileIO):
    """Stream that discards all output after the first write that fails."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:  # a closed pipe, closed terminal or full disk must not end the command
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
            return len(data)


def _text(number: int) -> io.TextIOWrapper:
    """Return a line-buffered stdout (1) or stderr (2) that escapes characters it cannot encode."""
    output = io.BufferedWriter(_Output(number, "w", closefd=False))
    encoding = getattr((sys.stdout, sys.stderr)[number - 1], "encoding", None) or "utf-8"
    return io.TextIOWrapper(output, encoding, "backslashreplace", line_buffering=True)


def quiet_tensorflow() -> None:
    """Import TensorFlow and list its devices. Show TensorFlow's messages only if this fails.

    TensorFlow's compiled code prints its first messages before any setting can suppress them.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet():
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide what compiled code writes to stderr. Show it if an error other than `InputError` occurs.

    Python code can still write to `sys.stderr`. After an `InputError`, its message is enough.
    """
    sys.stderr.flush()
    before, shown = sys.stderr, os.dup(2)
    with tempfile.TemporaryFile() as messages, open(shown, "w", errors="backslashreplace") as text:
        os.dup2(messages.fileno(), 2)
        sys.stderr = text
        try:
            yield
        except InputError:
            raise
        except Exception:
            text.flush()
            messages.seek(0)
            os.write(shown, messages.read())
            raise
        finally:
            sys.stderr = before
            os.dup2(shown, 2)
