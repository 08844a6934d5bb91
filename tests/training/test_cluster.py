"""Tests of valid and invalid values of TF_CONFIG, and of missing workers."""

import json
import os
import random
import socket
import threading
import time

import pytest

from keras_ilsvrc import InputError
from keras_ilsvrc.cli.workers import loopback_addresses
from keras_ilsvrc.training.cluster import Cluster, Watch, cluster_of, meet
from keras_ilsvrc.training.strategy import mirrored

A, B, C = "127.0.0.1:40001", "127.0.0.1:40002", "127.0.0.1:40003"


def config(cluster, kind="worker", index=0):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


@pytest.mark.parametrize("environment", [{}, {"TF_CONFIG": ""}, config({"worker": [A]})])
def test_one_worker_is_no_cluster(environment):
    assert cluster_of(environment) is None


def test_an_empty_tf_config_is_none_for_tensorflow_too(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "")
    assert cluster_of() is None
    mirrored(1)
    assert "TF_CONFIG" not in os.environ


def test_a_worker_knows_its_place():
    assert cluster_of(config({"worker": [A, B]}, index=1)) == Cluster((A, B), 1)


@pytest.mark.parametrize(("kind", "index", "place"), [("chief", 0, 0), ("worker", 1, 2)])
def test_a_chief_comes_first(kind, index, place):
    found = cluster_of(config({"worker": [B, C], "chief": [A]}, kind, index))
    assert found == Cluster((A, B, C), place)
    assert found.chief == (place == 0)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"TF_CONFIG": "{"}, "TF_CONFIG: Invalid JSON: EOF while .*; expected {"),
        ({"TF_CONFIG": "[" * 100_000}, "TF_CONFIG: Invalid JSON: recursion limit"),
        ({"TF_CONFIG": " " * 1_000_001}, "TF_CONFIG has 1,000,001 characters; expected at most 1,"),
        ({"TF_CONFIG": "[]"}, 'TF_CONFIG: Input should be an object; expected {"cluster": '),
        ({"TF_CONFIG": "{}"}, "TF_CONFIG: cluster: Field required; expected {"),
        (config([]), r"TF_CONFIG: cluster is \[\]: Input should be an object"),
        (config({"worker": 3}), "TF_CONFIG: cluster.worker is 3: Input should be a valid array"),
        (config({"worker": [A, B]}, index=2), "task.index is 2, but cluster.worker has 2 addr"),
        (config({}), "task.index is 0, but cluster.worker has 0 addresses"),
        (config({"worker": [A, B]}, index=-1), "task.index is -1: .*greater than or equal to 0"),
        (config({"worker": [A, B]}, index="0"), "task.index is '0': .*integer"),
        (config({"worker": [A, B]}, index=True), "task.index is True: .*integer"),
        (config({"worker": [A, B]}, index=float("nan")), "task.index is nan: .*integer"),
        (config({"worker": [A, B]}, index=10**4000), "task.index is 10{59}, but "),
        ({"TF_CONFIG": f'{{"task": {{"index": 1{"0" * 5000}}}}}'}, "JSON: number out of range"),
        (config({"worker": [A, B]}, []), r"task.type is \[\]: .* 'chief' or 'worker'"),
        (config({"worker": [A, A]}), f"two workers have the address {A}"),
        (config({"worker": ["a", B]}), "cluster.worker.0 is 'a': .* HOST:PORT"),
        (config({"worker": ["a:70000", B]}), "worker.0 is 'a:70000': .* with PORT from 1 to"),
        (config({"worker": ["a:0", B]}), "worker.0 is 'a:0': .* with PORT from 1 to"),
        (config({"worker": ["a:" + "4" * 5000, B]}), "cluster.worker.0 is 'a:4444"),
        (config({"worker": ["a\nb:80", B]}), "cluster.worker.0 is 'a"),
        (config({"worker": [3, B]}), "cluster.worker.0 is 3: .*string"),
        (config({"worker": [A, B]}, "evaluator"), "task.type is 'evaluator': .* 'chief' or 'work"),
        (config({"worker": [A, B], "ps": [C]}), r"cluster.ps is \['127.* not permitted"),
        (config({"worker": [A], "chief": [B, C]}, "chief"), "cluster.chief is .* at most 1 item"),
    ],
)
def test_a_mistake_is_one_line(environment, said):
    with pytest.raises(InputError, match=said) as caught:
        cluster_of(environment)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("host", ["node0.example.org", "[::1]", "a_b-c", "10.0.0.1"])
