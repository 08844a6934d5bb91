"""How training ends before its last step: by SIGTERM, SIGHUP or SIGINT, or diverged."""

import signal
import threading
from types import FrameType
from typing import Any


class Stopped(KeyboardInterrupt):
    """Training was asked to stop before its end; what it did is kept.

    Not an `Exception`, so that no library takes it for an error of its own.
    """


class Diverged(Exception):
    """Gradients are not finite, again and again."""


class StopRequest:
    """Context manager that takes over SIGTERM, SIGHUP and SIGINT.

    A second SIGINT raises KeyboardInterrupt. Signals that are ignored stay ignored, as `nohup`
    asks for. In other threads than the main one nothing is taken over.

    Args:
        at_once: Whether a signal raises `Stopped` wherever the program is; else it is recorded,
            and the object is true from then on.
    """

    def __init__(self, at_once: bool = False) -> None:
        self.at_once = at_once
        self.name: str | None = None
        self.interrupted = False
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is not threading.main_thread():
            return self
        for name in ("SIGTERM", "SIGHUP", "SIGINT"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is None or signal.getsignal(number) is signal.SIG_IGN:
                continue
            self.before[number] = signal.signal(number, self._note)
            outer = getattr(self.before[number], "__self__", None)
            if isinstance(outer, StopRequest):  # which may have raised where it was not heard
                self.name, self.interrupted = outer.name, outer.interrupted
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return self.name is not None

    def check(self) -> None:
        """End work that changes nothing and may be left at once.

        Raises:
            Stopped: If a signal has come.
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
