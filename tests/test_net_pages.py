"""Tests of the generated pages of the documentation: one for each year, and one for each net."""

import json
import re
from types import SimpleNamespace

import pytest
from cases import each_of
from doc_pages import generated, module, net_pages

from keras_ilsvrc.nets import NETS
from keras_ilsvrc.nets.story import STORY
from keras_ilsvrc.recipe import load, published
from keras_ilsvrc.weights.sources import SOURCES

ROWS = [
    ["conv1", "macs", "253,440", "290,400", "a reason"],
    ["conv2", "units", "186,624", "186,624", "equal"],
]


@pytest.fixture
def written(tmp_path, monkeypatch):
    """The text of each page by name, with drawings that are empty files."""
    drawings = tmp_path / "drawings"
    drawings.mkdir()
    for net in NETS:
        for end in ("", "_volumes"):
            (drawings / f"{net}{end}.svg").write_text(net)
        (drawings / f"{net}.json").write_text(json.dumps(ROWS if net == "alexnet" else []))
    monkeypatch.setattr(net_pages(), "draw_all", lambda: drawings)
    return net_pages().story_pages(tmp_path / "generated")


def test_each_year_has_a_chapter_and_each_net_a_page(written):
    assert set(written) == {x for x in generated() if x.startswith(("story/", "nets/"))}
    chapters = [text for name, text in written.items() if name.startswith("story/")]
    listed = re.findall(r"^\.\./nets/(\w+)$", "\n".join(chapters), re.MULTILINE)
    assert sorted(listed) == sorted(NETS)


def test_a_chapter_has_the_entries_of_its_year_with_their_sources(written):
    for entry in STORY:
        chapter = written[f"story/{entry.year}"]
        row = next(line for line in chapter.splitlines() if f"{entry.name}" in line)
        assert f"| {entry.place} |" in row
        assert f"| {entry.error} |" in row
        assert entry.error.source in re.sub(r"\[(.*?)\]\(https.*?\)", r"\1", chapter)
    assert "60,965,224" in written["story/2012"]
    assert "quoted from other publications" not in written["story/2012"]
    assert "quoted from other publications" in written["story/2013"]


@each_of("name", NETS)
def test_a_page_has_the_facts_of_its_net(written, name):
    text, net = written[f"nets/{name}"], NETS[name]
    text = re.sub(r"\[(.*?)\]\(https.*?\)", r"\1", text)
    for fact in (net.paper, *net.news, *net.departures, *(f"`{key}`" for key in net.variations)):
        assert fact in text
    assert (f"{{image}} {name}.svg" in text) == (net.parameters is not None)
    assert f'build("{name}"' in text


def test_each_recipe_and_each_file_of_weights_is_on_the_page_of_its_net(written):
    for stem, path in published().items():
        assert f"../recipes.md#{stem})" in written[f"nets/{load(path).net}"]
    for source in SOURCES:
        assert f"#weights-{source.net})" in written[f"nets/{source.net}"]


def test_the_table_of_a_paper_stands_beside_ours(written):
    page = written["nets/alexnet"]
    assert "| conv1 | multiply-adds | 253,440 | 290,400 | differs: note 1 |" in page
    assert "| conv2 | units | 186,624 | 186,624 | equal |" in page
    assert "\n1. a reason\n" in page
    assert "prints no table" in written["nets/resnet50_v2"]


def test_claims_have_their_verdict_or_the_command_that_gives_one(monkeypatch):
    net_page = net_pages().net_page
    monkeypatch.setattr(net_pages(), "_outcomes", dict)
    page = net_page(NETS["alexnet"], [])
    command = "keras-ilsvrc claim R06_towers --data prepared:imagenette96"
    assert f"| R06. Two towers | not run yet | `{command}` |" in page
    assert "R18." not in page
    seen = SimpleNamespace(claim="R06_towers", quick=True, verdict="seen", dataset="digits")
    monkeypatch.setattr(net_pages(), "_outcomes", lambda: {"R06_towers": seen})
    page = net_page(NETS["alexnet"], [])
    link = "../../claims.md#claim-r06_towers-quick"
    assert f"| [R06. Two towers]({link}) | seen | digits |" in page


@pytest.mark.tensorflow
def test_nets_are_drawn_again_only_if_the_code_changes(tmp_path, monkeypatch):
    drawings = module("net_drawings")
    nets = {"lenet5": NETS["lenet5"], "resnet_cifar": NETS["resnet_cifar"]}
    first = drawings.draw_all(nets, tmp_path)
    files = {path.name: path.stat().st_mtime_ns for path in first.iterdir()}
    assert sorted(files) == ["lenet5.json", "lenet5.svg", "lenet5_volumes.svg"]
    rows = json.loads((first / "lenet5.json").read_text())
    assert {row[0]: row[4] for row in rows}["C1"] == "equal"
    drawings.draw_all(nets, tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in first.iterdir()} == files
    monkeypatch.setattr(drawings, "key_of_code", lambda: "changed")
    assert [path.name for path in drawings.draw_all(nets, tmp_path).parent.iterdir()] == ["changed"]
