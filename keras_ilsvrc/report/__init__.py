"""A finished run as one HTML page, with all that it shows inside."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keras_ilsvrc.errors import InputError
from keras_ilsvrc.report.finished import Run, Working, read, unseen
from keras_ilsvrc.report.page import Section, page, picture
from keras_ilsvrc.report.sections import SECTIONS
from keras_ilsvrc.rundir import FULL, PAGE, PART

__all__ = ["SECTIONS", "Run", "Section", "picture", "report"]


def report(
    path: Path,
    out: Path | None = None,
    working: Working = unseen,
    replicas: int | None = None,
) -> Path:
    """Writes a page of a finished run: what it reached, its images, its net and its recipe.

    The net is tested again, since a run keeps no probabilities. The page refers to nothing outside
    itself and needs no JavaScript.

    Args:
        path: The run's directory.
        out: The page; `report.html` in that directory if None.
        working: Opens a bar for work that takes long, as `data.progress.bar` does.
        replicas: As for `testing.restore`.

    Returns:
        Where the page is.

    Raises:
        InputError: If the directory holds no finished run, a file in it is damaged, or the page
            cannot be written.
    """
    out = out or path / PAGE
    with whole(out) as part:
        run = read(path, replicas, working)
        made = (section(run) for section in SECTIONS)
        sections = [section for section in made if section is not None]
        part.write_text(page(run.stage.title, sections), encoding="utf-8")
    return out


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file to write to in place of `path`, which takes its name once it is whole.

    Raises:
        InputError: If `path` cannot be written; at once, where that can be known.
    """
    if not path.parent.is_dir():
        raise InputError(f"--out is {path}; there is no folder {path.parent}")
    if path.is_dir():
        raise InputError(f"--out is {path}, a folder; expected a file, as {path / PAGE}")
    part = path.with_name(f".{path.name}{PART}")
    try:
        part.touch()
        yield part
        os.replace(part, path)
    except OSError as error:
        if error.errno not in FULL and error.filename not in (str(part), part):
            raise
        raise InputError(f"--out is {path}, which cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
