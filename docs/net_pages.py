"""Generate the page of each network from the registry, recipes, claims and drawings."""

import functools
import json
import shutil
from pathlib import Path

from chapters import chapter
from net_drawings import draw_all, drawn
from page_parts import TITLES, error, linked, picture, placed, published, table

from keras_ilsvrc.claims.arms import Study
from keras_ilsvrc.claims.schema import claims
from keras_ilsvrc.nets import NETS
from keras_ilsvrc.nets.table import PRINTED
from keras_ilsvrc.recipe import load
from keras_ilsvrc.weights.sources import sources_of

HERE = Path(__file__).parent
QUANTITIES = {"macs": "multiply-adds", "cells": "convolutions", "size": "maps"}
# {net: [(picture of its trained weights, caption, page that explains the picture)]}
LOOKED_INSIDE = {
    "lenet5": [("explain_lenet5.webp", "LeNet-5 reads a drawn 4", "explaining")],
    "alexnet": [
        ("photographs_filters.png", "The 96 filters of conv1", "looking_inside"),
        ("photographs_top.png", "Eight maps of conv2, by the deconvnet", "looking_inside"),
    ],
    "nin_cifar10": [("digits_top.png", "Eight maps of conv1, by the deconvnet", "looking_inside")],
    "vgg16": [
        ("vgg16_filters.png", "The 64 filters of conv1_1", "trained_vgg16"),
        ("vgg16_conv5_3.webp", "Sixteen maps of conv5_3, by the deconvnet", "trained_vgg16"),
    ],
    "resnet18": [("explain_resnet18.webp", "Places that matter for the answer", "explaining")],
    "resnet20_cifar": [
        ("fashion_deconvnet.png", "Three clothes and their projections", "looking_inside")
    ],
}


def story_pages(folder):
    """Return the pages of years and nets as {path in `folder`: text}, and copy the drawings."""
    drawings = draw_all()
    pages = {f"story/{year}": chapter(year) for year in TITLES}
    (folder / "nets").mkdir(parents=True, exist_ok=True)
    for net in NETS.values():
        rows = []
        if drawn(net):
            rows = json.loads((drawings / f"{net.name}.json").read_text(encoding="utf-8"))
            for end in ("", "_volumes"):
                _copy(drawings / f"{net.name}{end}.svg", folder / "nets")
        pages[f"nets/{net.name}"] = net_page(net, rows)
    return pages


def net_page(net, rows):
    """Return the page of a net; `rows` compare its paper's table with the built net."""
    option = "" if drawn(net) else "[depth=26]"
    lines = [f"# {net.name}", "", f"{linked(net.paper)} ({net.year}). {placed(net.place)}", ""]
    lines += [f"The chapter [{net.year}: {TITLES[net.year]}](../story/{net.year}.md)"]
    lines[-1] += " describes what came before and after this net."
    lines += ["", "## What was new", "", *(f"- {text}" for text in net.news), ""]
    count = "any depth" if net.parameters is None else f"{net.parameters:,}"
    size = "x".join(map(str, net.input_shape))
    lines += table(
        ("input", "classes", "parameters", "top-1 %", "top-5 %", "protocol"),
        [[size, net.classes, count, *published(net)[1:]]],
        "lrrrrl",
    )
    lines += (
        ["Errors are the published errors of a single net.", ""] if any(published(net)[1:]) else []
    )
    lines += [*_drawing(net), *_printed(net, rows)]
    lines += ["## Departures", ""]
    lines += [f"- {text}" for text in net.departures] or ["None that we know of."]
    lines += ["", "## Variations", ""]
    for key, variation in net.variations.items():
        default = "" if variation.default is None else f"; published: {variation.default}"
        lines.append(f"- `{key}`: {variation}{default}")
    lines += [] if net.variations else ["None."]
    lines += ["", *_recipes(net), *_claims(net), *_inside(net), *_weights(net)]
    commands = [f"info {_quoted(net.name + option)} --account"]
    commands += [f"draw {_quoted(net.name + option)} --open --out {net.name}.pdf"]
    commands += [f"table {net.name}"] if net.name in PRINTED else []
    commands += [f"train {path.stem}" for path in _by_net().get(net.name, [])[:1]]
    lines += ["## Commands", "", "```text", *(f"keras-ilsvrc {x}" for x in commands), "```", ""]
    given = ", depth=26" if option else ""
    python = ["import keras_ilsvrc", "", f'model = keras_ilsvrc.build("{net.name}"{given})']
    return "\n".join([*lines, "```python", *python, "```", ""])


