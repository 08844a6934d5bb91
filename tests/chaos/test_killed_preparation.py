"""Test that `data prepare`, when killed, is continued by the same call."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from keras_ilsvrc.data.preparing import Form, prepare
from keras_ilsvrc.utils import files

FORM, SHARD = Form(8, None, channels=1), 50
KILLED = """
import time
from pathlib import Path
from keras_ilsvrc.data import preparing
write = preparing._written
def slowly(*arguments):
    for number in write(*arguments):
        yield number
        time.sleep(0.01)
preparing._written = slowly
preparing.prepare("digits", Path({root!r}), preparing.Form(8, None, channels=1), shard=50)
"""


def shards(root):
    found = json.loads((root / "manifest.json").read_bytes())["shards"]
    return {(name, own["sha256"]) for name, own in found.items()}


@pytest.mark.slow
def test_a_preparation_that_is_killed_continues(tmp_path):
    root, whole = tmp_path / "made", tmp_path / "whole"
    prepare("digits", whole, FORM, shard=SHARD)
    process = subprocess.Popen([sys.executable, "-c", KILLED.format(root=str(root))])
    second = root / "train-00001.array_record"
    while not (second.exists() and any(x.startswith(files.PART) for x in os.listdir(root))):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (root / "manifest.json").exists()
    assert any(name.startswith(files.PART) for name in os.listdir(root))
    prepare("digits", root, FORM, shard=SHARD)
    assert shards(root) == shards(whole)
