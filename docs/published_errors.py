"""Print the test errors of published weights on a folder with one subfolder of images per class.

python docs/published_errors.py cifar10/test resnet20_cifar=resnet20-12fca82f.th
"""

import sys
from pathlib import Path

import numpy as np

import keras_ilsvrc
from keras_ilsvrc.utils.bars import tracked

TOGETHER = 500  # images per call of the model


def main(folder: str, *pairs: str) -> None:
    """Print the error of each network, given as NET=FILE; classes are numbered alphabetically."""
    paths = sorted(path for path in Path(folder).glob("*/*") if path.is_file())
    names = sorted({path.parent.name for path in paths})
    labels = np.array([names.index(path.parent.name) for path in paths])
    parts = [paths[start : start + TOGETHER] for start in range(0, len(paths), TOGETHER)]
    for pair in pairs:
        net, _, file = pair.partition("=")
        model = keras_ilsvrc.build(net, weights=file)
        found = [
            model.predict_on_batch(keras_ilsvrc.preprocess(part, model)).argmax(-1)
            for part in tracked(parts, len(parts), net)
        ]
        error = 100 * np.mean(np.concatenate(found) != labels)
        print(f"{net}: {error:.2f} % of {len(paths):,} images")


if __name__ == "__main__":
    main(*sys.argv[1:])