def _drawing(net):
    if not drawn(net):
        return [
            "This net has no fixed depth. The commands in the last section draw it with 26 layers.",
            "",
        ]
    lines = ["## Drawing", ""]
    for end, words in (("", "as blocks"), ("_volumes", "as boxes, to scale")):
        file = f"{net.name}{end}.svg"
        lines += picture(
            file, f"Outputs of the layers of {net.name}, {words}", f"../../_images/{file}"
        )
    explained = "[Drawing networks](../../drawing.md) explains the drawings and their options."
    return [*lines, f"Click a drawing to open it in full size. {explained}", ""]


def _printed(net, rows):
    """Return the section that compares the table in the paper with the built net."""
    lines = ["## The paper's table and the built net", ""]
    if net.name not in PRINTED:
        return [*lines, "The paper prints no table that we compare with this net.", ""]
    lines += [f"Printed in {PRINTED[net.name].title}; computed from the net as built here.", ""]
    notes = list(dict.fromkeys(row[-1] for row in rows if row[-1] not in ("equal", "differs")))
    marked = []
    for label, quantity, *values, verdict in rows:
        verdict = f"differs: note {notes.index(verdict) + 1}" if verdict in notes else verdict
        marked.append([label, QUANTITIES.get(quantity, quantity), *values, verdict])
    lines += table(("", "quantity", "printed", "computed", "verdict"), marked, "llrrl")
    return [*lines, *(f"{n}. {note}" for n, note in enumerate(notes, 1)), ""]


@functools.cache
def _by_net():
    """Return the paths of the recipes by the net that they train."""
    found = {}
    for path in sorted((HERE.parent / "recipes").glob("*.toml")):
        found.setdefault(load(path).net, []).append(path)
    return found


def _recipes(net):
    lines, rows = ["## Recipes", ""], []
    for path in _by_net().get(net.name, []):
        recipe = load(path)
        expect = recipe.expect
        errors = (expect.top1_error, expect.top5_error) if expect else (None, None)
        who = ("measured" if expect.measured else "published") if expect else "not measured"
        link = f"[`{path.stem}`](../recipes.md#{path.stem})"
        rows.append([link, f"`{recipe.data.dataset}`", *map(error, errors), who])
    if not rows:
        return [*lines, "No recipe of this package trains this net.", ""]
    return lines + table(("recipe", "images", "top-1 %", "top-5 %", "expected"), rows, "llrrl")


@functools.cache
def _arms():
    """Return the nets that the arms of each claim train, also in its quick form."""
    found = {}
    for name, path in claims().items():
        forms = [Study(path, quick).recipes.values() for quick in (False, True)]
        found[name] = {recipe.net.partition("[")[0] for form in forms for recipe in form}
    return found


@functools.cache
def _outcomes():
    """Return the outcome of each claim in `story`; of the quick form, if there is no other."""
    paths = [*HERE.glob("story/*/claim.json")]
    if not paths:
        return {}
    from keras_ilsvrc.claims.outcome import read  # imports Keras

    found = sorted((read(path.parent) for path in paths), key=lambda x: not x.quick)
    return {outcome.claim: outcome for outcome in found}


def _claims(net):
    rows = []
    for name, path in claims().items():
        if net.name not in _arms()[name]:
            continue
        outcome = _outcomes().get(name)
        number, title = name.partition("_")[0], Study(path).claim.title
        if outcome:
            quick = "-quick" * outcome.quick
            link = f"[{number}. {title}](../../claims.md#claim-{name.lower()}{quick})"
            rows.append([link, outcome.verdict, outcome.dataset])
        else:
            command = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
            rows.append([f"{number}. {title}", "not run yet", f"`{command}`"])
    if not rows:
        return ["## Claims", "", "No [claim](../../claims.md) trains this net.", ""]
    lines = [
        "## Claims",
        "",
        "[Claims](../../claims.md) that train this net, or a narrower version of it:",
        "",
    ]
    return lines + table(("claim", "verdict", "data, or command"), rows, "lll")


def _inside(net):
    pictures = LOOKED_INSIDE.get(net.name, [])
    lines = ["## Inside the trained net", ""] if pictures else []
    for file, text, page in pictures:
        lines += [f"![{text}](../../figures/{file})", ""]
        lines += [f"{text}: see [the commands](../../{page}.md).", ""]
    return lines


def _weights(net):
    names = dict.fromkeys(source.name for source in sources_of(net.name).values())
    lines = ["## Published weights", ""]
    if not names:
        return [*lines, "None that we know of.", ""]
    names = ", ".join(f"`{name}`" for name in names)
    return [*lines, f"[Known files](../weights.md#weights-{net.name}): {names}.", ""]


def _quoted(name):
    return f"'{name}'" if "[" in name else name


def _copy(source, folder):
    """Copy a file, unless the target is equal: Sphinx would read a new copy again."""
    target = folder / source.name
    if not target.is_file() or target.read_bytes() != source.read_bytes():
        shutil.copyfile(source, target)
