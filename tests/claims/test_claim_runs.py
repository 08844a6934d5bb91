"""Tests of the runs of claims: rates, seeds, sharing, records, and failed runs."""

import json
import os
import shutil
import sys

import claim_stand_in
import pytest
from small_claims import ARMS, study

from keras_ilsvrc import InputError
from keras_ilsvrc.claims import pool as pools
from keras_ilsvrc.claims.cores import Places
from keras_ilsvrc.claims.measures import MEASURES
from keras_ilsvrc.claims.pool import Job
from keras_ilsvrc.claims.study import outcome_of
from keras_ilsvrc.runs import apart
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.training.stopping import Stopped, StopRequest

pytestmark = pytest.mark.tensorflow
START = {"initial": {"weights": "arm:eight", "skip": ["logits"]}}
BOTH = {**ARMS, "from eight": {"build.depth": 20, **START}}


def arms_of(outcome):
    return {arm.name: arm for arm in outcome.arms}


def test_a_claim_trains_each_arm_with_each_seed(pool, stand_in, tmp_path):
    found = outcome_of(study(tmp_path), pool())
    eight, fourteen = found.arms
    assert sorted(seed for _, seed in stand_in()) == sorted("234" * 2)
    assert eight.values == {"training_error": [10, 11, 12]}
    assert fourteen.values == {"training_error": [16, 17, 18]}
    assert eight.curves[0] == [[10, 30, 31], [20, 15, 16], [30, 10, 11]]
    assert (eight.seconds, eight.parameters, eight.net) == (4.5, 75_002, "resnet_cifar.depth-8")
    assert 5e5 < eight.macs < fourteen.macs < 2e6
    assert (found.verdict, found.seeds, found.images, found.dataset) == ("seen", 3, 1077, "digits")
    assert found.effects[0].value == 6
    assert found.seconds == 9


def test_each_arm_has_the_best_of_its_own_rates(pool, stand_in, tmp_path):
    fast = {"schedule.learning_rate": [[0, 0.2]]}
    arms = {"eight": {}, "fourteen": {"build.depth": 14, **fast}}
    found = outcome_of(study(tmp_path, arms=arms, rates=[0.5, 1.0, 2.0]), pool())
    eight, fourteen = found.arms
    assert (eight.rate, fourteen.rate) == (1.0, 0.5)
    assert eight.rates == {"0.5": 16, "1": 11, "2": 16}
    assert fourteen.rates == {"0.5": 17, "1": 22, "2": 27}
    # Three rates with the first seed, and two other seeds at the best.
    assert len(stand_in()) == 2 * (3 + 2)
    assert fourteen.values["training_error"] == [16, 17, 18]


def test_rates_may_be_chosen_by_another_measure(pool, tmp_path, monkeypatch):
    slow = MEASURES["training_error"]._replace(of=lambda run: -run.last("error"))
    monkeypatch.setitem(MEASURES, "training_loss", slow)
    found = outcome_of(study(tmp_path, rates=[1.0, 4.0], chosen_by="training_loss"), pool())
    assert [arm.rate for arm in found.arms] == [4.0, 4.0]


def test_of_equal_rates_the_first_is_chosen(pool, tmp_path):
    found = outcome_of(study(tmp_path, rates=[2.0, 0.5]), pool())
    assert [arm.rate for arm in found.arms] == [2.0, 2.0]


def test_a_rate_that_diverges_is_never_chosen(pool, stand_in, tmp_path):
    """Not even if another answers worse than at random, or diverges too."""
    worse = {"build.depth": 92}
    arms = {"eight": {}, "fourteen": worse, "never": {"schedule.learning_rate": [[0, 6.0]]}}
    found = arms_of(outcome_of(study(tmp_path, arms=arms, rates=[100.0, 1.0]), pool()))
    assert found["eight"].rates == {"100": float("inf"), "1": 11}
    assert found["fourteen"].rates["1"] > 90
    assert found["fourteen"].rate == found["eight"].rate == 1.0
    assert found["never"].values == {"training_error": [90, 90, 90]}  # as at random
    assert found["never"].curves == []
    assert (tmp_path / "claims" / "runs.json").read_text().count(
        '"diverged":"step 3: loss is nan"'
    ) == 6


