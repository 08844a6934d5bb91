"""The page of a run: what is in it, what is not, and how a browser takes it."""

import base64
import dataclasses
import io
import json
import shutil
from html.parser import HTMLParser
from types import SimpleNamespace

import browser
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from keras_ilsvrc import InputError, build, files, report
from keras_ilsvrc.cli import app
from keras_ilsvrc.report import sections
from keras_ilsvrc.report.inside import layer_of_parts
from keras_ilsvrc.report.page import render
from keras_ilsvrc.report.summary import scale_of
from keras_ilsvrc.runs.finished import FinishedRun, read
from keras_ilsvrc.runs.inspection import of_experiment

pytestmark = pytest.mark.tensorflow
TITLES = (
    "Summary, Learning, Confusions, Least certain images, First filters, Top activations, "
    "Occlusion, The net, layer by layer, Recipe"
)


class Page(HTMLParser):
    """The pictures, the references and the words of a page."""

    def __init__(self, text):
        super().__init__()
        self.pictures, self.references, self.words, self.tags = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        held = dict(attributes)
        self.tags.append(tag)
        if tag == "img":
            self.pictures.append(held)
        self.references += [
            held[name] for name in ("src", "href", "srcset", "data") if name in held
        ]

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def held(small_run):
    return read(small_run)


@pytest.fixture(scope="module")
def page(small_run, held, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "read", lambda *arguments: held)  # once for all tests
        return report.report(small_run, tmp_path_factory.mktemp("page") / "page.html")


def test_a_page_holds_all_its_pictures(page):
    found = Page(page.read_text(encoding="utf-8"))
    assert len(found.pictures) > 16
    for picture in found.pictures:
        head, _, content = picture["src"].partition(",")
        assert head == "data:image/png;base64"
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            image.load()
            assert int(picture["width"]) / int(picture["height"]) == pytest.approx(
                image.width / image.height, rel=0.02
            )
        assert len(picture["alt"]) > 10


def test_a_page_refers_to_nothing_outside_and_runs_nothing(page):
    text = page.read_text(encoding="utf-8")
    found = Page(text)
    assert all(reference.startswith(("data:", "#")) for reference in found.references)
    assert "script" not in found.tags
    assert "url(" not in text
    assert "@import" not in text


def test_a_page_says_what_the_run_found(page, small_run):
    words = " ".join(" ".join(Page(page.read_text(encoding="utf-8")).words).split())
    result = json.loads((small_run / "result.json").read_text())
    for part in (
        f"{result['top1_error']:.2f} %",
        f"{result['baseline']['top1_error']:.2f} %",
        "He et al., arXiv:1512.03385",
        "a mirrored digit is another sign",  # a departure of the recipe
        "[[departs]]",
        "resnet_cifar[depth=8] on digits",
    ):
        assert part in words
    for title in TITLES.split(", "):
        assert title in words


def test_names_are_escaped(held):
    experiment = dataclasses.replace(held.experiment)
    experiment.source = dataclasses.replace(
        experiment.source, classes=tuple("<b>&" + str(n) for n in range(10))
    )
    experiment.recipe = experiment.recipe.model_copy(update={"initial": "</code><script>"})
    held = dataclasses.replace(held, experiment=experiment)
    parts = sections.summary, sections.confusion, sections.doubtful, sections.recipe
    text = render("page", title="<i>&", sections=[part(held) for part in parts])
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;3" in text
    assert "<script>" not in text
    assert "<i>" not in text


def fake(labels, guesses, classes):
    source = SimpleNamespace(classes=tuple(f"class {n}" for n in range(classes)))
    experiment = SimpleNamespace(source=source, test=SimpleNamespace(labels=np.array(labels)))
    probabilities = np.eye(classes, dtype="float32")[guesses]
    return FinishedRun(None, experiment, {}, [], probabilities)


def test_a_table_of_confusions_counts_every_image():
    found = Page(sections.confusion(fake([0, 0, 0, 1, 2], [0, 1, 1, 1, 0], 3)).html)
    numbers = [word for word in found.words if word.strip().isdigit()]
    assert numbers == ["1", "2", "0", "3", "0", "1", "0", "1", "1", "0", "0", "1"]


