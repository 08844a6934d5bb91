"""Stand-in for `keras-ilsvrc train` that trains nothing, so that a run takes half a second.

python stand_in.py RECIPE --out DIRECTORY --resume [--stop-epoch=N]

The result of a run depends on the weight decay in its recipe: the validation error is lowest at
1e-3, and a run with a value in `ENDS` fails. Every epoch adds a row to `history.csv`, and a line to
`LOG`.
"""

import csv
import hashlib
import math
import os
import signal
import sys
import time
from pathlib import Path

from keras_ilsvrc.recipe import load
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.schema import Identity, Images
from keras_ilsvrc.utils import files

EPOCHS = 9
LOG = "STAND_IN_LOG"  # environment variable with the path of a file
DIVERGES, DIES, HANGS, STOPS = ENDS = (0.011, 0.012, 0.013, 0.014)
IMAGES = Images(number=10, digest="0" * 64, stamp="0" * 64)


def error_of(recipe, epoch):
    """The validation error in % after an epoch: less with every epoch, another for every seed."""
    distance = abs(math.log10(recipe.optimizer.l2 / 1e-3))
    return 10 * distance + 2 * recipe.seed + 20 / epoch


def run(recipe, directory, stop=None):
    """Run a recipe, or continue; return the exit status and the line about what went wrong."""
    with RunDirectory(Path(directory), recipe, resume=True) as run:
        if recipe.optimizer.l2 in ENDS:
            return end(recipe.optimizer.l2, directory)
        if not (run.path / "run.json").exists():
            digest = hashlib.sha256(recipe.toml().encode()).hexdigest()
            facts = {"version": "0.2.0", "recipe": digest, "seed": recipe.seed}
            splits = {"train": IMAGES, recipe.data.test: IMAGES}
            run.begin(Identity(**facts, classes=["a"], eval_ops=[], splits=splits))
        (run.path / "checkpoints").mkdir(exist_ok=True)
        (run.path / "checkpoints" / "step-000000001.ckpt").touch()
        train(recipe, run, min(stop or EPOCHS, EPOCHS))
        if stop and stop < EPOCHS:
            return 75, f"{directory}: stopped after {stop} epochs"
        finish(recipe, run)
        return 0, ""


def end(value, directory):
    """End as a run that fails does."""
    if value == DIES:
        os.kill(os.getpid(), signal.SIGKILL)
    if value == HANGS:
        time.sleep(60)
    if value == STOPS:
        return 75, f"{directory}: stopped by SIGTERM"
    return 76, f"{directory}: diverged at step 3"


def train(recipe, run, epochs):
    history = run.path / "history.csv"
    rows = list(csv.DictReader(history.read_text().splitlines())) if history.exists() else []
    for epoch in range(len(rows) + 1, epochs + 1):
        error = error_of(recipe, epoch)
        rows.append({"epoch": epoch, "validation_error": error, "validation_loss": error / 20})
        with files.whole(history) as part, part.open("w") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        if LOG in os.environ:
            with open(os.environ[LOG], "a") as log:
                place = "/".join(run.path.parts[-2:])
                log.write(f"{place} {recipe.seed} {epoch} {recipe.data.test}\n")


def finish(recipe, run):
    error = min(100.0, error_of(recipe, EPOCHS))
    result = {"net": recipe.net, "top1_error": error, "top1_interval": [0.0, 100.0]}
    result |= {"protocol": "single_view", "views": 1, "images": 10, "replicas": 1, "seconds": 1.0}
    run.finish({**result, "versions": {}})


if __name__ == "__main__":
    words = dict(word.split("=") for word in sys.argv[5:] if "=" in word)
    status, line = run(load(Path(sys.argv[1])), sys.argv[3], int(words.get("--stop-epoch", 0)))
    print(line, file=sys.stderr)
    sys.exit(status)
