"""Tests of the report's sections on classes and single images, with invented probabilities."""

import base64
import dataclasses
import io
from types import SimpleNamespace

import numpy as np
import pytest
from pages import Page
from PIL import Image

from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Files
from keras_ilsvrc.report import sections
from keras_ilsvrc.report.classes import DRAWN, TABLE
from keras_ilsvrc.report.images import MISTAKES
from keras_ilsvrc.runs.finished import FinishedRun

pytestmark = pytest.mark.tensorflow


def fake(labels, guesses, classes):
    source = SimpleNamespace(classes=tuple(f"class {n}" for n in range(classes)))
    experiment = SimpleNamespace(source=source, test=SimpleNamespace(labels=np.array(labels)))
    probabilities = np.eye(classes, dtype="float32")[guesses]
    return FinishedRun(None, experiment, {}, [], probabilities)


def test_a_table_of_confusions_counts_every_image():
    found = Page(sections.confusion(fake([0, 0, 0, 1, 2], [0, 1, 1, 1, 0], 3)).html)
    numbers = [word for word in found.words if word.strip().isdigit()]
    assert numbers == ["1", "2", "0", "3", "0", "1", "0", "1", "1", "0", "0", "1"]
    one = sections.confusion(fake([0, 1], [0, 0], 2))
    assert one.note == "1 of 2 test images are mistaken for another class; 1 different confusion."


def test_of_a_thousand_classes_the_most_frequent_confusions_are_listed():
    labels = np.repeat(np.arange(1000), 5)
    guesses = labels.copy()
    guesses[10:13], guesses[777 * 5] = 9, 3
    found = sections.confusion(fake(labels, guesses, 1000))
    words = " ".join(" ".join(Page(found.html).words).split())
    assert "table" not in Page(found.html).tags
    assert words == "class 2 mistaken for class 9 3 of 5 class 777 mistaken for class 3 1 of 5"
    assert found.note.startswith("4 of 5,000")


@pytest.mark.parametrize(("number", "tags"), [(TABLE, "table"), (TABLE + 1, "img"), (DRAWN, "img")])
def test_many_classes_are_drawn_and_few_are_a_table(number, tags):
    found = Page(sections.confusion(fake([0, 1, 2], [0, 2, 1], number)).html)
    assert {"table", "img"} & set(found.tags) == {tags}


def test_recall_and_precision_are_of_each_class_the_lowest_recall_first():
    # class 0 has 3 images, of which 2 are right; class 1 has 1 image; class 3 has none
    found = Page(sections.by_class(fake([0, 0, 0, 1, 2], [0, 0, 1, 1, 1], 4)).html)
    cells = [word.strip() for word in found.words if word.strip()]
    assert [cells[n : n + 4] for n in (5, 10, 15)] == [
        ["class 2", "1", "0.0 %", "–"],
        ["class 0", "3", "66.7 %", "100.0 %"],
        ["class 1", "1", "100.0 %", "33.3 %"],
    ]
    assert cells[9] == cells[14] == "class 1"
    assert cells[19:] == ["class 3", "0", "–", "–"]


def with_images(labels, guesses, shares):
    """A run on grey images of one pixel; `shares` are the probabilities of the guesses."""
    run = fake(labels, guesses, 3)
    probabilities = np.array([np.eye(3)[guess] * share for guess, share in zip(guesses, shares)])
    store = Files(np.array([f"/home/me/photos/{n}.png" for n in range(len(labels))], object))
    pixels = np.full((len(labels), 1, 1, 1), 200, "uint8")
    run.experiment.test = Split(np.array(labels), pixels, store, 1)
    return dataclasses.replace(run, probabilities=probabilities)


def test_mistakes_are_shown_with_their_files_the_most_confident_first():
    shown = sections.mistakes(with_images([0, 1, 2, 0], [1, 1, 0, 2], [0.6, 0.9, 0.95, 0.8]))
    words = " ".join(" ".join(Page(shown.html).words).split())
    assert shown.note.startswith("All 3 mistakes")
    assert [words.index(f"{n}.png") for n in (2, 3, 0)] == sorted(
        words.index(f"{n}.png") for n in (2, 3, 0)
    )
    assert "class 0 95% true class: class 2 2.png" in words
    assert "1.png" not in words
    assert "/home" not in words
    assert sections.mistakes(with_images([0], [0], [0.9])) is None
    many = with_images([0] * 30, [1] * 30, [0.5] * 30)
    assert sections.mistakes(many).note.startswith(f"The {MISTAKES} most confident of 30 mistakes")


def test_images_are_shown_in_one_polarity():
    content = Page(sections.doubtful(with_images([0], [0], [0.9])).html).pictures[0]["src"]
    with Image.open(io.BytesIO(base64.b64decode(content.partition(",")[2]))) as image:
        assert np.asarray(image).tolist() == [[200]]
