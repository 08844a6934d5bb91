"""Child processes that end with their parent, even if the parent is killed."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from keras_ilsvrc.training.cluster import LOST

# Environment variable with the file descriptor of a pipe that closes when the parent ends.
PARENT = "KERAS_ILSVRC_PARENT"
GRACE = 60.0  # seconds that a process has after SIGTERM to write a checkpoint and end


@contextmanager
def pipe_to_children() -> Iterator[tuple[dict[str, str], list[int]]]:
    """Open a pipe that closes when this process ends or the block is left.

    Yields:
        The environment variables and the file descriptors for `subprocess.Popen`.
    """
    pipe, ours = os.pipe()
    try:
        yield {PARENT: str(pipe)}, [pipe]
    finally:
        os.close(pipe)
        os.close(ours)


def end_with_parent() -> None:
    """End this process when its parent ends, if the parent started it in `pipe_to_children`."""

    def end_when_closed(pipe: int) -> None:
        os.read(pipe, 1)  # waits until the pipe closes, since nothing is ever written to it
        os._exit(LOST)  # ends the process even while TensorFlow computes

    if pipe := os.environ.pop(PARENT, None):
        threading.Thread(target=end_when_closed, args=(int(pipe),), daemon=True).start()


def end(process: "subprocess.Popen[bytes]", seconds: float = GRACE) -> None:
    """Stop a process with SIGTERM, and kill it if it does not end within some seconds."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
    process.wait()
