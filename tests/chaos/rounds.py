"""Toy training runs, one after another, each in new processes."""

import fresh
import process

SCRIPT = "import sys, toy_process; toy_process.main(*sys.argv[1:])"
ON_CPUS = {"CUDA_VISIBLE_DEVICES": "-1"}


def run(*rounds):
    """Run rounds; return the exit status and the lines of each process of each, and all stderr.

    A round is (directory, replicas, kills). With two kills, each of which may be empty, it is a
    training of two workers.
    """
    found, errors = [], ""
    for directory, replicas, kills in rounds:
        own = [{}]
        if len(kills) == 2:
            addresses = process.loopback_addresses(2)
            own = [{"TF_CONFIG": process.config(addresses, index)} for index in range(2)]
        children = [
            ((directory, replicas, kill), ON_CPUS | environment)
            for kill, environment in zip(kills, own, strict=True)
        ]
        done = fresh.run_all(SCRIPT, *children)
        found.append([(each.returncode, each.stdout.splitlines()) for each in done])
        errors += "".join(each.stderr for each in done)
    return found, errors
