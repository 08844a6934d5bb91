"""Tests of the command `claim`: its list, its options, its files, and its one-line errors."""

import json
import os
import shutil
import signal
import sys
import threading
import time

import claim_stand_in
import numpy as np
import pytest
from commands import call, refused, said
from PIL import Image
from small_claims import write

from keras_ilsvrc.claims import outcome as outcomes
from keras_ilsvrc.claims import study as studies
from keras_ilsvrc.claims.schema import claims
from keras_ilsvrc.cli import claim as module
from keras_ilsvrc.cli.pools import LOCK
from keras_ilsvrc.runs import apart
from keras_ilsvrc.utils import files

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def claim(tmp_path):
    return write(tmp_path, seeds=2)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "my claims"


def test_without_a_name_all_claims_are_listed():
    lines = said("claim", "--json")
    assert list(json.loads(lines)) == list(claims())
    assert all(name in said("claim") for name in claims())


def test_a_claim_writes_its_files_and_says_where(stand_in, claim, out):
    done = call("claim", claim, "--out", out)
    assert done.status == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"picture     {out / 'small' / 'claim.png'}",
        f"table       {out / 'claims.md'}",
    ]
    assert done.stderr.splitlines()[-2:] == [
        "small: seen",
        "  seen: training error: fourteen (16.5 %) should be higher than eight (10.5 %)",
    ]
    found = json.loads((out / "small" / "claim.json").read_text())
    assert (found["verdict"], found["effects"][0]["value"]) == ("seen", 6)
    assert (out / "claims.md").read_text().splitlines() == [
        "| claim | data | comparison | difference | interval | verdict |",
        "|---|---|---|---|---|---|",
        "| small | digits | training error: fourteen (16.5 %) should be higher than eight (10.5 %) "
        "| 6 | 4.59 to 7.41 | seen |",
    ]
    with Image.open(out / "small" / "claim.png") as image:
        assert image.format == "PNG"
    assert sorted(path.name for path in out.iterdir()) == [
        *("claims.md", "runs", "runs.json", "small"),
    ]


def test_the_table_has_all_claims_of_the_folder(stand_in, claim, out, tmp_path):
    said("claim", claim, "--out", out)
    rows = [{"higher": "a | b", "lower": "eight"}, {"arm": "eight", "below": 3, "measure": "gap"}]
    arms = {"eight": {}, "a | b": {"build.depth": 14}}
    other = write(tmp_path, "with spaces", arms=arms, expect=rows[:1], seeds=1)
    assert (
        "one seed has no spread, so no verdict is possible"
        in call("claim", other, "--out", out).stderr
    )
    lines = (out / "claims.md").read_text().splitlines()[2:]
    assert [line.split(" | ")[0] for line in lines] == ["| small", "| with spaces"]
    assert lines[1].endswith(
        "a &#124; b (16 %) should be higher than eight (10 %) | not measured "
        "| not measured to not measured | no verdict |"
    )


def test_json_is_all_that_is_printed(stand_in, claim, out):
    found = json.loads(said("claim", claim, "--out", out, "--json", "--seeds", "3"))
    assert [one["seeds"] for one in found] == [3]
    assert found[0]["arms"][0]["values"] == {"training_error": [10, 11, 12]}


def test_the_quick_form_has_its_own_folder(stand_in, out, tmp_path):
    quick = {"recipe": "quickstart", "seeds": 2, "set": {"net": "resnet_cifar", "build.depth": 8}}
    quick["set"] |= {"data.train": "train", "data.validation": "validation"}
    said("claim", write(tmp_path, quick=quick), "--out", out, "--quick")
    assert json.loads((out / "small_quick" / "claim.json").read_text())["quick"]
    assert "| small (quick) |" in (out / "claims.md").read_text()


def test_a_known_reason_is_said_if_a_claim_is_not_seen(stand_in, tmp_path, out):
    expect = [{"higher": "eight", "lower": "fourteen"}]
    path = write(tmp_path, expect=expect, reason="the digits are easy", seeds=2)
    done = call("claim", path, "--out", out)
    assert done.stderr.splitlines()[-3:] == [
        "small: contradicted",
        "  contradicted: training error: eight (10.5 %) should be higher than fourteen (16.5 %)",
        "  possible reason: the digits are easy",
    ]


@pytest.fixture
def small_package(monkeypatch, tmp_path):
    """A package with two claims, of which the first fails."""
    arms = {"eight": {}, "fourteen": {"optimizer.l2": claim_stand_in.FAILS}}
    paths = {"R01_a": write(tmp_path, "R01_a", arms=arms), "R02_b": write(tmp_path, "R02_b")}
    monkeypatch.setattr(module, "claims", lambda: paths)