def test_of_a_thousand_classes_the_most_frequent_confusions_are_listed():
    labels = np.repeat(np.arange(1000), 5)
    guesses = labels.copy()
    guesses[10:13], guesses[777 * 5] = 9, 3
    found = sections.confusion(fake(labels, guesses, 1000))
    words = " ".join(" ".join(Page(found.html).words).split())
    assert "table" not in Page(found.html).tags
    assert words == "class 2 mistaken for class 9 3 of 5 class 777 mistaken for class 3 1 of 5"
    assert found.note.startswith("4 of 5,000")


@pytest.mark.parametrize(
    ("expected", "said"),
    [(2.0, "the run agrees"), (0.5, "the run is worse"), (9.0, "the run is better")],
)
def test_a_verdict_is_where_the_expected_error_stands_to_the_interval(expected, said):
    result = {"top1_error": 2.5, "top1_interval": [1.0, 4.0]}
    scale = scale_of(result | {"expected": {"by": "published", "top1_error": expected}}, 1)
    assert said in scale.verdict
    assert [mark.error for mark in scale.marks] == [2.5, expected]
    assert all(0 <= scale.place(mark.error) <= 100 for mark in scale.marks)
    assert scale_of(result, 1).verdict == ""
    assert scale_of(result, 5) is None


def test_the_layer_shown_sees_parts_of_an_image(held):
    view = of_experiment(held.experiment, held.directory)
    assert layer_of_parts(view) == "conv2_1/relu_1"  # 5x5 of 8x8 pixels; the next see 7x7


def test_without_relu_the_layer_shown_is_the_last_one_of_maps():
    model = build("lenet5_modern")
    assert layer_of_parts(SimpleNamespace(model=model)) == "s4"  # 16x16 of 32x32 pixels


def test_bad_input_is_one_line_and_leaves_nothing(small_run, tmp_path):
    def refusal(*words):
        result = CliRunner().invoke(app, ["report", *map(str, words)])
        assert isinstance(result.exception, InputError), result.output
        return str(result.exception)

    assert "no finished run" in refusal(tmp_path)
    page = tmp_path / "none" / "page.html"
    assert refusal(small_run, "--out", page) == f"{page}: there is no folder {page.parent}"
    assert "a folder" in refusal(small_run, "--out", tmp_path)
    for name, content in (
        ("result.json", "{"),
        ("result.json", "[]"),
        ("history.csv", "loss\nx\n"),
    ):
        copy = tmp_path / "copy"
        shutil.copytree(small_run, copy)
        (copy / name).write_text(content)
        assert refusal(copy).startswith(f"{copy / name}: damaged")
        assert not list(copy.glob("*report*"))
        shutil.rmtree(copy)
    (tmp_path / "empty").mkdir()
    shutil.copy(small_run / "result.json", tmp_path / "empty")
    assert "recipe.toml is missing" in refusal(tmp_path / "empty")


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    def fail(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "flush", fail)
    monkeypatch.setattr(report, "SECTIONS", ())
    run = SimpleNamespace(experiment=SimpleNamespace(title="a run"))
    with pytest.raises(InputError, match="No space left on device"):
        report.write_page(run, tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A browser without a page."""
    with browser.Browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


needs_browser = pytest.mark.skipif(
    not browser.installed(), reason="needs a browser: apt-get install chromium"
)


@needs_browser
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_a_browser_shows_every_picture_and_complains_of_nothing(page, opened, width, height):
    opened.open(page, width, height)
    widths = opened.value("Array.from(document.images, x => x.complete && x.naturalWidth)")
    assert len(widths) > 16
    assert all(widths)
    assert opened.complaints() == []
    assert opened.requests() == [page.as_uri()]
    assert opened.value("document.documentElement.scrollWidth") <= width
    assert opened.value("getComputedStyle(document.body).maxWidth") != "none"  # it has a style
    shown = opened.value("Array.from(document.querySelectorAll('h2'), x => x.innerText)")
    assert ", ".join(shown) == TITLES


@needs_browser
def test_a_browser_would_have_complained(tmp_path, opened):
    """What the test above looks for is found where it is."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<img src='data:image/png;base64,AAAA'><img src='none.png'>"
        "<script>throw Error('x')</script>"
    )
    opened.open(bad, 800, 600)
    assert opened.value("Array.from(document.images, x => x.naturalWidth)") == [0, 0]
    assert len(opened.complaints()) >= 1
    assert len(opened.requests()) == 2
