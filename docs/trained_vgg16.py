"""Select a part of Imagenette, or plot the errors of runs, for docs/trained_vgg16.md.

    python docs/trained_vgg16.py list IMAGENETTE COUNT
    python docs/trained_vgg16.py draw FOLDER PICTURE

`list` writes IMAGENETTE/COUNT.csv, a list of images for each class: COUNT training images from the
folder `train` of IMAGENETTE, and 20 validation images and 50 test images from the folder `val`.
`draw` plots the validation errors of all runs in FOLDER, which have names of the form NAME_SEED.
"""

import csv
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

PARTS = {"validation": 20, "test": 50}  # images per class, from the folder val
BATCH, GUESS = 32, 90.0  # batch size of the recipes, and error of random guessing in %


def write_list(folder: Path, count: int) -> None:
    """Write a CSV file that lists randomly chosen images; the choice is always the same."""
    random = np.random.default_rng(0)
    rows = []
    for kind in sorted(path.name for path in (folder / "train").iterdir()):
        for base, parts in (("train", {"train": count}), ("val", PARTS)):
            files = iter(random.permutation(sorted((folder / base / kind).iterdir())))
            for split, number in parts.items():
                chosen = sorted(next(files) for _ in range(number))
                rows += [(path.relative_to(folder).as_posix(), kind, split) for path in chosen]
    with open(folder / f"{count}.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "label", "split"), *rows])


def draw(folder: Path, picture: Path) -> None:
    """Plot validation errors against minutes of training, without the time of validation."""
    plt.figure(figsize=(6, 4), layout="constrained")
    names: dict[str, str] = {}  # {name of a run without its seed: colour}
    for run in sorted(path.parent for path in folder.glob("*/history.csv")):
        name = run.name.rpartition("_")[0]
        label = None if name in names else name
        colour = names.setdefault(name, f"C{len(names)}")
        step, minutes, errors = 0, [0.0], [GUESS]
        with open(run / "history.csv", newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                images = BATCH * (int(row["step"]) - step)
                step = int(row["step"])
                minutes.append(minutes[-1] + images / float(row["images_per_second"]) / 60)
                errors.append(float(row["validation_error"]))
        plt.plot(minutes, errors, "o-", color=colour, label=label)
    plt.xlabel("minutes of training")
    plt.ylabel("validation error in %")
    plt.ylim(0, 100)
    plt.legend()
    plt.savefig(picture, dpi=100)


if __name__ == "__main__":
    if sys.argv[1:2] == ["list"] and len(sys.argv) == 4:
        write_list(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["draw"] and len(sys.argv) == 4:
        draw(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        sys.exit(__doc__)
