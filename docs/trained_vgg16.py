"""List a part of Imagenette, or draw the errors of runs: see docs/trained_vgg16.md.

    python docs/trained_vgg16.py list IMAGENETTE COUNT
    python docs/trained_vgg16.py draw FOLDER PICTURE

`list` writes IMAGENETTE/COUNT.csv, with COUNT training images of each class, and 20 images for
validation and 50 for tests. The images are those in the folders `train` and `val` of IMAGENETTE.
"""

import csv
import sys
from pathlib import Path

import numpy as np

PARTS = {"validation": 20, "test": 50}  # images per class, from the folder val


def write_list(folder: Path, count: int) -> None:
    """Write a CSV that lists a random choice of images, always the same."""
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


if __name__ == "__main__":
    if sys.argv[1:2] == ["list"] and len(sys.argv) == 4:
        write_list(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        sys.exit(__doc__)
