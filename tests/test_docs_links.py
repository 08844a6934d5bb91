"""Tests that links, pages and commands in the documentation exist; they need no network."""

import functools
import re
import shlex
from configparser import ConfigParser
from pathlib import Path

import pytest
import typer
from cases import each_of
from doc_pages import generated

from keras_ilsvrc.cli import app

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *DOCS.glob("notebooks/*.md")])
TEXTS = {path.relative_to(ROOT): path for path in [*PAGES, *ROOT.glob("*.md")]}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|\{doc\}`[^`<]*<([^>`]+)>`|\{(?:image|figure)\} (\S+)")
TOCTREE = re.compile(r"^```\{toctree\}\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"`(keras-ilsvrc [^`]+)`|^(?:\$ )?(keras-ilsvrc .*)$", re.MULTILINE)
PARTS = {"benchmarks.in.md", "results_table.md", "claims_table.md"}  # included in other pages


def prose(path):
    """The text of a page without its code; a link in code is an example."""
    text = re.sub(r"^```(?!\{).*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    return re.sub(r"(?<!\})`[^`\n]*`", "", text)


def anchors(text):
    """Labels, and headings as GitHub and MyST write them in links."""
    heads = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    slugs = (re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads)
    return {*slugs, *re.findall(r"^\(([^)]+)\)=", text, re.MULTILINE)}


def dead(path, target):
    """Why a target of a link on a page does not exist, or None."""
    page, _, anchor = target.partition("#")
    place = (path.parent / page).resolve() if page else path
    if "generated" in place.parts:
        if place.suffix == ".png":
            known = f'folder / "{place.name}"' in (DOCS / "conf.py").read_text("utf-8")
            return None if known else f"no picture {place.name} is generated"
        name = place.relative_to(DOCS / "generated").with_suffix("").as_posix()
        return None if name in generated() else f"no page {name} is generated"
    place = place if place.exists() else place.with_suffix(".md")  # the target of a {doc}
    if not place.exists():
        return f"there is no {place}"
    if anchor and place.suffix == ".md" and anchor not in anchors(place.read_text("utf-8")):
        return f"{place.name} has no heading #{anchor}"
    return None


@each_of("page", TEXTS)
def test_every_relative_link_and_picture_exists(page):
    targets = ["".join(found) for found in LINK.findall(prose(TEXTS[page]))]
    near = [target for target in targets if not re.match(r"https?:|mailto:", target)]
    assert [fault for target in near if (fault := dead(TEXTS[page], target))] == []


def test_the_guide_names_the_layers_that_are_checked():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    layers = setup["importlinter:contract:direction"]["layers"].split("\n")
    checked = [layer for layer in layers if layer and layer not in ("__main__", "(recipes)")]
    guide = TEXTS[Path("CONTRIBUTING.md")].read_text("utf-8")
    named = re.search(r"```text\n(cli .*?)\n```", guide, re.DOTALL)[1]
    assert re.sub(r"\s+", " ", named) == " -> ".join(checked)


def test_a_dead_link_is_found():
    page = DOCS / "index.md"
    assert dead(page, "training.md#resuming-runs-that-never-were")
    assert dead(page, "trainings.md")
    assert dead(page, "generated/nets/alexnett.md")
    assert dead(page, "generated/compared.png")
    assert not dead(page, "generated/compare.png")
    assert not dead(page, "generated/nets/alexnet.md")


def test_every_page_is_in_one_toctree():
    listed = []
    for page in PAGES:
        for tree in TOCTREE.findall(page.read_text("utf-8")):
            names = [line for line in tree.splitlines() if line and not line.startswith(":")]
            listed += [(page.parent / name).relative_to(DOCS).as_posix() for name in names]
    own = {path.relative_to(DOCS).as_posix() for path in PAGES} - PARTS - {"index.md"}
    assert len(listed) == len(set(listed))
    assert own == {f"{name}.md" for name in listed if not name.startswith("generated/")}
    texts = "".join(path.read_text("utf-8") for path in PAGES)
    included = re.findall(r"^```\{include\} generated/(\w+)\.md$", texts, re.MULTILINE)
    chapters = {name for name in generated() - {*included} if not name.startswith("nets/")}
    found = {name.removeprefix("generated/") for name in listed if name.startswith("generated/")}
    assert {name for name in chapters if not name.startswith("story/")} == found - {"story/*"}
    assert "story/*" in found


def commands(path):
    """The commands on a page, each as a list of words; continued lines are joined."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for found in COMMAND.findall(text):
        line = "".join(found).partition("  #")[0]
        try:
            yield shlex.split(line, comments=True)[1:]
        except ValueError:  # an apostrophe in a sentence that begins with the command
            continue


whole = functools.cache(lambda: typer.main.get_command(app))


def fault(words):
    """What is unknown in a command: a subcommand or an option, or None."""
    command = whole()
    for word in words:
        if word.startswith("-"):
            known = {x for each in command.params for x in (*each.opts, *each.secondary_opts)}
            name = word.partition("=")[0].rstrip(".,")
            if name not in known | {"--help", "--debug"} and re.fullmatch("--?[a-z][a-z-]*", name):
                return f"{command.name} has no option {name}"
        elif hasattr(command, "commands") and re.fullmatch("[a-z-]+", word):
            if word not in command.commands:
                return f"{command.name} has no command {word}"
            command = command.commands[word]
    return None


@each_of("page", TEXTS)
def test_every_command_and_option_exists(page):
    faults = [(words, fault(words)) for words in commands(TEXTS[page])]
    assert [each for each in faults if each[1]] == []


@pytest.mark.parametrize("words", ["trian quickstart", "train --sed 3", "visualize deconv"])
def test_an_unknown_command_is_found(words):
    assert fault(words.split())
