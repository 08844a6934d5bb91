"""Entry point of `python -m keras_ilsvrc` and `keras-ilsvrc`."""

import os
import signal
import sys

INTERRUPTED, STOPPED = 130, 75  # exit statuses


def main() -> None:
    """Run the command line interface. A signal during the imports ends it without a traceback."""
    training = "train" in sys.argv or "tune" in sys.argv
    status = STOPPED if training else INTERRUPTED
    names = ("SIGINT", "SIGTERM", "SIGHUP") if training else ("SIGINT",)
    before = {}
    for number in (getattr(signal, x) for x in names if hasattr(signal, x)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, lambda *_: os._exit(status))
    from keras_ilsvrc.cli import main as run
    from keras_ilsvrc.runs.processes import end_with_parent

    end_with_parent()
    if not training:  # `train` replaces these handlers with its own
        for number, handler in before.items():
            signal.signal(number, handler)
    run()


if __name__ == "__main__":
    main()
