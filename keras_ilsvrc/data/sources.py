"""Table of all kinds of data sources: digits, folder, csv, idx, imagenet, tfds and prepared."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from keras_ilsvrc.data.csv_file import csv_file
from keras_ilsvrc.data.digits import digits
from keras_ilsvrc.data.folder import folder
from keras_ilsvrc.data.idx import idx
from keras_ilsvrc.data.imagenet import imagenet
from keras_ilsvrc.data.prepared import prepared
from keras_ilsvrc.data.source import OnFault, Shares, Source, refuse
from keras_ilsvrc.data.tfds_source import tfds_source
from keras_ilsvrc.utils.errors import InputError, nearest, reason


class SourceKind(NamedTuple):
    """Kind of data source: the form of its name, such as `folder:PATH`, and a function to open it.

    The arguments of `open` are the text after the colon, the number of channels, a function to call
    for each bad file, and the shares of the images for validation and test, for sources without
    these splits.
    """

    written: str
    open: Callable[[str, int, OnFault, Shares | None], Source]


SOURCES = {
    "digits": SourceKind("digits", lambda *_: digits()),
    "folder": SourceKind("folder:PATH", lambda at, *rest: folder(Path(at), *rest)),
    "csv": SourceKind("csv:FILE", lambda at, *rest: csv_file(Path(at), *rest)),
    "idx": SourceKind("idx:PATH", lambda at, *_: idx(Path(at))),
    "imagenet": SourceKind("imagenet:PATH", lambda at, *rest: imagenet(at, *rest[:2])),
    "tfds": SourceKind("tfds:NAME", lambda name, channels, *_: tfds_source(name, channels)),
    "prepared": SourceKind("prepared:PATH", lambda at, *rest: prepared(Path(at), rest[0])),
}


def source_name(text: str) -> str:
    """Return the full name of a source, for example `folder:photos` for the path `photos/`."""
    typed = os.sep in text and ":" not in text  # looks like a path, even if no such file exists
    if text.partition(":")[0] in SOURCES or not (typed or os.path.exists(text)):
        return text
    path = text.rstrip(os.sep) or os.sep
    return f"csv:{path}" if path.lower().endswith(".csv") else f"folder:{path}"


def open_source(
    name: str, channels: int = 3, on_fault: OnFault = refuse, split: Shares | None = None
) -> Source:
    """Open a data source by its name.

    Args:
        name: `digits`, `folder:PATH`, `csv:FILE`, `idx:PATH`, `imagenet:PATH`, `tfds:NAME` or
            `prepared:PATH`, or only the path of a folder or a CSV. The functions in `SOURCES`
            describe each kind of source.
        channels: Number of channels to decode to, 1 or 3.
        on_fault: Function called with a `Fault` for each bad file, which is left out. The default
            raises an error instead.
        split: Shares of the images for validation and test, used if a folder or a CSV lacks these
            splits; None for the defaults of `Shares`.

    Raises:
        InputError: If the source is unknown, missing or empty, or has a file that is not an image.
    """
    if channels not in (1, 3):
        raise InputError(f"channels is {channels}; expected 1 or 3")
    name = source_name(name)
    kind, colon, at = name.partition(":")
    form = SOURCES.get(kind)
    if form is None or bool(at) != (":" in form.written) or bool(colon) != bool(at):
        known = ", ".join(form.written for form in SOURCES.values())
        hint = "" if kind in SOURCES else nearest(kind, SOURCES)
        hint = f"{hint} " if hint.startswith("did") else ""
        raise InputError(f"no data set is called {name!r}; {hint}known: {known}")
    try:
        return form.open(at, channels, on_fault, split)
    except OSError as error:
        at = str(error.filename or name)[:300]
        raise InputError(f"{at}: cannot be read: {reason(error)}") from error
