"""Tests of reading claim files: names, one-line errors for wrong files, recipes of arms."""

from pathlib import Path

import pytest
import small_claims
from cases import each_of
from small_claims import ARMS, EXPECT, SET, study, write

from keras_ilsvrc import InputError
from keras_ilsvrc.claims.arms import Study
from keras_ilsvrc.claims.measures import MEASURES
from keras_ilsvrc.claims.schema import claims, find_claim, read_claim

FOLDER = Path(__file__).parents[2] / "recipes" / "claims"


def test_a_claim_is_found_by_name_number_and_path(tmp_path):
    known = claims()
    for name in ("R18_degradation", "R18", "r18"):
        assert find_claim(name) == known["R18_degradation"]
    assert find_claim("R1") == find_claim("r01") == known["R01_relu"]
    path = write(tmp_path)
    assert find_claim(str(path)) == path


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("R18_degradatoin", "; did you mean 'R18_degradation' or "),
        ("R26", "no such claim in the package"),
        ("R0", "no such claim in the package"),
        ("", "no such claim in the package"),
        ("x" * 5000, f"{'x' * 200}: no such file"),
        (str(FOLDER), "no such claim in the package"),
    ],
)
def test_an_unknown_claim_is_refused_with_a_hint(name, hint):
    with pytest.raises(InputError) as error:
        find_claim(name)
    assert hint in str(error.value)
    assert str(error.value).endswith("`keras-ilsvrc claim` lists all claims")


def refused(folder, **parts):
    """The one line about a wrong claim file, without its path."""
    path = write(folder, **parts)
    with pytest.raises(InputError) as error:
        Study(path)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value).removeprefix(f"{path}: ")


def row(**keys):
    return {"expect": [keys]}


START = {"initial": {"weights": "arm:eight", "skip": ["logits"]}}
NINE, TEN = ({"initial": START["initial"] | {"weights": f"arm:{x}"}} for x in ("nine", "ten"))

# (parts of the file, the line about it or its start)
WRONG = [
    ({"tilte": "x"}, "tilte: unknown key; did you mean 'title' or "),
    ({"title": None}, "title: missing"),
    ({"title": 5}, "title is 5; it should be a valid string"),
    ({"minutes": 0}, "minutes is 0; it should be greater than 0"),
    ({"seeds": 0}, "seeds is 0; it should be greater than or equal to 1"),
    ({"seeds": 101}, "seeds is 101; it should be less than or equal to 100"),
    ({"rates": []}, "rates is []; it "),
    ({"rates": [1, 0]}, "rates.1 is 0; it should be greater than 0"),
    ({"rates": [1.0, 1.0]}, "rates: contains a factor twice: [1.0, 1.0]"),
    (
        {"measure": "trainig_error"},
        "measure 'trainig_error' is unknown; did you mean 'training_err",
    ),
    ({"chosen_by": "luck"}, "measure 'luck' is unknown; known: training_error, training_loss, "),
    ({"measure": "steps_to_error"}, "at: missing; the measure steps_to_error needs a training"),
    (
        {"measure": "response"},
        "arms.eight: the measure response needs 'responses' in the key watch",
    ),
    (
        {"measure": "first_gradient", "changes": {"watch": ["responses"]}},
        "arms.eight: the measure first_gradient needs 'gradients' in the key watch",
    ),
    (
        {"recipe": "quickstrat"},
        "recipe: quickstrat: no such recipe file, and no such recipe in the",
    ),
    ({"arms": {}}, "arms is {}; it "),
    ({"arms": {**ARMS, "ten": {}}}, "arms.ten: identical to arm 'eight'; change a key of one"),
    ({"arms": {**ARMS, "ten": {"buidl.depth": 20}}}, "arms.ten: buidl: unknown key; did you mean"),
    (
        {"arms": {**ARMS, "ten": {"build.dept": 9}}},
        "arms.ten: resnet_cifar has no argument 'dept'; ",
    ),
    ({"arms": {**ARMS, "ten": {"net": "resnet_cifr"}}}, "arms.ten: no net is called 'resnet_cifr'"),
    (
        {"arms": {**ARMS, "ten": {"device": "tpu"}}},
        "arms.ten.device is 'tpu'; it should be 'cpu' or",
    ),
    ({"arms": {**ARMS, "ten": {"test": {"protocol": "x"}}}}, "arms.ten.test.protocol is 'x'; it "),
    (
        {"arms": {**ARMS, "ten": {"test": {"protocol": "multi_scale", "scale": [8]}}}},
        "arms.ten.test.scale: unknown key; did you mean 'scales'?",
    ),
    (
        {"changes": {"data.trian": "train"}},
        "set: data.trian: unknown key; did you mean 'train' or ",
    ),
    (
        {"arms": {**ARMS, "ten": NINE}},
        "arms.ten: initial.weights: arm 'nine' is unknown; known: eight, fourteen, ten",
    ),
    (
        {"arms": {**ARMS, "ten": START, "tenth": TEN}},
        "arms.tenth: initial.weights: arm 'ten' starts from another arm, or is trained on",
    ),
    (
        {"arms": {**ARMS, "ten": {**START, "device": "cpu"}}},
        "arms.ten: initial.weights: arm 'eight' starts from another arm, or is trained on",
    ),
    (row(higher="fourteen", lower="nine"), "arm 'nine' is unknown; known: eight, fourteen"),
    (
        row(higher="eight", lower="eight"),
        "expect.0: compares 'eight' with itself; expected two different arms",
    ),
    (row(), "expect.0: names no arm; expected the keys higher and lower, or alike and within, or"),
    (
        row(higher="eight"),
        "expect.0: has the keys higher; expected the keys higher and lower, or alike and",
    ),
    (
        row(higher="eight", lower="fourteen", within=1),
        "expect.0: has the keys higher, lower, within",
    ),
    (row(arm="eight", above=1, below=2), "expect.0: has the keys above, arm, below; expected"),
    (row(alike=["eight"], within=1), "expect.0.alike is ['eight']; it "),
    (row(alike=["eight", "fourteen"], within=-1), "expect.0.within is -1; it should be greater"),
    (row(arm="eight", above="x"), "expect.0.above is 'x'; it should be a valid number"),
    (
        row(arm="eight", above=1, measures="gap"),
        "expect.0.measures: unknown key; did you mean 'mea",
    ),
    (row(arm="eight", above=1, measure="gape"), "measure 'gape' is unknown; did you mean 'gap'?"),
    ({"expect": []}, "expect: missing"),
    (
        {"quick": {"recipe": "quickstart", "seed": 3}},
        "quick.seed: unknown key; did you mean 'seeds'",
    ),
    (
        {"quick": {"recipe": "quickstart", "arms": {"ten": {}}}},
        "arm 'ten' is unknown; did you",
    ),
]


