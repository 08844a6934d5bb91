"""Entry point of `python -m keras_ilsvrc` and `keras-ilsvrc`."""

import os
import signal
import sys

INTERRUPTED, STOPPED = 130, 75  # exit statuses
TRAINING = (["train"], ["tune"], ["claim"], ["challenge"], ["detect", "train"])  # first words


def main() -> None:
    """Run the command line interface. Exit without a traceback if a signal arrives early."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    training = words[:1] in TRAINING or words[:2] in TRAINING
    status = STOPPED if training else INTERRUPTED
    names = ("SIGINT", "SIGTERM", "SIGHUP") if training else ("SIGINT",)
    before = {}
    for number in (getattr(signal, x) for x in names if hasattr(signal, x)):
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, lambda *_: os._exit(status))
    from keras_ilsvrc.cli import main as run
    from keras_ilsvrc.runs.processes import end_with_parent

    end_with_parent()
    if not training:  # commands that train install their own handlers
        for number, handler in before.items():
            signal.signal(number, handler)
    run()


if __name__ == "__main__":
    main()
