"""Tests of the messages that the package logs on standard error."""

import logging

from keras_ilsvrc.utils.streams import show_log


def test_names_in_the_log_do_not_control_the_terminal(capsys, monkeypatch):
    log = logging.getLogger("keras_ilsvrc")
    monkeypatch.setattr(log, "handlers", [])
    before = log.level
    try:
        show_log()
        log.info("%s: left out\n%s", "a\x1b[2J\r.npz", "naïve 网")
    finally:
        log.setLevel(before)
    assert capsys.readouterr().err == "a\\x1b[2J\\r.npz: left out\nnaïve 网\n"
