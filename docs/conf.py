"""Sphinx settings, and generation of pages from the registry, the recipes and the imports."""

import ast
import functools
import hashlib
import inspect
import os
import re
import subprocess
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from nbclient import NotebookClient

from keras_ilsvrc.claims.challenge_file import Contest, departures_of
from keras_ilsvrc.nets import NETS
from keras_ilsvrc.recipe import load
from keras_ilsvrc.recipe.ops import OP_KEYS
from keras_ilsvrc.weights.sources import SOURCES, sources_of
from keras_ilsvrc.weights.sources.facts import facts

sys.path.insert(0, str(Path(__file__).parent))  # for the modules in this folder
from net_pages import story_pages

project = "keras_ilsvrc"
author = "the keras_ilsvrc authors"
version = release = installed_version("keras_ilsvrc")
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.doctest", "sphinx.ext.napoleon"]
exclude_patterns = [
    *("_build", "results_table.md", "claims_table.md", "benchmarks.in.md"),
    *("challenge", "story", "generated/challenge_*.md", "generated/op*.md"),
]
default_role = "code"
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_show_copyright = False
html_title = f"keras_ilsvrc {version}"
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_custom_sections = [("Shape", "notes_style")]
myst_heading_anchors = 2
HERE = Path(__file__).parent
PACKAGE = HERE.parent / "keras_ilsvrc"

# The HTML build runs the notebooks. It runs them again only if a notebook or the package changes.
CODE = b"".join(path.read_bytes() for path in sorted(PACKAGE.rglob("*.py")))
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / "notebooks" / hashlib.sha256(CODE).hexdigest()[:16])
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300  # seconds for one cell
nb_merge_streams = True
nb_output_stderr = "remove"  # TensorFlow's log
# The output of commands arrives in pieces; without this, MyST-NB adds a newline after each piece.
NotebookClient.__init__ = functools.partialmethod(NotebookClient.__init__, coalesce_streams=True)
# The notebooks' output is the same on machines with and without GPUs.
os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
SIDE_BY_SIDE = (
    *("alexnet", "zfnet", "googlenet", "vgg19"),
    *("bn_inception", "inception_v3", "resnet34", "resnet152"),
)


def nets_page():
    """Return the page of all nets, with published numbers and departures from the papers."""
    lines = [
        "# Networks\n",
        "Parameters are trainable parameters. Errors are those published for one net, in %.",
        "Each net has a page with its drawing, recipes and claims.\n",
        "| net | year | parameters | top-1 | top-5 | protocol |",
        "|---|---|---:|---:|---:|---|",
    ]
    for net in NETS.values():
        count = "any depth" if net.parameters is None else f"{net.parameters:,}"
        top1, top5 = ("" if x is None else f"{x:g}" for x in (net.top1_error, net.top5_error))
        name = f"[`{net.name}`](nets/{net.name}.md)"
        cells = name, net.year, count, top1, top5, net.protocol or ""
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines.append("\n## Variations and departures\n")
    alike = {}
    for net in NETS.values():
        key = (net.paper, tuple(net.variations), net.departures)
        alike.setdefault(key, []).append(net)
    for nets in alike.values():
        net = nets[0]
        lines.append(f"### {', '.join(f'`{other.name}`' for other in nets)}\n")
        lines.append(f"{net.paper} ({net.year}). {net.place}.\n")
        lines += [*(f"- {text}" for text in net.news), "", "Variations:", ""]
        lines += [] if net.variations else ["none", ""]
        for name, variation in net.variations.items():
            default = "" if variation.default is None else f"; published: {variation.default}"
            lines.append(f"- `{name}`: {variation}{default}")
        lines += ["", "Departs from the paper:", ""] if net.departures else [""]
        lines += [f"- {text}" for text in net.departures] + [""]
    return "\n".join(lines)


def weights_page():
    """Return the page of all published weights: file, accuracy, preprocessing and licence."""
    lines = ["# Published weights\n"]
    lines.append("Accuracies are the published ones, in %; the test protocol is in brackets.\n")
    for net in dict.fromkeys(source.net for source in SOURCES):
        lines.append(f"(weights-{net})=\n## {net}\n")
        for name, source in sources_of(net).items():
            if name == source.name:
                known = [f"{key}: {text}" for key, text in facts(source).items() if text]
                lines += [f"`{name}`\n", *(f"- {line}" for line in known), ""]
    return "\n".join(lines)


