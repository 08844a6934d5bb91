"""Read the files of a folder with limited resources, and print what happened as JSON.

    python hostile_process.py FOLDER GOOD OUTSIDE

The files in GOOD are read first, so that all modules are imported. OUTSIDE is a folder in which no
file may be opened. The script prints {file name: [error, seconds, [events]]}.
"""

import ctypes
import encodings.ascii  # noqa: F401, which h5py imports for some types
import json
import os
import resource
import select
import sys
import time
from pathlib import Path

import h5py

from keras_ilsvrc import InputError
from keras_ilsvrc.weights import read

MORE = 512 * 2**20
# Events of the interpreter that neither run code nor open anything. NumPy compiles the header of an
# array, which it does not run: that would be `exec`.
HARMLESS = {"builtins.id", "object.__getattr__", "sys._getframe", "compile"}


class Record:
    """What the interpreter does while it reads a file, but for opening this file."""

    def __init__(self):
        self.path, self.events = None, []
        sys.addaudithook(self.hook)

    def hook(self, event, arguments):
        if self.path is None or event in HARMLESS:
            return
        if event != "open" or os.fspath(arguments[0]) != self.path:
            self.events.append(f"{event} {str(arguments[:2])[:80]}")


def watch(folder):
    """Return the descriptor of a watch on a folder and the files in it, also for compiled code."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init()
    for path in (folder, *folder.iterdir()):
        assert libc.inotify_add_watch(descriptor, os.fsencode(path), 0x00000FFF) >= 0
    return descriptor


def limit(path):
    """Limit the memory to what is in use, twice the file, and 512 MB."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = used + 2 * path.stat().st_size + MORE
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))


def attempt(path):
    """Read all arrays of a file; return the error."""
    try:
        tensors = read(path)
        for name in tensors:
            tensors[name]
    except InputError as error:
        return str(error)
    except BaseException as error:
        return f"{type(error).__name__}, not InputError: {error}"
    return "no error"


def check(record, descriptor, path):
    """Check that what must not happen would be seen: code, other files, and too much memory."""
    record.path, record.events = "", []
    exec("path.exists()")
    record.path = None
    assert "exec" in record.events[-1]
    with h5py.File(path) as file:
        assert file["w"].shape
    assert select.select([descriptor], [], [], 0)[0]
    limit(path)
    try:
        bytes(2 * MORE)
    except MemoryError:
        return
    raise AssertionError("no limit of memory")


def main():
    folder, good, outside = map(Path, sys.argv[1:])
    for path in sorted(good.iterdir()):
        assert attempt(path) == "no error", (path, attempt(path))
    record, descriptor, found = Record(), watch(outside), {}
    for path in sorted(folder.iterdir()):
        limit(path)
        start, record.path, record.events = time.monotonic(), str(path), []
        said = attempt(path)
        record.path = None
        seconds = time.monotonic() - start
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
        if select.select([descriptor], [], [], 0)[0]:
            record.events.append(f"inotify {os.read(descriptor, 4096)[:60]}")
        found[path.name] = said, seconds, record.events
    check(record, descriptor, folder / "external_link.h5")
    json.dump(found, sys.stdout)


main()