def test_all_goes_on_after_a_claim_that_fails(stand_in, small_package, out):
    done = call("claim", "--all", "--out", out, "--json", "--seeds", "2")
    assert done.status == 2
    assert done.stderr.splitlines()[-1].startswith("error: R01_a: ")
    assert done.stderr.splitlines()[-1].endswith(": out of luck")
    assert [one["claim"] for one in json.loads(done.stdout)] == ["R02_b"]
    assert "| R02_b |" in (out / "claims.md").read_text()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["R99"], "R99: no such file, and no such claim in the package; "),
        (["R18", "--all"], "--all tests every claim; leave out R18, or leave out --all"),
        (["R18", "--quick", "--data", "digits"], "--quick trains on the digits; leave out --data"),
        (["--quick"], "no claim is named; name one, or pass --all to test every claim"),
        (
            ["R18", "--data", "nothing"],
            "no data set is called 'nothing'; known: digits, folder:PATH",
        ),
        (
            ["R18", "--data", "digits"],
            "data.train_ops make images of 16x16x1, but the net expects ",
        ),
    ],
)
def test_wrong_words_are_refused_before_anything_is_written(words, line, out):
    assert refused("claim", *words, "--out", out).startswith(line)
    assert not out.exists()


def photos(folder, classes, number):
    """Write a folder of small photographs."""
    random = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for label in range(classes):
            (folder / split / str(label)).mkdir(parents=True)
            for name in range(number):
                pixels = random.integers(0, 256, (8, 8), "uint8")
                Image.fromarray(pixels).save(folder / split / str(label) / f"{name}.png")
    return f"folder:{folder}"


OPS = [{"op": "centre_crop", "size": 8}, {"op": "standardise"}]


def test_images_that_do_not_fit_are_refused(out, tmp_path):
    claim = write(tmp_path, changes={"data.train_ops": OPS, "data.eval_ops": OPS})
    source = photos(tmp_path / "three", 3, 1)
    assert "3 classes" in refused("claim", claim, "--out", out, "--data", source)
    source = photos(tmp_path / "ten", 10, 1)
    line = refused("claim", claim, "--out", out, "--data", source)
    assert line == (
        f"{source} has 10 training images, fewer than a batch of 128; use a larger data set"
    )
    assert not out.exists()


def test_the_images_of_the_digits_are_identified(claim):
    found = studies.images_of(next(iter(module.Study(claim).recipes.values())))
    assert (found.label, found.number) == ("digits", 1077)
    assert len(found.digest) == 64


def test_two_commands_do_not_share_a_folder(stand_in, claim, out):
    out.mkdir()
    taken = files.lock(out / LOCK)
    try:
        assert refused("claim", claim, "--out", out) == (
            f"{out}: another process trains in this folder; wait until it ends, or choose another "
            "--out"
        )
    finally:
        taken.release()
    assert not stand_in()


def test_a_place_that_cannot_be_written_is_refused(stand_in, claim, tmp_path):
    (tmp_path / "file").touch()
    assert "file: not a directory; choose another --out" in refused(
        "claim", claim, "--out", tmp_path / "file"
    )
    assert "cannot be created" in refused("claim", claim, "--out", "/proc/claims")
    assert not stand_in()


def test_damaged_files_are_refused_with_advice(stand_in, claim, out):
    said("claim", claim, "--out", out)
    path = out / "small" / "claim.json"
    (out / "other").mkdir()
    for content in ("", "[]", "5", "{}", path.read_text().replace('"arms"', '"army"')):
        (out / "other" / "claim.json").write_text(content)
        line = refused_after_output("claim", claim, "--out", out)
        assert line.startswith(f"error: {out / 'other' / 'claim.json'}: damaged: ")
        assert line.endswith("; remove this file, and repeat the command")
    shutil.rmtree(out / "other")
    (out / "runs.json").write_text("{")
    assert f"{out / 'runs.json'}: damaged: " in refused("claim", claim, "--out", out)


def refused_after_output(*words):
    done = call(*words)
    assert done.status == 2
    return done.stderr.splitlines()[-1]


def test_an_outcome_is_read_as_it_was_written(stand_in, claim, out):
    said("claim", claim, "--out", out)
    found = outcomes.read(out / "small")
    assert json.loads((out / "small" / "claim.json").read_text()) == found.table()
    assert found.arms[0].rates == {"1": 11}


def test_a_claim_that_is_stopped_goes_on_where_it_was(stand_in, tmp_path, out, monkeypatch):
    """SIGTERM comes while two runs train, in processes of their own; the command is repeated."""
    monkeypatch.undo()
    log = tmp_path / "stand_in.log"
    monkeypatch.setenv(claim_stand_in.LOG, str(log))
    monkeypatch.setattr(apart, "TRAIN", (sys.executable, claim_stand_in.__file__))
    images = studies.ImagesOfRun("digits", "0" * 64, 1077)
    monkeypatch.setattr(studies, "images_of", lambda recipe: images)
    path = write(tmp_path, changes={"optimizer.l2": claim_stand_in.SLOW}, seeds=2)

    def stop():
        deadline = time.monotonic() + 60
        while len(list(out.glob("runs/*/checkpoints/*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop).start()
    done = call("claim", path, "--out", out, "--jobs", 2)
    assert done.status == 75, done.stderr
    assert (
        done.stderr.splitlines()[-1] == "small: stopped by SIGTERM; repeat the command to continue"
    )
    assert not list(out.glob("runs/*/result.json"))
    before = stand_in()
    assert len(before) == 2
    done = call("claim", path, "--out", out, "--jobs", 2)
    assert done.status == 0, done.stderr
    assert "small: seen" in done.stderr
    after = stand_in()[2:]
    assert set(before) < set(after)  # they went on, and the other seeds followed
    assert len(after) == 4
