"""Images of red squares and blue discs on grey noise, with their boxes in three formats."""

import csv
import json

import numpy as np
from PIL import Image

CLASSES = ("disc", "square")
OBJECT = """<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin>
<ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"""


def picture(seed, size=(96, 128)):
    """A picture of one or two objects; return it with [(class, box)]."""
    random = np.random.default_rng(seed)
    height, width = size
    pixels = random.integers(90, 130, (height, width, 3)).astype("uint8")
    objects = []
    for half in range(1 + seed % 2):
        side = int(random.integers(28, 44))
        left = int(random.integers(0, width // 2 - side)) + half * width // 2
        top = int(random.integers(0, height - side))
        kind = CLASSES[int(random.integers(2))]
        rows, columns = np.mgrid[:side, :side]
        inside = np.ones((side, side), bool)
        if kind == "disc":
            inside = (rows + 0.5 - side / 2) ** 2 + (columns + 0.5 - side / 2) ** 2 < side**2 / 4
        part = pixels[top : top + side, left : left + side]
        part[inside] = (210, 40, 30) if kind == "square" else (40, 60, 200)
        objects.append((kind, (left, top, left + side, top + side)))
    return pixels, objects


def write_voc(root, count=16, tests=6, **sizes):
    """Write a data set in the layout of Pascal VOC; return {name: objects}."""
    for folder in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    made = {}
    for seed in range(count):
        pixels, made[f"{seed:03}"] = picture(seed, **sizes)
        Image.fromarray(pixels).save(root / f"JPEGImages/{seed:03}.png")
        write_xml(root, f"{seed:03}", made[f"{seed:03}"])
    names = list(made)
    for split, own in (("train", names[:-tests]), ("test", names[-tests:])):
        (root / f"ImageSets/Main/{split}.txt").write_text("\n".join(own) + "\n")
    (root / "ImageSets/Main/disc_train.txt").write_text("000  1\n001 -1\n")
    return made


def write_xml(root, name, objects, difficult=0):
    """Write VOC's XML for one picture: its pixels count from 1, and xmax is the last."""
    lines = [
        OBJECT.format(kind, difficult, box[0] + 1, box[1] + 1, box[2], box[3])
        for kind, box in objects
    ]
    (root / f"Annotations/{name}.xml").write_text(f"<annotation>{''.join(lines)}</annotation>")


def write_coco(root, made, pictures):
    """Write the same data set as COCO's, all in a split `train`."""
    (root / "annotations").mkdir(parents=True)
    table = {"images": [], "annotations": [], "categories": []}
    table["categories"] = [{"id": 7 + n, "name": kind} for n, kind in enumerate(CLASSES)]
    for number, (name, objects) in enumerate(made.items()):
        table["images"].append({"id": number, "file_name": str(pictures / f"{name}.png")})
        for kind, (left, top, right, bottom) in objects:
            table["annotations"].append(
                {
                    "id": len(table["annotations"]),
                    "image_id": number,
                    "category_id": 7 + CLASSES.index(kind),
                    "bbox": [left, top, right - left, bottom - top],
                }
            )
    (root / "annotations/instances_train.json").write_text(json.dumps(table))
    return table


def write_csv(path, made, pictures):
    """Write the same data set as a CSV without splits."""
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["filename", "class", "xmin", "ymin", "xmax", "ymax"])
        for name, objects in made.items():
            for kind, box in objects:
                rows.writerow([pictures / f"{name}.png", kind, *box])
