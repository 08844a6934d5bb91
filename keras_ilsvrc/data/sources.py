"""Table of all kinds of data sources: digits, folder, idx, imagenet and tfds."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from keras_ilsvrc.data.digits import digits
from keras_ilsvrc.data.folder import folder
from keras_ilsvrc.data.idx import idx
from keras_ilsvrc.data.imagenet import imagenet
from keras_ilsvrc.data.source import OnFault, Source, refuse
from keras_ilsvrc.data.tfds_source import tfds_source
from keras_ilsvrc.errors import InputError, nearest, reason


class SourceKind(NamedTuple):
    """Kind of data source: the form of its name, such as `folder:PATH`, and a function to open it.

    `open` is called with the text after the colon, the number of channels, and a function to call
    with bad files.
    """

    written: str
    open: Callable[[str, int, OnFault], Source]


SOURCES = {
    "digits": SourceKind("digits", lambda _, channels, on_fault: digits()),
    "folder": SourceKind("folder:PATH", lambda at, *rest: folder(Path(at), *rest)),
    "idx": SourceKind("idx:PATH", lambda at, channels, on_fault: idx(Path(at))),
    "imagenet": SourceKind("imagenet:PATH", imagenet),
    "tfds": SourceKind("tfds:NAME", lambda name, channels, on_fault: tfds_source(name, channels)),
}


def open_source(name: str, channels: int = 3, on_fault: OnFault = refuse) -> Source:
    """Open a data source by its name.

    Args:
        name: `digits`, `folder:PATH`, `idx:PATH`, `imagenet:PATH` or `tfds:NAME`; each is
            described in the docstring of the function that opens it.
        channels: Number of channels to decode to, 1 or 3.
        on_fault: Function called with bad files, which are left out; the default raises an error.

    Raises:
        InputError: If the source is unknown, missing or empty, or has a file that is not an image.
    """
    if channels not in (1, 3):
        raise InputError(f"channels is {channels}; expected 1 or 3")
    kind, colon, at = name.partition(":")
    form = SOURCES.get(kind)
    if form is None or bool(at) != (":" in form.written) or bool(colon) != bool(at):
        known = ", ".join(form.written for form in SOURCES.values())
        hint = "" if kind in SOURCES else nearest(kind, SOURCES)
        hint = f"{hint} " if hint.startswith("did") else ""
        raise InputError(f"no data set is called {name!r}; {hint}known: {known}")
    try:
        return form.open(at, channels, on_fault)
    except OSError as error:
        at = str(error.filename or name)[:300]
        raise InputError(f"{at}: cannot be read: {reason(error)}") from error
