"""Tests that each answer of docs/questions.md is what its command prints."""

import doctest
import re
import shlex
from pathlib import Path

import pytest
from cases import each_of
from commands import said
from counted import counted

from keras_ilsvrc import info
from keras_ilsvrc.claims.schema import find_claim

PAGE = (Path(__file__).parent.parent / "docs" / "questions.md").read_text(encoding="utf-8")
PARTS = dict(re.findall(r"^## (.*?)$\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
ANSWERS = dict(re.findall(r"^### (.*?)$\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
BLOCK = re.compile(r"^```(console|\{doctest\})\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (keras-ilsvrc .*?)$\n(.*?)(?=^\$ |\Z)", re.MULTILINE | re.DOTALL)
SHOWN = {  # each command, and all excerpts of its output
    command: [excerpt for other, excerpt in COMMAND.findall(blocks) if other == command]
    for blocks in ["\n".join(text for kind, text in BLOCK.findall(PAGE) if kind == "console")]
    for command, _ in COMMAND.findall(blocks)
}


def test_every_question_and_slip_is_answered_by_a_number():
    counts = {title: len(re.findall("^### ", text, re.MULTILINE)) for title, text in PARTS.items()}
    assert list(counts.values()) == [3, 12, 11]
    assert len(ANSWERS) == sum(counts.values())
    for question, answer in ANSWERS.items():
        before, *blocks = answer.strip().split("\n\n```")
        assert "\n\n" not in before, question  # one paragraph
        assert re.search(r"\d", blocks[0]), question
        assert BLOCK.search(f"```{blocks[0]}"), question


def test_claims_and_tests_that_are_named_exist():
    lecture = (Path(__file__).parent / "accounting" / "test_lecture.py").read_text("utf-8")
    claims, tests = (re.findall(rf"{kind} ([RE]\d+)", PAGE) for kind in ("[Cc]laim", "test"))
    assert len(claims) >= 8
    assert len(tests) >= 5
    for name in claims:
        assert find_claim(name).is_file()
    for name in tests:
        assert f"def test_{name.lower()}_" in lecture


@pytest.fixture
def quick_accounts(monkeypatch, shared):
    """Accounts that other tests need, too, are made only once."""

    def accounted(name, opened=False):
        net = info(name)
        return None, counted(shared, net.name.partition("[")[0], **net.varied)[1 + opened]

    monkeypatch.setattr("keras_ilsvrc.cli.accounts.accounted", accounted)


@pytest.mark.tensorflow
@each_of("command", SHOWN)
def test_commands_print_what_the_page_shows(command, quick_accounts):
    printed = [line.split() for line in said(*shlex.split(command)[1:]).splitlines()]
    for excerpt in SHOWN[command]:
        rest, gap = iter(printed), False
        for line in excerpt.strip().splitlines():
            if line == "...":
                gap = True
            elif gap:
                assert line.split() in rest, line  # which goes on after this line
                gap = False
            else:
                assert line.split() == next(rest, None), line


@pytest.mark.tensorflow
def test_examples_return_what_the_page_shows():
    text = "\n".join(text for kind, text in BLOCK.findall(PAGE) if kind == "{doctest}")
    example = doctest.DocTestParser().get_doctest(text, {}, "questions.md", None, None)
    failed, tried = doctest.DocTestRunner().run(example)
    assert not failed
    assert tried > 30
