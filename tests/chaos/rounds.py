"""Toy training runs, one after another, as children of a process that has imported TensorFlow.

python rounds.py ROUNDS

ROUNDS is JSON: a list of [DIRECTORY, REPLICAS, KILLS]. With two kills, each of which may be empty,
a round is a training of two workers. Printed are, of each round, the exit status and the lines of
each child.
"""

import json
import os
import subprocess
import sys

import process
import toy_process


def start(environment, *arguments):
    """Fork a child, which ends here; return its id, and where its output can be read."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        return child, reader
    os.dup2(writer, 1)
    os.environ.update(environment)
    sys.exit(toy_process.main(*arguments))


def take(directory, replicas, kills):
    """Run one round; return the exit status and the lines of each child."""
    own = [{}]
    if len(kills) == 2:
        addresses = process.loopback_addresses(2)
        own = [{"TF_CONFIG": process.config(addresses, index)} for index in range(2)]
    started = [start(x, directory, replicas, kill) for x, kill in zip(own, kills, strict=True)]
    found = []
    for child, reader in started:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with open(reader) as output:
            found.append((status, output.read().splitlines()))
    return found


def run(*rounds):
    """Run rounds in a process of their own; return what `take` returned for each."""
    command = [sys.executable, __file__, json.dumps(rounds, default=str)]
    paths = os.pathsep.join(sys.path)
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=280,
        env=process.ENVIRONMENT | {"PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout), done.stderr


if __name__ == "__main__":
    made = [take(*each) for each in json.loads(sys.argv[1])]
    print(json.dumps(made))
