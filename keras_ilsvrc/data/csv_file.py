"""The data source `csv:FILE`: a list of image files with their classes."""

import csv
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from keras_ilsvrc.data.headers import Fault
from keras_ilsvrc.data.listing import ALL, SPLIT_NAMES, Listing
from keras_ilsvrc.data.source import OnFault, Shares, Source, refuse
from keras_ilsvrc.utils.errors import InputError, nearest, reason

# Accepted names of each column; case is ignored.
COLUMNS = {
    "file": ("file", "filename", "path", "image"),
    "label": ("label", "class"),
    "split": ("split",),
}


def csv_file(
    path: Path, channels: int = 3, on_fault: OnFault = refuse, shares: Shares | None = None
) -> Source:
    """Open the images listed in a CSV file with columns file, label and, optionally, split.

    The column file may also be called filename, path or image, and the column label class. Paths
    are relative to the folder of the CSV. Columns are separated by commas, semicolons or tabs.

    Args:
        path: Path of the CSV, in UTF-8.
        channels: Number of channels to decode to, 1 or 3.
        on_fault: Function called with a `Fault` for every line and image that is left out.
        shares: Shares of the images for validation and test, used if no line names these splits;
            None for the defaults of `Shares`.

    Raises:
        InputError: If a column is missing, the file is not a CSV, a class has too few images to
            split, or, with the default `on_fault`, if a line or an image is bad.
    """
    found = Listing(f"csv:{path}", str(path.parent))
    lines: dict[str, int] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            for line, row in _rows(path, file):
                fault = _add(row, path, line, lines, found)
                if fault:
                    on_fault(Fault(f"{path}, line {line}", None, fault))
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a CSV file in UTF-8: {reason(error)}") from error
    return found.source(channels, on_fault, shares or Shares())


def _rows(path: Path, file: Iterator[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and the values of each line that is not empty, as {key of `COLUMNS`: value}.

    Raises:
        InputError: If the column file or the column label is missing.
    """
    first = next(file, "")
    delimiter = max(",;\t", key=first.count)
    heads = [head.strip().lower() for head in next(csv.reader([first], delimiter=delimiter), [])]
    columns = {}
    for column, names in COLUMNS.items():
        places = [heads.index(name) for name in names if name in heads]
        if places:
            columns[column] = places[0]
        elif column != "split":
            raise InputError(
                f"{path}: no column {column!r} in line 1; expected columns file and label, "
                f"found {', '.join(heads) or 'none'}"
            )
    reader = csv.reader(file, delimiter=delimiter)
    for values in reader:
        if any(values):
            row = dict(enumerate(values))
            yield (
                reader.line_num + 1,
                {name: row.get(place, "").strip() for name, place in columns.items()},
            )


def _add(
    row: Mapping[str, str], path: Path, line: int, lines: dict[str, int], found: Listing
) -> str | None:
    """Add the image named in a CSV line to a listing. Return an error text if the line is bad."""
    for column, value in row.items():
        if not value:
            return f"the column {column} is empty"
    split = ALL
    if "split" in row:
        split = SPLIT_NAMES.get(row["split"].lower(), "")
        if not split:
            return f"unknown split {row['split']!r}; {nearest(row['split'], SPLIT_NAMES)}"
    image = os.path.join(path.parent, row["file"])
    try:
        stats = os.stat(image)
    except (OSError, ValueError):  # ValueError: a null character in the path
        return f"no such file: {image}"
    if not stat.S_ISREG(stats.st_mode):
        return f"no such file: {image}"
    # The key is normalised, since `a.jpg` and `./a.jpg` are the same file.
    first = lines.setdefault(os.path.normpath(image), line)
    if first != line:
        return f"{image} is already listed in line {first}"
    found.add([(image, stats.st_size, stats.st_mtime_ns)], row["label"], split)
    return None
