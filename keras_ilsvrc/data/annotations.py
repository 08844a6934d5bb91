"""Readers of annotation files with boxes: Pascal VOC's XML, COCO's JSON, and CSV."""

import csv
import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_ilsvrc.data.annotated import BoxSource, Listed, Object, annotated
from keras_ilsvrc.data.headers import ENDINGS, Fault
from keras_ilsvrc.data.listing import ALL
from keras_ilsvrc.data.source import OnFault, Shares, refuse
from keras_ilsvrc.utils.errors import InputError, nearest, reason
from keras_ilsvrc.utils.files import SMALL, read

JSON = 2_000_000_000  # maximum bytes of a COCO JSON file; the largest of COCO 2017 has 448 MB
SIDES = ("xmin", "ymin", "xmax", "ymax")
# Accepted names of the columns of a CSV; case is ignored.
COLUMNS = {
    "image": ("image", "file", "filename", "path", "image_path"),
    "class": ("class", "label", "class_name"),
    **{side: (side, f"{side[0]}{1 + (side[1:] == 'max')}") for side in SIDES},
    "split": ("split",),
}
Splits = dict[str, list[Listed]]
Reading = tuple[Splits, list[str] | None]  # images of each split; class names, if they are listed


def voc(root: Path, on_fault: OnFault) -> Reading:
    """Read a data set in Pascal VOC's layout: folders Annotations, JPEGImages and ImageSets/Main.

    Each text file in ImageSets/Main that lists images defines a split. Without such files, all
    images form one split. The folder JPEGImages may also be called images; case is ignored.
    Coordinates count from 1, and the pixels at xmax and ymax belong to the box.
    """
    notes, images = _folder(root, "annotations"), _folder(root, "jpegimages", "images")
    files = {path.stem: path for path in sorted(images.iterdir()) if path.suffix.lower() in ENDINGS}

    def listed(name: str) -> Listed | None:
        path = notes / f"{name}.xml"
        try:
            tree = _xml(path)
            own = files.get(name) or images / (tree.findtext("filename") or f"{name}.jpg")
            return Listed(own, [_object(one) for one in tree.iter("object")])
        except (ET.ParseError, ValueError) as error:
            what = str(error).removeprefix(f"{path}: ")
            on_fault(Fault(str(path), None, what))
            return None

    lists = sorted((root / "ImageSets" / "Main").glob("*.txt"))
    # The files for single classes, such as dog_train.txt, have a second column, and are left out.
    rows = {path.stem: _text(path).split("\n") for path in lists}
    names = {key: [x.strip() for x in lines if x.strip()] for key, lines in rows.items()}
    names = {key: each for key, each in names.items() if all(" " not in x for x in each) and each}
    names = names or {ALL: [path.stem for path in sorted(notes.glob("*.xml"))]}
    known = {name: listed(name) for each in names.values() for name in each}
    return {key: [one for x in each if (one := known[x])] for key, each in names.items()}, None


def _text(path: Path) -> str:
    try:
        return read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8: {reason(error)}") from error


def _folder(root: Path, *names: str) -> Path:
    """Return the subfolder with one of the names; case is ignored."""
    found = sorted(path for path in root.iterdir() if path.is_dir())
    for path in found:
        if path.name.lower() in names:
            return path
    raise InputError(
        f"{root}: has no folder {names[0]}; found {', '.join(x.name for x in found) or 'none'}; "
        "expected Pascal VOC's folders Annotations and JPEGImages"
    )


def _xml(path: Path) -> ET.Element:
    content = read(path, SMALL)
    if b"<!ENTITY" in content:  # entities can expand to any size
        raise ValueError("defines XML entities; remove them")
    return ET.fromstring(content)


def _object(one: ET.Element) -> Object:
    left, top, right, bottom = (float(one.findtext(f"bndbox/{side}") or "nan") for side in SIDES)
    difficult = (one.findtext("difficult") or "0").strip() == "1"
    name = (one.findtext("name") or "").strip()
    return Object(name, (left - 1, top - 1, right, bottom), difficult)


def coco(root: Path, on_fault: OnFault) -> Reading:
    """Read a data set in COCO's layout: annotations/instances_SPLIT.json, images in folder SPLIT.

    Coordinates count from 0 at the corner of the image; a box is [left, top, width, height].
    """
    lists = sorted((root / "annotations").glob("instances_*.json"))
    if not lists:
        raise InputError(
            f"{root}: has no file annotations/instances_SPLIT.json; expected COCO's layout"
        )
    found, names = Splits(), list[str]()
    for path in lists:
        split = path.stem.removeprefix("instances_")
        table = _json(path)
        kinds = {each["id"]: str(each["name"]) for each in table["categories"]}
        names += [name for name in kinds.values() if name and name not in names]
        home = root / split if (root / split).is_dir() else root
        images = {each["id"]: home / str(each["file_name"]) for each in table["images"]}
        objects: dict[Any, list[Object]] = {key: [] for key in images}
        for each in table["annotations"]:
            label = f"{path}, annotation {each['id']}"
            if each["image_id"] not in images:
                on_fault(Fault(label, None, f"no image has the id {each['image_id']!r}"))
            elif each["category_id"] not in kinds:
                on_fault(Fault(label, None, f"unknown class {each['category_id']!r}"))
            else:
                left, top, width, height = map(float, each["bbox"])
                crowd = bool(each.get("iscrowd"))
                box = (left, top, left + width, top + height)
                objects[each["image_id"]].append(
                    Object(kinds[each["category_id"]], box, crowd, crowd)
                )
        found[split] = [Listed(images[key], objects[key]) for key in images]
    return found, names