def recipes_page():
    """Return the page of all recipes, with expected errors and departures from the papers."""
    recipes = {path: load(path) for path in sorted((HERE.parent / "recipes").glob("*.toml"))}
    lines = [
        "# All recipes\n",
        "Errors are expected test errors in %: published errors, or errors that we measured.\n",
        "| recipe | net | images | top-1 | top-5 | protocol |",
        "|---|---|---|---:|---:|---|",
    ]
    for path, recipe in recipes.items():
        cells = [f"[`{path.stem}`](#{path.stem})", f"`{recipe.net}`", recipe.data.dataset]
        expect = recipe.expect
        errors = (expect.top1_error, expect.top5_error) if expect else (None, None)
        cells += ["" if error is None else f"{error:g}" for error in errors]
        cells.append(expect.protocol if expect else "not measured")
        lines.append(f"| {' | '.join(cells)} |")
    for path, recipe in recipes.items():
        lines += ["", f"({path.stem})=", f"## {path.stem}", ""]
        if recipe.expect and recipe.expect.measured:
            lines += [f"Measured: {recipe.expect.measured}.", ""]
        lines += [f"- {departure.what}: {departure.why}" for departure in recipe.departs] + [""]
        lines += ["```toml", path.read_text(encoding="utf-8").rstrip(), "```", ""]
    return "\n".join(lines)


def ops_table():
    """Return the table of all preprocessing ops: name, keys, first line of the docstring."""
    from keras_ilsvrc.data.ops import OPS  # imported only here, because it imports TensorFlow

    lines = ["| op | keys | what it does |", "|---|---|---|"]
    for name, op in OPS.items():
        keys = ", ".join(f"`{key}`" for key in OP_KEYS[name])
        lines.append(f"| `{name}` | {keys} | {inspect.getdoc(op).splitlines()[0]} |")
    return "\n".join(lines) + "\n"


def op_details():
    """Return directives that show the docstrings of all preprocessing ops."""
    from keras_ilsvrc.data.ops import OPS

    lines = [f".. autofunction:: {op.__module__}.{name}\n" for name, op in OPS.items()]
    return "\n".join(["```{eval-rst}", *lines, "```\n"])


def challenge_departures():
    """Return the departures of `challenge.toml` from the papers, as Markdown."""
    return departures_of(Contest().departures())


def challenge_outcome():
    """Return the outcome in the folder `challenge` as Markdown, or a note if there is none."""
    if not (HERE / "challenge" / "challenge.json").is_file():
        return "Not measured yet.\n"
    # imported only here, because they import Keras, which takes seconds
    from keras_ilsvrc.claims.challenge import read
    from keras_ilsvrc.claims.challenge_table import answers_of

    return answers_of(read(HERE / "challenge"), "challenge/challenge.png")


def map_page():
    """Return the page of all packages and modules of the first level, with their imports."""
    entries = {x.parent.name: x for x in PACKAGE.glob("*/__init__.py")}
    entries |= {x.stem: x for x in PACKAGE.glob("*.py") if not x.stem.startswith("__")}
    imported = re.compile(r"(?:from|import) keras_ilsvrc\.(\w+)")
    lines = ["# The map\n", "All parts of the package, and the parts that each of them imports.\n"]
    lines += ["| part | content | imports | lines |", "|---|---|---|---:|"]
    for name, entry in sorted(entries.items()):
        files = entry.parent.rglob("*.py") if entry.stem == "__init__" else [entry]
        texts = [path.read_text(encoding="utf-8") for path in files]
        used = {x for text in texts for x in imported.findall(text) if x in entries} - {name}
        content = ast.get_docstring(ast.parse(entry.read_text(encoding="utf-8"))).splitlines()[0]
        count = sum(len(text.splitlines()) for text in texts)
        lines.append(f"| `{name}` | {content} | {', '.join(sorted(used)) or 'none'} | {count:,} |")
    return "\n".join(lines) + "\n"


def write_pages(app):
    """Write the generated pages and the plot of `compare` to `generated`, which git ignores."""
    folder = HERE / "generated"
    folder.mkdir(exist_ok=True)
    if not (folder / "compare.png").is_file():
        command = "keras-ilsvrc", "compare", *SIDE_BY_SIDE, "--plot", str(folder / "compare.png")
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    pages = {
        "nets": nets_page,
        "weights": weights_page,
        "recipes": recipes_page,
        "map": map_page,
        "ops": ops_table,
        "op_details": op_details,
        "challenge_departures": challenge_departures,
        "challenge_outcome": challenge_outcome,
    }
    texts = {name: page() for name, page in pages.items()} | story_pages(folder)
    for name, text in texts.items():
        path = folder / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def own_signature(app, what, name, thing, options, signature, returns):
    """Return the constructor's arguments, which Keras' classes hide behind (*args, **kwargs)."""
    if what == "class" and signature == "(*args, **kwargs)":
        parameters = list(inspect.signature(thing.__init__).parameters.values())[1:]
        return str(inspect.Signature(parameters)), returns
    return signature, returns


def setup(app):
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-signature", own_signature)
