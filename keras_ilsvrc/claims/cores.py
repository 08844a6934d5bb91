"""Allocation of CPU cores and GPUs to the runs of claims."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Places:
    """CPU cores or GPUs, each of which is used by one run at a time.

    Args:
        names: Numbers of the cores, or IDs of the GPUs.
        are_gpus: Whether `names` are GPUs.
        hidden: Whether to hide all GPUs from the runs.
    """

    def __init__(self, names: Sequence[str], are_gpus: bool, hidden: bool):
        self.free, self.are_gpus, self.hidden = list(names), are_gpus, hidden
        self.lock = threading.Lock()

    @contextmanager
    def taken(self) -> Iterator[dict[str, str]]:
        """Reserve a core or GPU for a `with` block; yield environment variables for its process.

        On Linux, the calling thread is bound to the core, and its child processes inherit this.
        If all cores and GPUs are in use, none is reserved.
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
