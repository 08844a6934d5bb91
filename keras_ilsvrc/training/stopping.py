"""Early end of training: after SIGTERM, SIGHUP or SIGINT, or because training diverged."""

import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = ("SIGTERM", "SIGHUP", "SIGINT")


class Stopped(KeyboardInterrupt):
    """Exception that ends training or evaluation after a signal, for example SIGTERM.

    It is not a subclass of `Exception`, so that no library handles it as an error.
    """


class Diverged(Exception):
    """Error for training that diverged: non-finite weights, or repeatedly non-finite gradients."""


def ignore_signals() -> None:
    """Ignore SIGTERM, SIGHUP and SIGINT for the rest of the process."""
    for name in SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


class StopRequest:
    """Context manager that records SIGTERM, SIGHUP and SIGINT, and is truthy after a signal.

    A second SIGINT raises KeyboardInterrupt. Signals that the process ignores stay ignored, as
    `nohup` needs. Outside the main thread, the context manager has no effect.

    Args:
        at_once: Whether the first signal also raises `Stopped` immediately.
    """

    def __init__(self, at_once: bool = False) -> None:
        self.at_once = at_once
        self.name: str | None = None
        self.interrupted = False
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is not threading.main_thread():
            return self
        for name in SIGNALS:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is None or signal.getsignal(number) is signal.SIG_IGN:
                continue
            self.before[number] = signal.signal(number, self._note)
            outer = getattr(self.before[number], "__self__", None)
            # Copy the signal that an outer StopRequest has recorded. A library may have caught the
            # `Stopped` exception that the outer one raised.
            if isinstance(outer, StopRequest):
                self.name, self.interrupted = outer.name, outer.interrupted
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return self.name is not None

    def check(self) -> None:
        """Raise `Stopped` if a signal was received. Work that is not saved yet is lost then.

        Raises:
            Stopped: If a signal was received.
        """
        if self:
            raise Stopped(f"stopped by {self.name}")

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self.interrupted and number == signal.SIGINT
        first, self.name = not self, self.name or signal.Signals(number).name
        self.interrupted |= number == signal.SIGINT
        if again:
            raise KeyboardInterrupt
        if self.at_once and first:
            self.check()
