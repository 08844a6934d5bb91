"""Entry point of `python -m keras_ilsvrc` and `keras-ilsvrc`."""

import os
import signal
import sys

INTERRUPTED, STOPPED = 130, 75  # exit statuses


def main() -> None:
    """Run the command line interface. Exit without a traceback if a signal arrives early."""
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
    if not training:  # `train` and `tune` install their own handlers
        for number, handler in before.items():
            signal.signal(number, handler)
    run()


if __name__ == "__main__":
    main()
