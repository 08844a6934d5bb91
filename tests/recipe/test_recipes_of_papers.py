"""Tests of every value in recipes of papers: compared with tests/paper/methods/recipes.toml."""

import tomllib
from fnmatch import fnmatchcase
from fractions import Fraction
from math import ceil
from pathlib import Path

from methods import METHODS, differences

RULES = dict(METHODS["recipes"])
IMAGES = RULES.pop("images")  # of an epoch, by data set
WORDS = ("for", "on", "columns", "rows")  # keys of a rule that are not values
FILES = sorted((Path(__file__).parent.parent.parent / "recipes").glob("*.toml"))
RECIPES = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in FILES}
OF_PAPERS = {name: row for name, row in RECIPES.items() if row["data"]["dataset"] in IMAGES}


def flat(table, prefix=""):
    """Values by dotted keys; the ops of a recipe as texts, under `train` and `eval`."""
    values = {}
    for key, value in table.items():
        if isinstance(value, dict):
            values |= flat(value, f"{prefix}{key}.")
        elif key in ("train_ops", "eval_ops"):
            values[key.removesuffix("_ops")] = [" ".join(words(op)) for op in value]
        elif key != "departs":
            values[f"{prefix}{key}"] = value
    return values


def words(op):
    """The name and the values of an op, as texts."""
    for value in op.values():
        for each in value if isinstance(value, list) else [value]:
            yield str(each) if isinstance(each, str | bool) else f"{each:g}"


def rules_of(name):
    """The rules of a recipe: their sources and values, with epochs in steps."""
    data = RECIPES[name]["data"]
    for source, rule in RULES.items():
        patterns = rule.get("rows") or rule.get("for", ["*"])
        fits = any(fnmatchcase(name, pattern) for pattern in patterns)
        if fits and rule.get("on", data["dataset"]) == data["dataset"]:
            said = flat({key: value for key, value in rule.items() if key not in WORDS})
            said |= dict(zip(rule.get("columns", ()), rule.get("rows", {}).get(name, ())))
            epoch = Fraction(IMAGES[data["dataset"]], data["batch_size"])
            yield source, {key: steps(value, epoch) for key, value in said.items()}


def steps(value, epoch):
    """A value of a rule, in which texts such as `8 epochs` become steps."""
    if isinstance(value, list):
        return [steps(each, epoch) for each in value]
    if isinstance(value, str) and value.endswith(" epochs"):
        return ceil(Fraction(value.removesuffix(" epochs")) * epoch)
    return value


def test_every_value_of_every_recipe_is_its_papers_or_marked_as_ours():
    failures = []
    for name in OF_PAPERS:
        found, told = flat(RECIPES[name]), {"net": name}
        for source, said in rules_of(name):
            failures += [f"{name}: {line}" for line in differences(source, said, found)]
            told |= said
        for key in sorted(found.keys() - told.keys()):
            failures.append(f"{name}: no rule of recipes.toml says {key} = {found[key]!r}")
        if found["net"] != told["net"]:
            failures.append(f"{name}: trains {found['net']}, expected {told['net']}")
    assert not failures, "\n".join(failures)


def test_every_rule_is_of_recipes():
    patterns = {x for rule in RULES.values() for x in rule.get("rows", rule.get("for", []))}
    assert not [x for x in patterns if not any(fnmatchcase(name, x) for name in OF_PAPERS)]


def test_recipes_on_other_data_sets_say_where_they_depart():
    assert all(row.get("departs") for name, row in RECIPES.items() if name not in OF_PAPERS)
