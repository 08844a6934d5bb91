"""Tests of the claim files in the package: they load, fit their images, and have whole texts."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from cases import each_of

from keras_ilsvrc.claims.arms import Study
from keras_ilsvrc.claims.schema import claims, read_claim
from keras_ilsvrc.recipe import load

FOLDER = Path(__file__).parents[2] / "recipes" / "claims"
FORMS = [(name, quick) for name in claims() for quick in (False, True)]


def test_there_is_a_file_for_each_of_the_claims_r1_to_r25():
    assert list(claims()) == [path.stem for path in sorted(FOLDER.glob("*.toml"))]
    assert [name.partition("_")[0] for name in claims()] == [f"R{x:02d}" for x in range(1, 26)]


@each_of("form", FORMS)
def test_every_claim_loads_in_both_forms(form):
    name, quick = form
    found = Study(claims()[name], quick)
    assert list(found.recipes) == list(found.claim.arms)
    for one, other in combinations(found.recipes, 2):
        parts = (found.recipes, found.tests, found.devices)
        assert any(part[one] != part[other] for part in parts), (one, other)
    compared = {arm for row in found.claim.expect for arm in row.arms}
    assert compared <= set(found.recipes)
    for recipe in found.recipes.values():
        assert recipe.expect is None
        assert (recipe.data.dataset == "digits") == quick


def shape_of_images(recipe):
    """The shape of an image of a recipe's data set; images of Imagenette have several."""
    side = {"digits": (8, 8), "tfds:cifar10": (32, 32)}.get(recipe.data.dataset, (160, 213))
    return *side, recipe.build.input_shape[2]


@pytest.mark.tensorflow
def test_the_ops_of_every_arm_fit_its_images_and_its_net():
    from keras_ilsvrc.data.apply import apply_ops
    from keras_ilsvrc.data.split import Split
    from keras_ilsvrc.data.statistics import measure_statistics
    from keras_ilsvrc.runs.experiment import op_rows

    found = set()
    for name, quick in FORMS:
        for arm, recipe in Study(claims()[name], quick).recipes.items():
            key = shape_of_images(recipe), tuple(recipe.build.input_shape), repr(recipe.data)
            if key in found:
                continue
            found.add(key)
            pixels = np.random.default_rng(0).integers(0, 256, (2, *key[0])).astype("uint8")
            train, test = op_rows(recipe.data.train_ops), op_rows(recipe.data.eval_ops)
            statistics = measure_statistics(Split(np.arange(2), pixels, channels=key[0][2]), train)
            for rows in (train, test):
                image = apply_ops(pixels[0], rows, np.array([0, 1], "int32"), statistics)
                assert image.shape == key[1], (name, arm)
    assert len(found) > 20


@each_of("name", list(claims()))
def test_the_head_of_a_claim_is_its_command_and_whole_sentences(name):
    first = claims()[name].read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(f"# keras-ilsvrc claim {name} --data ")
    claim = read_claim(claims()[name])
    assert re.fullmatch(r"[A-Z0-9].*\.", claim.says)
    assert claim.source
    assert claim.reduced
    assert claim.rates in ([0.3, 1.0, 3.0], [1.0])


@each_of("path", sorted((FOLDER / "base").glob("*.toml")))
def test_the_base_recipes_load_and_say_how_they_depart(path):
    recipe = load(path)
    assert recipe.departs
    assert recipe.data.validation
    assert path.read_text().startswith(f"# keras-ilsvrc train recipes/claims/base/{path.name}\n")


def test_every_base_recipe_is_used():
    used = {
        x for path in claims().values() for x in re.findall(r"base/\w+\.toml", path.read_text())
    }
    assert used == {f"base/{path.name}" for path in (FOLDER / "base").glob("*.toml")}
