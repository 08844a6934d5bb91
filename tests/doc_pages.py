"""Modules in `docs` that generate pages, and the names of these pages."""

import functools
import importlib.util
import re
import sys
from pathlib import Path

from keras_ilsvrc.nets import NETS

DOCS = Path(__file__).parent.parent / "docs"


@functools.cache
def module(name):
    """A module of the documentation, under its own name."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    found = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def net_pages():
    """The module of the pages of nets, after those that it imports."""
    return [module(x) for x in ("page_parts", "chapters", "net_drawings", "net_pages")][-1]


def generated():
    """The names of all generated pages, below `docs/generated`."""
    own = re.findall(r'^        "(\w+)": \w+,$', (DOCS / "conf.py").read_text("utf-8"), re.M)
    return {*own, *(f"story/{year}" for year in net_pages().TITLES), *(f"nets/{x}" for x in NETS)}
