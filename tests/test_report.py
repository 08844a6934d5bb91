"""Tests of the HTML report of a run: its content, and how a browser shows it."""

import base64
import dataclasses
import io
import json
import shutil
from types import SimpleNamespace

import browser
import pytest
from pages import Page
from PIL import Image
from typer.testing import CliRunner

from keras_ilsvrc import InputError, build, report
from keras_ilsvrc.cli import app
from keras_ilsvrc.data.source import Source
from keras_ilsvrc.report import sections
from keras_ilsvrc.report.inside import layer_of_parts
from keras_ilsvrc.report.page import linked, render
from keras_ilsvrc.report.summary import departures, duration, facts, scale_of
from keras_ilsvrc.runs.finished import read
from keras_ilsvrc.runs.inspection import of_experiment
from keras_ilsvrc.utils import files

pytestmark = pytest.mark.tensorflow
TITLES = (
    "Summary, What to try next, Learning, Confusions, Classes, Confident mistakes, "
    "Least certain images, First filters, Top activations, Occlusion, The net, layer by layer, "
    "Recipe"
)


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
        assert head in ("data:image/png;base64", "data:image/jpeg;base64")
        with Image.open(io.BytesIO(base64.b64decode(content))) as image:
            image.load()
            assert int(picture["width"]) / int(picture["height"]) == pytest.approx(
                image.width / image.height, rel=0.02
            )
        assert len(picture["alt"]) > 10


def test_a_page_refers_to_nothing_outside_and_runs_nothing(page):
    text = page.read_text(encoding="utf-8")
    found = Page(text)
    links = [x for x in found.references if not x.startswith(("data:", "#"))]
    assert links == ["https://arxiv.org/abs/1512.03385"]  # to be followed, not loaded
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
        "a mirrored digit is a different symbol",  # a departure of the recipe
        "in every run of this net",  # a departure of the net
        "expected, measured in earlier runs",
        f"{result['finished'][:10]}",
        f"keras {result['versions']['keras']}",
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
    text = render("page", kind="Report", title="<i>&", sections=[part(held) for part in parts])
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;3" in text
    assert "<script>" not in text
    assert "<i>" not in text


def test_a_run_without_its_images_says_so_in_one_line(held, tmp_path):
    gone = dataclasses.replace(held.experiment, test=held.experiment.test[:0])
    run = dataclasses.replace(held, experiment=gone, probabilities=held.probabilities[:0])
    found = Page(report.write_page(run, tmp_path / "page.html").read_text(encoding="utf-8"))
    words = " ".join(" ".join(found.words).split())
    assert "--data" in words
    assert "First filters" in words
    for title in ("Confusions", "Confident mistakes", "Occlusion"):
        assert title not in words
    assert words.count("1,437 training, 360 test images") == 1


def test_departures_are_listed_only_for_a_recipe_of_a_paper(held):
    assert len(departures(held)) > len(held.experiment.recipe.departs) == 4
    recipe = held.experiment.recipe.model_copy(update={"departs": [], "expect": None})
    own = dataclasses.replace(held, experiment=dataclasses.replace(held.experiment, recipe=recipe))
    assert departures(own) == []
    assert "other data" in dict(facts(own))["paper"]
    gone = dataclasses.replace(own, history=[])
    assert dict(facts(gone))["trained for"] == f"{recipe.schedule.length}, seed {recipe.seed}"
    early = dataclasses.replace(gone, result={**gone.result, "stopped_epoch": 3})
    assert dict(facts(early))["trained for"].endswith("; stopped early after epoch 3")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (3600, "1 h 0 min"), (90061, "25 h 1 min")],
)
def test_a_duration_is_readable(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("folder:/data/my cats", "my cats"),
        ("digits", "digits"),
        ("tfds:imagenet/1pct", "imagenet/1pct"),
    ],
)
def test_the_label_of_a_source_has_no_folders(name, label):
    assert Source(name, {}, ()).label == label


def test_papers_are_links_and_other_text_is_escaped():
    link = '<a href="https://arxiv.org/abs/1512.03385">arXiv:1512.03385</a>'
    assert linked("<b> arXiv:1512.03385,") == f"&lt;b&gt; {link},"


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


@pytest.mark.parametrize("opened", [True, False])
def test_a_page_is_opened_in_a_browser(small_run, tmp_path, monkeypatch, opened):
    asked, page = [], tmp_path / "my page.html"
    monkeypatch.setattr("webbrowser.open", lambda address: asked.append(address) or opened)
    monkeypatch.setattr(report, "report", lambda run, out, *rest: out)
    result = CliRunner().invoke(app, ["report", str(small_run), "--out", str(page), "--open"])
    assert (result.stdout.splitlines()[0], asked) == (str(page), [page.as_uri()])
    assert ("no browser was found" in result.stderr) != opened
