"""Make a data set of real photographs.

    python docs/photographs.py FOLDER

scikit-learn contains two photographs, a temple and a flower. Each photograph is cut into quarters,
and each quarter is one class. An image is a square of random size at a random place in a quarter.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

SIDE = 160  # height and width of the saved images, in pixels
COUNTS = {"train": 100, "test": 20}  # images per class
LEAST, MOST = 0.5, 0.8  # side of the square, as a share of the quarter's height


def main(folder: Path) -> None:
    """Write all images, for example folder/train/temple_1/000.jpg."""
    random = np.random.default_rng(0)
    photos = dict(zip(("temple", "flower"), load_sample_images().images))
    for split, count in COUNTS.items():
        for name, photo in photos.items():
            height, width = (size // 2 for size in photo.shape[:2])
            for quarter in range(4):
                top, left = (quarter // 2) * height, (quarter % 2) * width
                place = folder / split / f"{name}_{quarter + 1}"
                place.mkdir(parents=True)
                for number in range(count):
                    side = int(random.uniform(LEAST, MOST) * height)
                    y = top + random.integers(0, height - side + 1)
                    x = left + random.integers(0, width - side + 1)
                    cut = Image.fromarray(photo[y : y + side, x : x + side])
                    cut.resize((SIDE, SIDE)).save(place / f"{number:03}.jpg", quality=92)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("python docs/photographs.py FOLDER")
    main(Path(sys.argv[1]))