def test_a_diverged_run_has_no_measure_but_errors(pool, tmp_path):
    arms = {"eight": {}, "fourteen": {"schedule.learning_rate": [[0, 6.0]]}}
    found = outcome_of(study(tmp_path, arms=arms, measure="training_loss"), pool())
    assert found.verdict == "no verdict"
    assert found.table()["arms"][1]["values"] == {"training_loss": [None] * 3}
    assert found.table()["arms"][1]["rates"] == {"1": None}
    json.dumps(found.table(), allow_nan=False)


def test_an_arm_may_start_from_the_run_of_another(pool, stand_in, tmp_path):
    found = arms_of(outcome_of(study(tmp_path, arms=BOTH, rates=[2.0, 1.0]), pool()))
    assert found["from eight"].values == {"training_error": [20 + seed - 1 for seed in range(3)]}
    recipes = [RunFiles(path.parent).recipe() for path in tmp_path.glob("claims/runs/*/run.json")]
    starts = {x.seed: x.initial.weights for x in recipes if not isinstance(x.initial, str)}
    for seed in (2, 3, 4):
        start = RunFiles(type(tmp_path)(starts[seed])).recipe()
        assert (start.build.depth, start.seed) == (8, seed)
        assert start.schedule.learning_rate == [[0, 0.1]]  # at the best rate of the other arm
    assert len(stand_in()) == 3 * (2 + 2)


def test_a_start_whose_directory_is_gone_is_trained_again(pool, stand_in, tmp_path, messages):
    outcome_of(study(tmp_path, arms=BOTH, seeds=1), pool())
    shutil.rmtree(tmp_path / "claims" / "runs")
    number = len(stand_in())
    more = {**BOTH, "also": {"build.depth": 26, **START}}
    outcome_of(study(tmp_path, arms=more, seeds=1), pool())
    assert len(stand_in()) == number + 2
    assert any("its weights are needed, and the run directory is gone" in x for x in messages)


def test_an_arm_whose_start_diverges_counts_as_diverged(pool, stand_in, tmp_path):
    arms = {"eight": {"schedule.learning_rate": [[0, 6.0]]}, "fourteen": BOTH["from eight"]}
    for _ in range(2):
        found = arms_of(outcome_of(study(tmp_path, arms=arms, seeds=2), pool()))
        assert found["fourteen"].values == {"training_error": [90, 90]}
    assert '"diverged":"its start diverged"' in (tmp_path / "claims" / "runs.json").read_text()


def test_arms_of_a_gpu_wait_for_one(pool, stand_in, tmp_path):
    arms = {"fourteen": {"device": "gpu"}, "eight": {"device": "cpu"}}
    claim = study(tmp_path, arms=arms, reason="there is no GPU")
    found = outcome_of(claim, pool())
    assert found.verdict == "no verdict"
    assert arms_of(found)["fourteen"].values == {}
    assert len(stand_in()) == 3
    assert found.effects[0].sentence == (
        "training error: fourteen (not measured) should be higher than eight (11 %)"
    )
    found = outcome_of(claim, pool(gpus=["0"]))
    assert found.verdict == "not seen"
    assert {name[-4:] for name, _ in stand_in()[:3]} == {"-cpu"}
    assert {name[-4:] for name, _ in stand_in()[3:]} == {"-gpu"}
    assert len(stand_in()) == 6


def test_places_hide_and_share_gpus():
    gpus = Places(["3"], are_gpus=True, hidden=False)
    with gpus.taken() as one, gpus.taken() as none:
        assert (one, none) == ({"CUDA_VISIBLE_DEVICES": "3"}, {})
    with gpus.taken() as again:
        assert again == one
    before = os.sched_getaffinity(0)
    try:
        with Places([str(min(before))], are_gpus=False, hidden=True).taken() as hidden:
            assert hidden == {"CUDA_VISIBLE_DEVICES": ""}
            assert os.sched_getaffinity(0) == {min(before)}
    finally:
        os.sched_setaffinity(0, before)


def test_one_seed_gives_no_verdict(pool, tmp_path):
    found = outcome_of(study(tmp_path, seeds=1), pool())
    assert found.verdict == "no verdict"
    assert found.effects[0].value is None


