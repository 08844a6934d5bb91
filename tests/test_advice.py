"""Tests of the report's advice on what to try next: each rule at its threshold."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from keras_ilsvrc.report.advice import MOST, RULES, Evidence, advice, evidence, rare, sentences
from keras_ilsvrc.runs.finished import FinishedRun

pytestmark = pytest.mark.tensorflow
# A rule's sentence starts in its own way.
STARTS = {
    "guessing": "The test error, {e.test:.1f} %, is hardly",
    "overfits": "The training error, {e.train:.1f} %, is far below",
    "falls": "The loss was still falling",
    "underfits": "The training error is high",
    "rose": "The validation error rose",
    "rare": "Few training images",
    "few": "With {e.images:,} test images",
}
GOOD = Evidence(test=4.0, spread=1.0, images=1000, classes=10, train=3.0)
FLAT = [1.0] * 8


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({}, ""),
        ({"test": 81.0, "train": 80.0}, "guessing"),  # guessing is wrong in 90 %
        ({"test": 80.9, "train": 80.0}, "underfits"),
        ({"test": 8.0}, "overfits"),
        ({"test": 7.9}, ""),
        ({"test": 19.9, "train": 10.0}, ""),
        ({"test": 20.0, "train": 10.0}, "overfits"),
        ({"test": 8.0, "train": None}, ""),
        ({"test": 85.0, "train": 0.0}, "guessing"),
        ({"test": 25.0, "train": 20.0}, "underfits"),
        ({"test": 25.0, "train": 19.9}, ""),
        ({"losses": FLAT}, ""),
        ({"losses": [1.0] * 14 + [0.95] * 2}, "falls"),
        ({"losses": [1.0] * 14 + [0.96] * 2}, ""),
        ({"losses": [1.0] * 12 + [0.5] * 4}, ""),  # fell before the end
        ({"losses": [1.0, 0.5, 0.2]}, ""),  # too few epochs
        ({"losses": [1.0] * 14 + [0.5] * 2, "test": 8.0}, "overfits"),  # of the training images
        ({"losses": [2, 1, 1, 0.5], "test": 8.0, "validation": [9, 8, 8, 8]}, "overfits falls"),
        ({"losses": [2, 1, 1, 0.5], "test": 30.0, "train": 25.0}, "falls"),
        ({"validation": [9.0, 5.0, 6.0]}, "rose"),
        ({"validation": [9.0, 5.0, 5.9]}, ""),
        ({"validation": [9.0, 5.0, 6.0], "best": True}, ""),
        ({"rare": ["owl"]}, "rare"),
        ({"rare": ["owl"], "balanced": True}, ""),
        ({"spread": 5.0}, "few"),
        ({"spread": 4.9}, ""),
    ],
)
def test_a_rule_applies_from_its_threshold_on(changes, rules):
    found = dataclasses.replace(GOOD, **changes)
    texts = [text for applies, text in RULES if applies(found)]
    assert [x for x in STARTS if any(text.startswith(STARTS[x]) for text in texts)] == rules.split()
    assert len(texts) == len(rules.split())


def test_every_sentence_names_its_numbers_and_a_few_are_shown():
    found = dataclasses.replace(
        GOOD, test=12.5, validation=[9.0, 5.25, 6.5], rare=["owl", "cat", "dog", "ox"], spread=6.4
    )
    first, second, third = sentences(found)
    assert "3.0 %" in first
    assert "12.5 %" in first
    assert "5.2 % after epoch 2 to 6.5 %" in second
    assert "owl, cat, dog and 1 more." in third
    assert len(sentences(found)) == MOST < sum(applies(found) for applies, _ in RULES)


def fake(expected=None, **keys):
    """A run with 8, 8 and 2 training images of three classes, the last of which is never right."""
    labels, guesses = np.array([0, 0, 1, 1, 2, 2]), [0, 0, 1, 1, 0, 1]
    experiment = SimpleNamespace(
        source=SimpleNamespace(classes=("a", "n01440764", "n01443537")),
        train=SimpleNamespace(labels=np.repeat([0, 1, 2], [8, 8, 2])),
        test=SimpleNamespace(labels=labels),
        recipe=SimpleNamespace(
            **{"loss": SimpleNamespace(class_weights=None), "keep": None, **keys}
        ),
    )
    result = {"top1_error": 33.3, "top1_interval": [30.0, 38.0], "images": 6}
    result["expected"] = expected and {"by": "published", "top1_error": expected}
    history = [
        {"loss": 2.0, "error": 50.0, "validation_loss": None, "validation_error": None},
        {"loss": 1.0, "error": 40.0, "validation_loss": 3.0, "validation_error": 42.0},
    ]
    return FinishedRun(None, experiment, result, history, np.eye(3)[guesses])


def test_evidence_is_read_from_a_run():
    found = evidence(fake(keep="best", loss=SimpleNamespace(class_weights="balanced")))
    assert (found.test, found.spread, found.images, found.classes) == (33.3, 4.0, 6, 3)
    assert (found.train, found.losses, found.validation) == (40.0, [3.0], [42.0])
    assert (found.rare, found.best, found.balanced) == (["goldfish"], True, True)
    kept = fake()
    kept.result["kept_epoch"] = 1
    assert evidence(kept).train == 50.0
    assert evidence(fake()).best is evidence(fake()).balanced is False


def test_classes_are_rare_only_if_they_are_also_mistaken():
    run = fake()
    right = dataclasses.replace(run, probabilities=np.eye(3)[run.labels])
    assert rare(right) == []
    run.experiment.test.labels = run.labels[:0]
    assert rare(dataclasses.replace(run, probabilities=run.probabilities[:0])) == []


def test_there_is_no_advice_for_a_run_that_reaches_its_expected_error():
    assert advice(fake(expected=30.0)) is None
    assert advice(fake(expected=29.9)) is not None
    assert "<code>loss.class_weights = &#34;balanced&#34;</code>" in advice(fake()).html
