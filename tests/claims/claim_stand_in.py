"""Stand-in for `keras-ilsvrc train` that trains no net: errors are computed from the recipe.

python claim_stand_in.py RECIPE --out DIRECTORY --resume

The training error is lowest at a learning rate of 0.1, and grows with the depth of the net. A run
with a rate above 5 diverges; a run with the weight decay `FAILS` fails. A run with the weight decay
`SLOW` and the seed `SEED` writes a checkpoint, waits until it is stopped, and can then be resumed.
"""

import csv
import hashlib
import math
import os
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path

from keras_ilsvrc.recipe import load
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.schema import Identity, Images
from keras_ilsvrc.utils import files

EPOCHS, SEED = 3, 2  # the seed of the quickstart
FAILS, SLOW = 0.011, 0.012
MEASURED = ("validation_loss", "learning_rate", "images_per_second", "input_wait")
LOG = "CLAIM_STAND_IN_LOG"  # environment variable with the path of a file
IMAGES = Images(number=10, digest="0" * 64, stamp="0" * 64)


def error_of(recipe):
    """The errors of a run in %."""
    rate = recipe.schedule.learning_rate[0][1]
    start = 1 if recipe.initial == "he" or not isinstance(recipe.initial, str) else 0
    return recipe.build.depth + 5 * abs(math.log2(rate / 0.1)) + recipe.seed - 3 * start


def run(recipe, path):
    """Run a recipe, or continue; return the exit status and the line about what went wrong."""
    with RunDirectory(Path(path), recipe, resume=True) as run:
        if run.finished:
            return 0, ""
        if recipe.optimizer.l2 == FAILS:
            return 1, f"{path}: out of luck"
        note(recipe, run)
        if recipe.schedule.learning_rate[0][1] > 5:
            return 76, f"{path}: diverged at step 3 (images/a (1).png, ...): loss is nan"
        if not (run.path / "run.json").exists():
            digest = hashlib.sha256(recipe.toml().encode()).hexdigest()
            facts = {"version": version("keras_ilsvrc"), "recipe": digest, "seed": recipe.seed}
            splits = {"train": IMAGES, recipe.data.test: IMAGES}
            run.begin(Identity(**facts, classes=["a"], eval_ops=[], splits=splits))
        checkpoint = run.path / "checkpoints" / "step-000000001.ckpt"
        if recipe.optimizer.l2 == SLOW and recipe.seed == SEED and not checkpoint.exists():
            checkpoint.parent.mkdir(exist_ok=True)
            checkpoint.touch()
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
            time.sleep(60)
        write(recipe, run)
    return 0, ""


def note(recipe, run):
    """Add a line to the log."""
    if LOG in os.environ:
        with open(os.environ[LOG], "a") as log:
            log.write(f"{run.path.name} {recipe.seed}\n")


def write(recipe, run):
    """Write the files of a finished run."""
    error = error_of(recipe)
    with files.whole(run.path / "history.csv") as part, part.open("w") as file:
        names = ("epoch", "step", "error", "loss", "validation_error", *MEASURED)
        writer = csv.DictWriter(file, names, restval=0.5)
        writer.writeheader()
        for epoch in range(1, EPOCHS + 1):
            now = error * EPOCHS / epoch
            row = {"epoch": epoch, "step": 10 * epoch, "error": now, "loss": now / 20}
            writer.writerow(row | {"validation_error": now + 1})
    (run.path / "final.weights.h5").write_text("weights")
    result = {"net": recipe.net, "top1_error": error, "top1_interval": [0.0, 100.0]}
    result |= {"protocol": "single_view", "views": 1, "images": 10, "replicas": 1, "seconds": 1.5}
    run.finish({**result, "versions": {}})


if __name__ == "__main__":
    status, line = run(load(Path(sys.argv[1])), sys.argv[3])
    print(line, file=sys.stderr)
    sys.exit(status)