def test_a_run_that_fails_ends_the_claim_with_its_reason(pool, stand_in, tmp_path):
    arms = {**ARMS, "fourteen": {"optimizer.l2": claim_stand_in.FAILS}}
    with pytest.raises(InputError, match=r"runs/resnet_cifar-\w+: .*: out of luck$"):
        outcome_of(study(tmp_path, arms=arms), pool())
    assert len(stand_in()) == 1  # the run of the other arm, which is kept


def test_a_net_that_cannot_be_built_is_named_before_the_first_run(pool, stand_in, tmp_path):
    arms = {"eight": {}, "fourteen": {"build.depth": 9}}
    with pytest.raises(InputError, match=r"small.toml: arms.fourteen: .*depth"):
        outcome_of(study(tmp_path, arms=arms), pool())
    assert not stand_in()


def test_a_disk_too_small_for_all_arms_is_found_before_the_first(
    pool, stand_in, tmp_path, monkeypatch
):
    # Four runs at three rates and two seeds of an arm, and one more of each with its momenta.
    sizes = (75_002, 172_218)
    needed = sum(4 * (4 * size + pools.EACH) for size in sizes) + pools.COPIES * 4 * sizes[1]
    free = [needed - 1]
    usage = lambda path: shutil._ntuple_diskusage(10**9, 0, free[0])  # noqa: E731
    monkeypatch.setattr(pools.shutil, "disk_usage", usage)
    claim = study(tmp_path, seeds=2, rates=[0.5, 1.0, 2.0])
    with pytest.raises(
        InputError, match=r"0\.0 GB are free, but the runs need up to 0\.0 GB; free"
    ):
        outcome_of(claim, pool())
    assert not stand_in()
    free[0] = needed
    assert outcome_of(claim, pool()).verdict == "seen"
    free[0] = 0
    assert outcome_of(claim, pool()).verdict == "seen"  # all is there


def test_a_signal_stops_between_runs_and_while_measuring(pool, stand_in, tmp_path, monkeypatch):
    class Later(StopRequest):
        def __bool__(self):
            self.name = "SIGTERM"
            return len(stand_in()) >= 3

    with pytest.raises(Stopped, match="SIGTERM"):
        outcome_of(study(tmp_path), pool(stop=Later()))
    assert len(stand_in()) == 3
    stop = StopRequest()
    kind = MEASURES["test_error"]._replace(of=lambda run: setattr(stop, "name", "SIGTERM") or 1.0)
    monkeypatch.setitem(MEASURES, "test_error", kind)
    with pytest.raises(Stopped):
        outcome_of(study(tmp_path, measure="test_error"), pool(stop=stop))
    assert (tmp_path / "claims" / "runs.json").read_text().count('"test_error":1.0') == 1


def test_a_job_names_its_measures_with_level_and_protocol(tmp_path):
    job = Job(study(tmp_path).recipes["eight"], at=25.0)
    assert job.recorded("gap") == "gap"
    assert job.recorded("steps_to_error") == "steps_to_error 25"
    job = job._replace(test={"protocol": "single_view"})
    assert job.recorded("test_error") == 'test_error {"protocol": "single_view"}'


def test_the_name_of_a_run_follows_from_what_is_trained_and_its_images(pool, tmp_path):
    claim, runs = study(tmp_path), pool()
    runs.images = pools.ImagesOfRun("digits", "0" * 64, 1077)
    recipe = claim.recipe("eight", 0, 1.0)
    names = {runs.key(recipe), runs.key(claim.recipe("eight", 1, 1.0))}
    names |= {runs.key(claim.recipe("eight", 0, 2.0)), runs.key(claim.recipe("fourteen", 0, 1.0))}
    runs.images = runs.images._replace(digest="1" * 64)
    names.add(runs.key(recipe))
    assert len(names) == 5
    moved = study(tmp_path, changes={"data.dataset": "folder:elsewhere"}).recipe("eight", 0, 1.0)
    assert runs.key(moved) == runs.key(recipe)


def test_the_command_that_trains_is_that_of_the_package():
    assert (sys.executable, "-m", "keras_ilsvrc", "train") == apart.TRAIN
