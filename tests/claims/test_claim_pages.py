"""Tests of the picture of a claim, and of the page of claims in the documentation."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_ilsvrc import InputError
from keras_ilsvrc.claims import outcome as outcomes
from keras_ilsvrc.claims.arms import Study
from keras_ilsvrc.claims.measures import MEASURES
from keras_ilsvrc.claims.picture import draw
from keras_ilsvrc.claims.schema import Claim, OfArm, Quick, Row
from keras_ilsvrc.claims.study import Arm, Outcome
from keras_ilsvrc.claims.verdict import effect_of, overall

pytestmark = pytest.mark.tensorflow
DOCS = Path(__file__).parents[2] / "docs"
NAN = math.nan


def outcome(arms=2, values=(3.0, 4.0), curve=((1, 5.0, 6.0), (2, 3.0, 4.0)), **changes):
    """An outcome with some arms; the last one is compared with the first, or with a number."""
    made = [
        Arm(
            name=f"arm {x} $",
            net="lenet5",
            parameters=1000 * x,
            macs=None if x else 5000,
            rates={"1": 0.5, "3": math.inf},
            values={"training_error": [value + x for value in values]} if values else {},
            curves=[[list(row) for row in curve]] * len(values) if curve else [],
        )
        for x in range(arms)
    ]
    last, first = made[-1].name, made[0].name
    row = Row(higher=last, lower=first) if arms > 1 else Row(arm=first, below=9)
    named = {arm.name: arm.values.get("training_error", []) for arm in made}
    effects = [effect_of(row, "training_error", named)]
    facts = {
        "claim": "R18_degradation",
        "title": "A | title",
        "says": "One is more.",
        "source": "us",
        "quick": False,
        "dataset": "digits",
        "images": 1077,
        "seeds": max(1, len(values)),
        "reduced": "small nets",
        "reason": "easy",
        "verdict": overall(effects),
        "seconds": 1.0,
    }
    return Outcome(**{**facts, "arms": made, "effects": effects, **changes})


@pytest.mark.parametrize(
    "parts",
    [
        {"arms": 1},
        {"arms": 12},
        {"values": (3.0,)},
        {"values": ()},
        {"values": (), "curve": None},
        {"values": (NAN, 3.0)},
        {"values": (NAN, NAN), "curve": None},
        {"curve": ((1, None, None), (2, 3.0, None))},
        {"curve": ((1, 5.0, 6.0),)},
        {"quick": True, "title": "A very long title, with $ and _ " * 5, "says": "word " * 300},
    ],
    ids=str,
)
def test_a_picture_is_drawn_of_any_outcome(parts, tmp_path):
    made = outcome(**parts)
    draw(made, tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
        assert image.width == 1320
        assert len(np.unique(np.asarray(image.convert("L")))) > 20
    outcomes.write(made, tmp_path / "again")
    draw(outcomes.read(tmp_path / "again"), tmp_path / "b.png")
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "a.png").read_bytes()


@pytest.fixture(scope="module")
def pages():
    spec = importlib.util.spec_from_file_location("claims_page", DOCS / "claims_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_that_of_the_outcomes(pages):
    assert pages.PAGE.read_text(encoding="utf-8") == pages.page()


def test_a_section_has_the_verdict_the_picture_the_arms_and_the_command(pages, tmp_path):
    story = tmp_path / "story"
    assert pages.page(story) == pages.EMPTY
    outcomes.write(outcome(), story / "R18_degradation")
    outcomes.write(outcome(quick=True, values=(NAN, 3.0)), story / "R18_degradation_quick")
    assert pages.page(story).splitlines() == [
        "| claim | data | verdict |",
        "|---|---|---|",
        "| [R18. A &#124; title](#claim-r18_degradation) | digits | not seen |",
        "| [R18. A &#124; title](#claim-r18_degradation-quick) | digits | no verdict |",
        "",
        "(claim-r18_degradation)=",
        "### R18. A | title",
        "",
        "One is more. (us)",
        "",
        "**Not seen** on digits, with 2 seeds and 1,077 training images: small nets. "
        "Possible reason: easy.",
        "",
        "- not seen: training error: arm 1 $ (4.5 %) should be higher than arm 0 $ (3.5 %)",
        "",
        "![A | title: curves and values of all arms](story/R18_degradation/claim.png)",
        "",
        "| arm | parameters | multiply-adds | rate | training error (%) |",
        "|---|---:|---:|---:|---:|",
        "| arm 0 $ | 0 | 5,000 | 1 | 3.5 ± 0.71 |",
        "| arm 1 $ | 1,000 |  | 1 | 4.5 ± 0.71 |",
        "",
        "```text",
        "keras-ilsvrc claim R18_degradation --data folder:cifar10",
        "```",
        "",
        *pages.section(
            outcome(quick=True, values=(NAN, 3.0)), "story/R18_degradation_quick"
        ).splitlines(),
    ]
    quick = pages.page(story).split("(claim-r18_degradation-quick)=")[1]
    assert "**No verdict** on digits" in quick
    assert "| arm 0 $ | 0 | 5,000 | 1 | not measured |" in quick
    assert "keras-ilsvrc claim R18_degradation --quick\n" in quick


def test_the_documentation_has_all_keys_and_measures():
    text = (DOCS / "claims.md").read_text(encoding="utf-8")
    names = {x for table in (Claim, Quick, Row, OfArm) for x in table.model_fields} | {*MEASURES}
    assert [name for name in sorted(names) if name not in text] == []


def test_the_example_of_the_documentation_is_a_claim(tmp_path):
    text = (DOCS / "claims.md").read_text(encoding="utf-8")
    path = tmp_path / "batch_norm.toml"
    path.write_text(text.split("```toml\n")[1].split("```")[0])
    assert list(Study(path).recipes) == ["with BN", "without BN"]
    with pytest.raises(
        InputError, match=r"quick: missing; leave out --quick, or add the table \[q"
    ):
        Study(path, quick=True)
