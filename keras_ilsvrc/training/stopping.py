"""Asked to stop: by SIGTERM or SIGINT."""

import signal
from types import FrameType


class Stopped(Exception):
    """Training was asked to stop before its end; what it did is kept."""


class StopRequest:
    """As a context, takes note of SIGTERM and SIGINT; a second SIGINT interrupts at once."""

    def __init__(self) -> None:
        self.name: str | None = None

    def __enter__(self) -> "StopRequest":
        self.before = {x: signal.signal(x, self._note) for x in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return self.name is not None

    def check(self) -> None:
        """For work that changes nothing and may be left at once.

        Raises:
            Stopped: If a signal has come.
        """
        if self:
            raise Stopped(self.name)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.name = signal.Signals(number).name