def _json(path: Path) -> dict[str, Any]:
    """Read a COCO annotation file, and check that it contains the keys that are used here."""
    try:
        table = json.loads(read(path, JSON))
        for key, needed in {
            "categories": {"id", "name"},
            "images": {"id", "file_name"},
            "annotations": {"id", "image_id", "category_id", "bbox"},
        }.items():
            if key not in table:
                raise ValueError(f"has no key {key!r}")
            for number, each in enumerate(table[key]):
                missing = needed - each.keys()
                if missing:
                    raise ValueError(f"{key}[{number}] has no {sorted(missing)[0]!r}")
                for name in sorted(needed & {"id", "image_id", "category_id"}):
                    if not isinstance(each[name], int | str):
                        raise ValueError(
                            f"{key}[{number}].{name} is {each[name]!r:.40}; expected a number"
                        )
                box = each.get("bbox", [0.0] * 4)
                if len(box) != 4 or not all(isinstance(x, int | float) for x in box):
                    raise ValueError(f"{key}[{number}].bbox is {box!r:.40}; expected 4 numbers")
        return table
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: not a COCO annotation file: {reason(error)}") from error


def table(path: Path, on_fault: OnFault) -> Reading:
    """Read a CSV with one line per box: image, class, xmin, ymin, xmax, ymax, optionally split.

    Coordinates count from 0 at the corner of the image. A line with only an image adds the image
    without a box. Paths are relative to the folder of the CSV.
    """
    found: dict[str, dict[Path, list[Object]]] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            columns = _columns(path, rows.fieldnames or ())
            for row in rows:
                values = {key: (row[name] or "").strip() for key, name in columns.items()}
                empty = [key for key in ("image", "split") if values.get(key) == ""]
                if empty:
                    label = f"{path}, line {rows.line_num}"
                    on_fault(Fault(label, None, f"the {empty[0]} is missing"))
                    continue
                own = found.setdefault(values.get("split") or ALL, {})
                objects = own.setdefault(Path(os.path.normpath(path.parent / values["image"])), [])
                if not any(values[key] for key in ("class", *SIDES)):
                    continue
                try:
                    left, top, right, bottom = (float(values[side]) for side in SIDES)
                except ValueError as error:
                    on_fault(Fault(f"{path}, line {rows.line_num}", None, reason(error)))
                    continue
                objects.append(Object(values["class"], (left, top, right, bottom)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8: {reason(error)}") from error
    return {key: [Listed(*one) for one in own.items()] for key, own in found.items()}, None


def _columns(path: Path, heads: Sequence[str]) -> dict[str, str]:
    """Return {key of `COLUMNS`: name of the column in the file} for the columns of the file."""
    known, found = {head.strip().lower(): head for head in heads}, {}
    for key, names in COLUMNS.items():
        own = [known[name] for name in names if name in known]
        if own:
            found[key] = own[0]
        elif key != "split":
            raise InputError(
                f"{path}: no column {key!r} in line 1; expected image, class, {', '.join(SIDES)}; "
                f"found {', '.join(heads) or 'none'}"
            )
    return found


# {kind of source: (form of its name, function that reads its annotations)}
BOX_SOURCES: Mapping[str, tuple[str, Callable[[Path, OnFault], Reading]]] = {
    "voc": ("voc:PATH", voc),
    "coco": ("coco:PATH", coco),
    "boxes": ("boxes:FILE.csv", table),
}


def open_boxes(
    name: str,
    classes: Sequence[str] | None = None,
    on_fault: OnFault = refuse,
    shares: Shares | None = None,
) -> BoxSource:
    """Open a data set of images with boxes.

    Args:
        name: `voc:PATH`, `coco:PATH` or `boxes:FILE.csv`. The functions `voc`, `coco` and `table`
            describe these formats.
        classes: Names of the classes; None for all classes of the data set. Objects of other
            classes count as faults.
        on_fault: Function called with a `Fault` for each bad image and box. The default raises an
            error instead.
        shares: Shares of the images for validation and test, used if the data set has no splits;
            None for the defaults of `Shares`.

    Raises:
        InputError: If the data set is missing, empty or damaged.
    """
    kind, _, at = name.partition(":")
    if kind not in BOX_SOURCES or not at:
        known = ", ".join(form for form, _ in BOX_SOURCES.values())
        hint = nearest(kind, BOX_SOURCES) if at else ""
        hint = f"{hint} " if hint.startswith("did") else ""
        raise InputError(f"no data set with boxes is called {name!r}; {hint}known: {known}")
    try:
        listed, own = BOX_SOURCES[kind][1](Path(at), on_fault)
    except OSError as error:
        path = error.filename or at
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return annotated(name, listed, classes or own, on_fault, shares or Shares())
