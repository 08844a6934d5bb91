"""Cores and GPUs on which the runs of claims are trained."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Places:
    """Cores or GPUs, each of which one run has for itself."""

    def __init__(self, names: Sequence[str], are_gpus: bool, hidden: bool):
        self.free, self.are_gpus, self.hidden = list(names), are_gpus, hidden
        self.lock = threading.Lock()

    @contextmanager
    def taken(self) -> Iterator[dict[str, str]]:
        """Take a place during the block; yield the environment of a process there.

        On Linux, a child process runs on the cores of the thread that starts it.
        """
        with self.lock:
            name = self.free.pop(0) if self.free else None
        try:
            if name is not None and not self.are_gpus and hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, {int(name)})
            visible = name if self.are_gpus else "" if self.hidden else None
            yield {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
        finally:
            if name is not None:
                with self.lock:
                    self.free.append(name)


def cores() -> list[str]:
    """Return the numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return [str(x) for x in sorted(os.sched_getaffinity(0))]
    return [str(x) for x in range(os.cpu_count() or 1)]
