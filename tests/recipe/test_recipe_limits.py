"""Tests of recipes that are too large, too deep or badly encoded: a one-line error at once."""

import random
import time

import pytest
from cases import each_of

from keras_ilsvrc import InputError
from keras_ilsvrc.recipe import find, load

DIGITS = "9" * 5000
TOO_MANY = "not TOML: a number has more than 4,300 digits"
BAD = {
    "5,000 digits": (f"seed = {DIGITS}", TOO_MANY),
    "5,000 digits in a list": (
        f"x = [1, {DIGITS}]",
        "not TOML: a number has more than 4,300 digits",
    ),
    "nested lists": ("x = " + "[" * 100_000, "nested deeper than 16"),
    "nested tables": ("x = " + "{a=" * 100_000, "nested deeper than 16"),
    "a dotted key": ("a." * 100_000 + "a = 1", "more than 16 parts"),
    "a dotted table": ("[" + "a." * 100_000 + "a]", "more than 16 parts"),
    "two megabytes": ("#" * 2_000_000, "2,000,000 bytes; expected at most 1,000,000"),
    "a long line": ("a" * 900_000, "not TOML"),
    "many dots": ("x = '" + "a." * 400_000 + "'", "x: unknown key"),
    "Latin-1": (b"net = 'r\xe9snet'", "not UTF-8"),
    "NUL": (b"net = '\0'", "not TOML"),
}


@each_of("name", BAD)
def test_a_hostile_recipe_is_refused_within_seconds(tmp_path, name):
    content, message = BAD[name]
    path = tmp_path / "recipe.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    started = time.monotonic()
    with pytest.raises(InputError, match=message) as caught:
        load(path)
    assert time.monotonic() - started < 5
    lines = str(caught.value).splitlines()
    assert len(lines) == 1 or lines[0].endswith(f"{len(lines) - 1} errors:")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (f"seed={DIGITS}", "--set seed: a number has more than"),
        ("seed=" + "[" * 100_000, "--set seed: brackets are nested deeper than 16"),
        ("seed=1\nb=2", "--set seed: .* is more than one value"),
        ("a." * 100_000 + "a=1", "100001 parts; expected at most 16"),
        ("schedule.steps=99999999999999", "schedule.steps: 99999999999999 should be less than"),
        ("data.batch_size=4294967296", "data.batch_size: 4294967296 should be less than"),
    ],
)
def test_a_hostile_override_is_refused(override, message):
    with pytest.raises(InputError, match=message):
        load(find("quickstart"), [override])


def test_a_byte_order_mark_is_passed_over(tmp_path):
    """Windows' Notepad writes one."""
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xef\xbb\xbf" + find("quickstart").read_bytes())
    assert load(path) == load(find("quickstart"))


def test_a_name_that_is_no_path_is_refused_in_one_line():
    for name in ("x" * 5000, "no/such/recipe", "quickstrat"):
        with pytest.raises(InputError, match=r"no such recipe file") as caught:
            find(name)
        assert not str(caught.value).endswith("; ")
        assert len(str(caught.value)) < 600


def test_damaged_recipes_are_refused_or_load(tmp_path):
    """500 mutations: nothing but an InputError ever comes."""
    whole, draw, path = find("resnet110_cifar").read_bytes(), random.Random(0), tmp_path / "r.toml"
    refused = 0
    for _ in range(500):
        changed = bytearray(whole)
        for _ in range(draw.randint(1, 5)):
            place = draw.randrange(len(changed))
            changed[place : place + draw.randint(0, 3)] = draw.randbytes(draw.randint(0, 3))
        path.write_bytes(changed)
        try:
            load(path)
        except InputError as error:
            assert str(path) in str(error)  # noqa: PT017
            refused += 1
    assert refused > 250
