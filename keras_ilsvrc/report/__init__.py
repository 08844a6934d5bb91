"""HTML report: one self-contained page about a finished run."""

from pathlib import Path

from keras_ilsvrc.report.page import Section, picture, render
from keras_ilsvrc.report.sections import OF_IMAGES, SECTIONS
from keras_ilsvrc.runs.finished import FinishedRun, Working, read, unseen
from keras_ilsvrc.runs.reading import PAGE
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import InputError, file_errors

__all__ = ["SECTIONS", "FinishedRun", "Section", "picture", "report", "write_page"]


def report(
    path: Path,
    out: Path | None = None,
    working: Working = unseen,
    replicas: int | None = None,
    dataset: str | None = None,
) -> Path:
    """Write an HTML page about a finished run: its test errors, images, network and recipe.

    The network is tested again, because the run directory does not contain the class
    probabilities of the test images. The page is self-contained and needs no JavaScript.

    Args:
        path: Directory of the run.
        out: Path of the page; `report.html` in the run's directory if None.
        working: Function that opens a progress bar with a label, for example `utils.bars.bar`.
        replicas: Number of devices, as in `training.strategy.mirrored`.
        dataset: Source of the images; None for the one in the recipe.

    Returns:
        The path of the page.

    Raises:
        InputError: If the directory contains no finished run, a file in it is damaged, or the page
            cannot be written.
    """
    if out is not None and not out.parent.is_dir():
        raise InputError(f"{out}: there is no folder {out.parent}")
    if out is not None and out.is_dir():
        raise InputError(f"{out}: is a folder; expected a file, for example {path / PAGE}")
    return write_page(read(path, replicas, working, dataset), out)


def write_page(run: FinishedRun, out: Path | None = None) -> Path:
    """Write the HTML page about a finished run that has already been read; see `report`."""
    out = out or run.directory.path / PAGE
    makers = [make for make in SECTIONS if run.has_images or make not in OF_IMAGES]
    sections = [section for make in makers if (section := make(run)) is not None]
    html = render("page", kind="Report of a run", title=run.experiment.title, sections=sections)
    with file_errors(out, "written"), files.whole(out) as part:
        part.write_bytes(html.encode("utf-8", "backslashreplace"))
    return out