def test_hosts_of_every_form_are_taken(host):
    own, other = f"{host}:40001", f"{host}:40002"
    assert cluster_of(config({"worker": [own, other]})) == Cluster((own, other), 0)


def test_a_host_that_no_resolver_takes_is_one_that_does_not_answer():
    addresses = (A, "a..b:80", "x" * 100 + ":80")
    assert len(Cluster(addresses, 0).absent(0.1)) == 2


def mutant(draw):
    """A valid TF_CONFIG with one to three values or characters changed."""
    table = {"cluster": {"worker": [A, B], "chief": [C]}, "task": {"type": "worker", "index": 1}}
    values = [None, [], {}, "", "x", -1, 0, 1, 2, 1.5, 1e400, True, 10**400, "a:1", [A], {"a": {}}]
    for _ in range(draw.randrange(3)):
        place = draw.choice([table, table["cluster"], table["task"]])
        if isinstance(place, dict) and place:
            place[draw.choice([*place, "ps"])] = draw.choice(values)
        if not all(isinstance(table.get(key), dict) for key in ("cluster", "task")):
            break
    text = list(json.dumps(table))
    for _ in range(draw.randrange(4)):
        place = draw.randrange(len(text))
        text[place : place + draw.randrange(3)] = draw.choice(["", *'{}[]",:0x-\\\0\n', "\udcff"])
    return "".join(text)


def test_a_damaged_config_is_refused_in_one_line_or_still_a_cluster():
    draw, refused, wrong = random.Random(0), 0, []
    for _ in range(1000):
        text = mutant(draw)
        try:
            found = cluster_of({"TF_CONFIG": text})
            if found and not 0 <= found.index < len(set(found.workers)) > 1:
                wrong.append((text, found))
        except InputError as error:
            refused += 1
            if "\n" in str(error) or len(str(error)) > 400:
                wrong.append((text, error))
        except Exception as error:
            wrong.append((text, error))
    assert wrong == []
    assert 300 < refused < 1000


@pytest.fixture
def peer():
    """The address of a worker that answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


def address(server):
    return f"127.0.0.1:{server.getsockname()[1]}"


def test_a_port_in_use_is_named(peer):
    port = peer.getsockname()[1]
    with pytest.raises(InputError, match=f"cannot open port {port} for this worker: Address"):
        cluster_of(config({"worker": [address(peer), B]}))


def test_workers_meet():
    """Each waits for the other; both come through."""
    workers = tuple(loopback_addresses(2))
    first = threading.Thread(target=meet, args=(Cluster(workers, 0), 30))
    first.start()
    time.sleep(0.5)
    assert first.is_alive()
    with socket.create_server(("127.0.0.1", int(workers[1].split(":")[1]))):
        first.join(10)
        assert not first.is_alive()


def test_a_worker_that_does_not_come_is_named(monkeypatch, peer):
    monkeypatch.setattr("keras_ilsvrc.training.cluster.PATIENCE", 0.2)
    (own,) = loopback_addresses(1)
    said = []
    expected = rf"worker 2 \({B}\) did not answer within 0.7 s; start all workers"
    with pytest.raises(InputError, match=expected) as caught:
        meet(Cluster((own, address(peer), B), 0), 0.7, said.append)
    assert address(peer) not in str(caught.value)
    assert said == [f"worker 0 ({own}): waiting for worker 2 ({B}) for at most 0.7 s"]
    meet(Cluster((own, address(peer)), 0), 0.7)  # the port is free again


def watch(monkeypatch, workers):
    """A watch over workers, of which this is the first; it tells and ends into lists."""
    monkeypatch.setattr("keras_ilsvrc.training.cluster.PROBE", 0.05)
    monkeypatch.setattr("keras_ilsvrc.training.cluster.GRACE", 0.2)
    said, ended, over = [], [], threading.Event()

    def end(status):
        ended.append(status)
        over.set()

    return Watch(Cluster(workers, 0), said.append, end), said, ended, over


def test_a_worker_that_goes_is_named(monkeypatch, peer):
    thread, said, ended, over = watch(monkeypatch, (A, address(peer)))
    name = address(peer)
    thread.start()
    assert not over.wait(0.5)
    peer.close()
    assert over.wait(10)
    assert ended == [69]
    expected = f"worker 0 ({A}): lost worker 1 ({name}); start all workers again with --resume"
    assert said == [expected]


def test_work_that_ends_by_itself_is_left_alone(monkeypatch, peer):
    thread, said, ended, _ = watch(monkeypatch, (A, address(peer)))
    thread.start()
    peer.close()
    thread.done.set()
    thread.join(10)
    assert not thread.is_alive()
    assert (said, ended) == ([], [])
