"""Tests of progress bars, and of work in threads whose results keep their order."""

import io
import os
import subprocess
import sys
import threading
import time

import pytest
from rich.console import Console

from keras_ilsvrc.utils import bars


@pytest.fixture
def screen(monkeypatch):
    """What a terminal is shown."""
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=80)
    monkeypatch.setattr(bars, "Console", lambda stderr: console)
    return shown


def test_work_that_is_soon_done_shows_nothing(screen):
    assert list(bars.tracked(range(100), 100, "counting")) == list(range(100))
    assert not screen.getvalue()


def test_work_that_takes_long_shows_a_bar(screen, monkeypatch):
    monkeypatch.setattr(bars, "PATIENCE", 0.02)
    for _ in bars.tracked(range(5), 5, "counting"):
        time.sleep(0.01)
    assert "counting" in screen.getvalue()
    assert "5/5" in screen.getvalue()


def test_nothing_is_shown_where_there_is_no_terminal(monkeypatch, capfd):
    monkeypatch.setattr(bars, "PATIENCE", 0)
    assert len(list(bars.tracked(range(5), 5, "counting"))) == 5
    assert capfd.readouterr() == ("", "")


def test_threads_share_the_work_and_results_keep_its_order():
    workers = set()

    def work(number):
        workers.add(threading.get_ident())
        time.sleep(0.001 * (number % 3))
        return number**2

    assert list(bars.in_threads(work, range(200), "squaring")) == [x**2 for x in range(200)]
    assert threading.get_ident() not in workers


def test_an_error_in_a_thread_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(bars.in_threads(lambda number: 1 / number, [2, 1, 0], "dividing"))


def test_colours_that_a_notebook_asks_for_draw_no_bars():
    code = "from keras_ilsvrc.utils import streams; streams.open_streams()"
    code += "; from rich.console import Console; print(Console(stderr=True).is_terminal)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env={**os.environ, "FORCE_COLOR": "1"}, capture_output=True)
    assert done.stdout == b"False\n"
