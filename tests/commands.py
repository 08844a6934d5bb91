"""Helper that runs commands in this process, from `main` on, as if a user had typed them."""

import os
import signal
import sys
import tempfile
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from keras_ilsvrc.cli import main
from keras_ilsvrc.training.stopping import SIGNALS


def call(*words, columns=160):
    """Run a command; return its exit status, and what it wrote to stdout and stderr.

    `columns` is the width of the terminal, by default so wide that no word is cut.
    """
    texts = [_Stream(1), _Stream(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(columns))
        patch.setattr(sys, "argv", ["keras-ilsvrc", *map(str, words)])
        for name in ("stdout", "stderr"):  # which `main` replaces
            patch.setattr(sys, name, getattr(sys, name))
        with texts[0], texts[1], _handlers_kept(), pytest.raises(SystemExit) as end:
            main()
    return SimpleNamespace(status=end.value.code or 0, stdout=texts[0].text, stderr=texts[1].text)


def said(*words):
    """Run a command that succeeds; return what it printed."""
    done = call(*words)
    assert done.status == 0, done.stderr[-3000:]
    return done.stdout


def refused(*words):
    """Run a command that is refused with status 2; return its one line about the error."""
    done = call(*words)
    assert done.status == 2, done.stderr[-3000:]
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert done.stderr.splitlines()[-1] == errors[0]
    assert not done.stdout
    return errors[0].removeprefix("error: ")


@contextmanager
def _handlers_kept():
    """Restore the signal handlers, as a command that is stopped ignores all later signals."""
    handlers = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in SIGNALS}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                signal.signal(number, handler)


class _Stream:
    """A file descriptor whose output becomes `text`, also that of compiled code."""

    def __init__(self, number):
        self.number = number

    def __enter__(self):
        self.kept, self.file = os.dup(self.number), tempfile.TemporaryFile()
        os.dup2(self.file.fileno(), self.number)

    def __exit__(self, *error):
        (sys.stdout, sys.stderr)[self.number - 1].flush()
        os.dup2(self.kept, self.number)
        os.close(self.kept)
        with self.file:
            self.file.seek(0)
            self.text = self.file.read().decode()
