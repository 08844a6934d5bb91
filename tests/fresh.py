"""New processes for scripts, forked from a process that has imported Keras but not this package.

Importing Keras takes four seconds, which every new process would need otherwise. The process that
forks runs `python fresh.py`: it reads a job from each line of its stdin, and writes the result of
the job as a line to its stdout.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path
from types import SimpleNamespace

SECONDS = 280  # at most


@cache
def server():
    """The process that forks, one for this process, with which it ends."""
    process = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    atexit.register(process.__exit__, None, None, None)  # closes its stdin, and waits
    return process


def run_all(script, *children, cwd=None):
    """Run a script in new processes at once: the exit status, stdout and stderr of each.

    Each of the children is the arguments of the script, and variables of its environment.
    """
    own = [(list(map(str, arguments)), dict(environment)) for arguments, environment in children]
    process = server()
    print(json.dumps((script, own, str(cwd or os.getcwd()))), file=process.stdin, flush=True)
    return [SimpleNamespace(**found) for found in json.loads(process.stdout.readline())]


def said(script, *arguments, environment=(), cwd=None):
    """Run a script that succeeds in a new process; return what it printed."""
    (done,) = run_all(script, (arguments, environment), cwd=cwd)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def start(script, arguments, environment, cwd, outputs):
    """Run a script in this process, which has been forked for it, and end it."""
    signal.alarm(SECONDS)
    for number, path in enumerate(outputs, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path[0], sys.argv = "", ["-c", *arguments]
    status = 0
    try:
        exec(compile(script, "<script>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def take(script, own, cwd):
    """Run a script in forked processes at once; return their exit status and what they wrote."""
    with tempfile.TemporaryDirectory() as folder:
        started = []
        for number, (arguments, environment) in enumerate(own):
            outputs = [Path(folder, f"{number}.{name}") for name in ("stdout", "stderr")]
            child = os.fork()
            if not child:
                start(script, arguments, environment, cwd, outputs)
            started.append((child, outputs))
        found = []
        for child, (output, errors) in started:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            texts = {"stdout": output.read_text(), "stderr": errors.read_text()}
            found.append({"returncode": status, **texts})
    return found


if __name__ == "__main__":
    import keras  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(take(*json.loads(line))), flush=True)
