"""What TF_CONFIG may say, and what is done about workers that are not there."""

import json
import socket
import threading
import time

import pytest

from keras_ilsvrc import InputError
from keras_ilsvrc.cli.workers import loopback_addresses
from keras_ilsvrc.training.cluster import Cluster, Watch, cluster_of, meet

A, B, C = "127.0.0.1:40001", "127.0.0.1:40002", "127.0.0.1:40003"


def config(cluster, kind="worker", index=0):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


@pytest.mark.parametrize("environment", [{}, {"TF_CONFIG": ""}, config({"worker": [A]})])
def test_one_worker_is_no_cluster(environment):
    assert cluster_of(environment) is None


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
        ({"TF_CONFIG": "{"}, "TF_CONFIG: no JSON: Expecting property name"),
        ({"TF_CONFIG": "[]"}, r'expected {"cluster": .*, found \[\]'),
        ({"TF_CONFIG": "{}"}, 'expected {"cluster": .*, found {}'),
        ({"TF_CONFIG": '{"cluster": [], "task": {"type": "worker", "index": 0}}'}, "expected {"),
        ({"TF_CONFIG": '{"cluster": {"worker": 3}, "task": {"type": "worker", "index": 0}}'}, "{"),
        (config({"worker": [A, B]}, index=2), "task.index is 2, but there are 2 .* 0 to 1"),
        (config({"worker": [A, B]}, index=-1), "task.index is -1"),
        (config({"worker": [A, B]}, index="0"), "task.index is '0'"),
        (config({"worker": [A, B]}, index=True), "task.index is True"),
        (config({"worker": [A, A]}), f"{A} is the address of two workers"),
        (config({"worker": ["a", B]}), "the address 'a'; expected 'HOST:PORT'"),
        (config({"worker": ["a:70000", B]}), "the address 'a:70000'"),
        (config({"worker": [3, B]}), "the address 3"),
        (config({"worker": [A, B]}, "evaluator"), "there is a task 'evaluator'"),
        (config({"worker": [A, B], "ps": [C]}), "there is a task 'ps'"),
    ],
)
def test_a_mistake_is_one_line(environment, said):
    with pytest.raises(InputError, match=said) as caught:
        cluster_of(environment)
    assert "\n" not in str(caught.value)


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
    with pytest.raises(InputError, match=f"port {port} of this worker cannot be opened: Address"):
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
    expected = rf"worker 2 \({B}\) did not come within 0.7 s; start all workers"
    with pytest.raises(InputError, match=expected) as caught:
        meet(Cluster((own, address(peer), B), 0), 0.7, said.append)
    assert address(peer) not in str(caught.value)
    assert said == [f"worker 0 ({own}): waiting for worker 2 ({B}), 0.7 s at most"]
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
