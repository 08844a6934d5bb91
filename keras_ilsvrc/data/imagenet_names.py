"""English names of the 1,000 ILSVRC classes, each with its WordNet id (synset)."""

import csv
from functools import cache
from importlib.resources import files


@cache
def imagenet_names() -> dict[str, str]:
    """Return {synset: English name}, in the usual order of the 1,000 classes: sorted by synset.

    For example, the first item is `"n01440764": "tench"`.
    """
    text = (files("keras_ilsvrc.data") / "imagenet_names.csv").read_text(encoding="utf-8")
    return {row["synset"]: row["name"] for row in csv.DictReader(text.splitlines())}


def readable(name: str) -> str:
    """Return the English name if `name` is an ImageNet synset, otherwise `name` itself."""
    return imagenet_names().get(name, name)