@each_of("case", WRONG)
def test_a_wrong_file_is_refused_with_a_line(case, tmp_path):
    parts, line = case
    assert refused(tmp_path, **parts).startswith(line)


def test_a_validation_error_needs_a_validation_split(tmp_path):
    changes = {key: x for key, x in SET.items() if key != "data.validation"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(small_claims, "SET", changes)
        line = refused(tmp_path)
    assert line.removeprefix("arms.eight: ") == (
        "the measure validation_error needs a split in the key data.validation"
    )


def test_the_quick_form_names_its_own_keys(tmp_path):
    quick = {"recipe": "nothing"}
    with pytest.raises(InputError, match=r"small.toml: quick.recipe: nothing: no such recipe file"):
        Study(write(tmp_path, quick=quick), quick=True)
    quick = {"recipe": "quickstart", "set": {"seeed": 1}}
    with pytest.raises(InputError, match=r"small.toml: quick.set: seeed: unknown key"):
        Study(write(tmp_path, quick=quick), quick=True)


def test_a_file_that_is_no_toml_is_refused(tmp_path):
    path = tmp_path / "a.toml"
    for content in (b"title = ", b"\xff\xfe", b""):
        path.write_bytes(content)
        with pytest.raises(InputError) as error:
            read_claim(path)
        assert str(error.value).startswith(f"{path}: ")


def test_every_fault_has_a_line(tmp_path):
    with pytest.raises(InputError) as error:
        Study(write(tmp_path, title=None, says=5))
    assert [x.rpartition(".toml: ")[2] for x in str(error.value).splitlines()] == [
        "title: missing",
        "says is 5; it should be a valid string",
    ]


def test_the_recipe_of_an_arm_has_its_changes_its_seed_and_its_rate(tmp_path):
    found = study(tmp_path, seeds=2, changes={"seed": 3})
    recipe = found.recipe("fourteen", 1, 0.5)
    assert (recipe.build.depth, recipe.seed) == (14, 4)
    assert recipe.schedule.learning_rate == [[0, 0.05]]
    assert found.seeds == 2
    assert found.recipes["eight"].build.depth == 8


def test_quick_changes_replace_those_of_the_arm(tmp_path):
    quick = {"recipe": "quickstart", "set": SET, "arms": {"fourteen": {"build.depth": 20}}}
    found = Study(write(tmp_path, quick={**quick, "seeds": 5}), quick=True)
    assert found.recipes["fourteen"].build.depth == 20
    assert (found.seeds, found.rates) == (5, [1.0])


def test_a_recipe_may_stand_beside_the_claim(tmp_path):
    text = (FOLDER.parent / "quickstart.toml").read_text()
    (tmp_path / "own.toml").write_text(text.replace("seed = 2", "seed = 7"))
    assert study(tmp_path, recipe="own.toml").recipes["eight"].seed == 7


def test_the_keys_of_the_first_lines_have_defaults(tmp_path):
    path = write(tmp_path, rates=None)
    claim = read_claim(path)
    assert (claim.rates, claim.seeds, claim.chosen_by) == ([0.3, 1.0, 3.0], 3, "validation_error")
    assert claim.expect[0].arms == ["fourteen", "eight"]
    assert Study(path).measures("eight") == ["training_error"]
    other = [*EXPECT, {"arm": "eight", "below": 5, "measure": "gap"}]
    both = study(tmp_path, expect=other)
    assert both.measures("eight") == ["gap", "training_error"]
    assert both.measures("fourteen") == ["training_error"]
    assert {x.needs for x in MEASURES.values()} == {
        "",
        "data.validation",
        "watch gradients",
        "watch responses",
    }
