"""Tests of the command `story`: its numbers, their sources, and its picture."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from commands import refused, said
from counted import counted
from PIL import Image

from keras_ilsvrc.nets import NETS
from keras_ilsvrc.nets.story import HUMAN, STORY, YEARS

PICTURE = Path(__file__).parents[2] / "docs" / "figures" / "story.svg"
KNOWN = [entry for entry in STORY if entry.net]


def test_every_year_has_a_winner_a_second_and_a_sentence():
    for year in range(2010, 2017):
        places = [entry.place for entry in STORY if entry.year == year]
        assert places[:2] == ["first", "second"]
        assert set(places[2:]) <= {"beside"}
        errors = [entry.error.value for entry in STORY if entry.year == year]
        assert errors[0] == min(errors)
        assert YEARS[year].endswith(".")
    winners = [entry.error.value for entry in STORY if entry.place == "first"]
    assert winners == sorted(winners, reverse=True)
    # what the sentences say of 2012 and 2015
    assert winners[2] / 26.2 == pytest.approx(3 / 5, abs=0.02)
    assert winners[5] / winners[4] == pytest.approx(1 / 2, abs=0.04)
    assert winners[5] < HUMAN.value < winners[4]


@pytest.mark.parametrize("entry", KNOWN, ids=lambda entry: entry.net)
def test_layers_parameters_and_operations_are_those_of_the_nets(entry, shared):
    account = counted(shared, entry.net)[1]
    assert (entry.layers, entry.macs) == (account.depth, account.macs)
    assert entry.parameters == account.parameters == NETS[entry.net].parameters
    assert NETS[entry.net].year == entry.year


def test_errors_are_those_that_the_facts_of_the_nets_name():
    for entry in KNOWN:
        place = NETS[entry.net].place
        if entry.net != "resnet200_v2":  # whose paper entered no challenge
            assert place.startswith(f"{entry.year}: ")
            assert f"{entry.error.value:g} %" in place
            assert entry.place == "beside" or f"{entry.place} with" in place
    assert "second place had 26.2 %" in NETS["alexnet"].place
    assert "won with 11.7 %" in NETS["zfnet"].place


def test_the_table_has_every_figure_with_its_source_and_marks_what_is_not_verified():
    shown = said("story")
    lines = shown.splitlines()
    assert max(map(len, lines)) <= 100
    for entry in STORY:
        (line,) = [x for x in lines if x.startswith(f"{entry.year} {entry.place} ")]
        assert f" {entry.error} " in f"{line} "
        for figure in filter(None, (entry.error, entry.training)):
            assert str(figure) in shown
            assert figure.source.rpartition(", ")[0] in shown
        if entry.net:
            assert f"{entry.parameters / 1e6:.1f} M" in line
    assert "28.2 ?" in shown
    assert "15.3 ?" not in shown
    assert str(HUMAN) in shown


def test_json_has_the_same_figures():
    told = json.loads(said("story", "--json"))
    assert [(x["year"], x["error"]["value"]) for x in told["entries"]] == [
        (entry.year, entry.error.value) for entry in STORY
    ]
    assert all(x["error"]["source"] for x in told["entries"])
    assert told["human"]["value"] == 5.1


def drawn(tmp_path, name):
    """Draw a picture, and nothing else; return its path."""
    path = tmp_path / name
    assert said("story", "--plot", path).splitlines()[-1] == str(path)
    assert list(tmp_path.iterdir()) == [path]
    return path


def test_a_png_is_transparent_for_light_and_dark_pages(tmp_path):
    with Image.open(drawn(tmp_path, "story.png")) as picture:
        assert (picture.format, picture.size) == ("PNG", (1500, 1290))
        assert picture.getpixel((2, 2))[3] == 0


def test_a_pdf_is_one(tmp_path):
    assert drawn(tmp_path, "story.pdf").read_bytes().startswith(b"%PDF")


def texts(path):
    """Return the texts of an SVG, which Matplotlib also writes as comments."""
    return re.findall("<!--(.*?)-->", path.read_text(encoding="utf-8"), re.DOTALL)


def test_the_picture_of_the_front_page_shows_the_present_figures(tmp_path):
    found = texts(drawn(tmp_path, "story.svg"))
    assert found == texts(PICTURE)
    assert " SuperVision 15.3 " in found


def test_no_two_labels_of_the_picture_overlap(monkeypatch, tmp_path):
    from matplotlib.figure import Figure

    boxes = {}

    def measure(figure, *arguments, **options):
        figure.draw_without_rendering()
        for axes in figure.axes:
            for text in axes.texts:
                boxes[axes, text.get_text()] = text.get_window_extent()
        (tmp_path / ".part-story.png").write_bytes(b"")

    monkeypatch.setattr(Figure, "savefig", measure)
    said("story", "--plot", tmp_path / "story.png")
    assert len(boxes) == len(STORY) + len(KNOWN) + 2
    for one, box in boxes.items():
        others = [key for key, other in boxes.items() if key != one and box.overlaps(other)]
        assert not others, (one[1], others)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("story.jpg", "expected a file that ends in .png or .svg or .pdf"),
        (".svg", "expected a file that ends in"),
        ("/nowhere/story.png", "there is no folder /nowhere"),
        ("/proc/story.png", "cannot be written"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_one_line(path, message):
    assert message in refused("story", "--plot", path)


WITHOUT = """
import sys
from keras_ilsvrc.cli import app
app(sys.argv[1:], standalone_mode=False)
print(sorted({"tensorflow", "keras", "matplotlib", "numpy"} & set(sys.modules)))
"""


@pytest.mark.parametrize(("words", "imported"), [((), []), (("--plot",), ["matplotlib", "numpy"])])
def test_the_story_needs_no_tensorflow_and_matplotlib_only_to_draw(words, imported, tmp_path):
    words = [*words, tmp_path / "story.svg"] if words else []
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, "story", *map(str, words)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == str(imported)
