"""Tests that two workers compute the same as one, in the same order."""

import json

import fresh
import numpy as np
import process
import pytest
import replica_runs
from devices import mirrored

pytestmark = pytest.mark.xdist_group("workers")


SCRIPT = "import sys, replica_runs; replica_runs.main(*sys.argv[1:])"


def run(folder, *nets):
    """What both workers found in `replica_runs`."""
    addresses, children = process.loopback_addresses(2), []
    for index in range(2):
        config = process.config(addresses, index)
        children.append(((folder, *nets), {"CUDA_VISIBLE_DEVICES": "-1", "TF_CONFIG": config}))
    done = fresh.run_all(SCRIPT, *children)
    for each in done:
        assert each.returncode == 0, each.stderr[-3000:]
    return [json.loads(each.stdout.splitlines()[-1]) for each in done]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """The first worker has a disk where nothing can be kept but checkpoints."""
    folder = tmp_path_factory.mktemp("different")
    (folder / "epochs").touch()
    return run(folder, "synchronized")


def test_workers_agree_whatever_their_disks_refuse(found):
    chief, worker = found
    assert chief["whole"] == worker["whole"]


@pytest.mark.slow
@pytest.mark.parametrize("hash_seeds", [(1, 1), (1, 2)])
def test_neither_the_order_of_sets_nor_a_disk_changes_what_workers_compute(
    found, tmp_path, hash_seeds
):
    """Python orders a set of names by the hash seed of its process."""
    command = [replica_runs.__file__, str(tmp_path), "synchronized"]
    chief, worker = process.run_on_workers(command, hash_seeds)
    assert chief == worker == found[0]
    assert len(list((tmp_path / "epochs").iterdir())) == 2


def test_a_training_of_two_workers_is_stopped_and_kept_by_callbacks(found):
    whole = found[0]["whole"]
    assert whole["step"] == 10
    assert whole["rate"] < 0.05
    assert whole["kept"] == whole["validated"]
    assert whole["saved"] == whole["state"] != whole["kept"][-1]


@pytest.mark.slow
def test_fifty_steps_without_batch_normalisation_are_those_on_one_device(tmp_path):
    (tmp_path / "epochs").touch()
    check_losses(run(tmp_path, "plain"), "plain")


def test_fifty_steps_on_two_workers_are_those_on_one_device(found):
    check_losses(found, "synchronized")


def check_losses(found, net):
    one = replica_runs.losses(mirrored(1), net)
    chief, worker = (each["losses"][net] for each in found)
    assert chief == worker
    np.testing.assert_allclose(chief["losses"], one["losses"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(chief["norms"], one["norms"], rtol=1e-3)
    assert chief["accuracies"] == one["accuracies"]


def test_what_each_worker_has_of_its_own_is_put_back_and_the_chief_s_state_told(found):
    chief, worker = (each["put_back"] for each in found)
    assert chief == worker
    assert len(set(chief["ends"])) == 1
    assert chief["tested"] not in chief["ends"]
    assert chief["statistics"][0] != chief["statistics"][1]
    assert "task:0" in chief["facts"]["from"]
    assert chief["nothing"] is None


def test_a_second_checkpoint_traces_no_graph(found):
    assert [each["put_back"]["new_traces"] for each in found] == [0, 0]


def test_outputs_of_all_images_are_in_order_on_every_worker(found):
    for each in found:
        outputs, expected = each["outputs"]
        np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)
