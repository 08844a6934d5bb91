"""A stand-in for `keras-ilsvrc train` that trains nothing, so that a run takes half a second.

python stand_in.py RECIPE --out DIRECTORY --resume [--stop-epoch=N]

What becomes of the run depends on the weight decay of its recipe: the validation error is least at
1e-3, and values of `ENDS` fail. Every epoch adds a row to `history.csv` and a line to `LOG`.
"""

import csv
import math
import os
import signal
import sys
import time
from pathlib import Path

from keras_ilsvrc.recipe import load
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.schema import Identity, Images

EPOCHS = 9
LOG = "STAND_IN_LOG"  # environment variable with the path of a file
DIVERGES, DIES, HANGS, STOPS = ENDS = (0.011, 0.012, 0.013, 0.014)
IMAGES = Images(number=10, digest="0" * 64, stamp="0" * 64)


def error_of(recipe, epoch):
    """The validation error in % after an epoch: less with every epoch, another for every seed."""
    distance = abs(math.log10(recipe.optimizer.l2 / 1e-3))
    return 10 * distance + 2 * recipe.seed + 20 / epoch


def main(file, directory, stop):
    recipe = load(Path(file))
    with RunDirectory(Path(directory), recipe, resume=True) as run:
        if recipe.optimizer.l2 in ENDS:
            end(recipe.optimizer.l2, directory)
        if not (run.path / "run.json").exists():
            facts = {"version": "0.2.0", "recipe": digest(recipe), "seed": recipe.seed}
            splits = {"train": IMAGES, recipe.data.test: IMAGES}
            run.begin(Identity(**facts, classes=["a"], eval_ops=[], splits=splits))
        (run.path / "checkpoints").mkdir(exist_ok=True)
        (run.path / "checkpoints" / "step-000000001.ckpt").touch()
        train(recipe, run, stop)
        finish(recipe, run)


def digest(recipe):
    import hashlib

    return hashlib.sha256(recipe.toml().encode()).hexdigest()


def end(value, directory):
    """End as a run that fails does."""
    if value == DIES:
        os.kill(os.getpid(), signal.SIGKILL)
    if value == HANGS:
        time.sleep(60)
    if value == STOPS:
        print(f"{directory}: stopped by SIGTERM", file=sys.stderr)
        os._exit(75)
    print(f"{directory}: diverged at step 3", file=sys.stderr)
    os._exit(76)


def train(recipe, run, stop):
    history = run.path / "history.csv"
    rows = list(csv.DictReader(history.open())) if history.exists() else []
    for epoch in range(len(rows) + 1, EPOCHS + 1):
        if stop and epoch > stop:
            os._exit(75)
        error = error_of(recipe, epoch)
        rows.append({"epoch": epoch, "validation_error": error, "validation_loss": error / 20})
        with (run.path / ".part-history").open("w") as part:
            writer = csv.DictWriter(part, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        (run.path / ".part-history").replace(history)
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
    main(sys.argv[1], sys.argv[3], int(words.get("--stop-epoch", 0)))
