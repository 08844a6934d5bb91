"""Compare the time of the last trials of a long sweep with that of the first trials.

    python docs/sweep_cost.py [TRIALS]

Each trial trains a network of one layer for only a few steps, in this process. So most of the time
is that of the sweep itself: the oracle, its files and the table of trials.
"""

import itertools
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from keras_ilsvrc.utils.streams import quiet_tensorflow

SWEEP = """
recipe = "quickstart"
tuner = "random"
trials = {trials}
[set]
"data.train" = "train"
"data.validation" = "validation"
[keys]
"optimizer.l2" = ["log", 1e-5, 1e-2]
"optimizer.momentum" = ["linear", 0.5, 0.99]
"schedule.learning_rate" = ["scale", 0.1, 10]
"""


def main(trials: int = 1000, group: int = 20) -> None:
    """Run a sweep, and print the seconds of its first and its last trials, and their ratio."""
    quiet_tensorflow()
    import keras
    from sklearn.datasets import load_digits

    from keras_ilsvrc.sweeps import tune
    from keras_ilsvrc.sweeps.oracle import make_oracle
    from keras_ilsvrc.sweeps.schema import Sweep
    from keras_ilsvrc.sweeps.trial import Outcome

    images, labels = load_digits(return_X_y=True)
    model = keras.Sequential([keras.layers.Dense(10, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    started: list[float] = []

    class OneLayer(SimpleNamespace):
        def trial(self, number: str, values: dict[str, float], root: str | None = None) -> Outcome:
            started.append(time.perf_counter())
            history = model.fit(images[:1024], labels[:1024], batch_size=128, verbose=0).history
            error = 100 - 100 * history["accuracy"][-1]
            return Outcome({"validation_error": error, "seconds": 0.0, "epochs": 1})

    with tempfile.TemporaryDirectory() as folder:
        path, home = Path(folder, "sweep.toml"), Path(folder, "sweep")
        path.write_text(SWEEP.format(trials=trials))
        home.mkdir()
        sweep = Sweep(path)
        oracle = make_oracle(sweep)
        oracle.prepare(home, sweep.defaults(), print)
        tune.search_all(oracle, OneLayer(sweep=sweep, home=home, stop=False), tune.Processes())
    seconds = [after - before for before, after in itertools.pairwise(started)]
    first, last = (statistics.median(x) for x in (seconds[10 : 10 + group], seconds[-group:]))
    print(
        f"trials 10 to {10 + group}: {first:.4f} s each; the last {group} of {trials}: {last:.4f} s"
    )
    print(f"ratio {last / first:.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
