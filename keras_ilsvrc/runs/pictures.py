"""Pictures of a run, drawn after its result is kept."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from keras_ilsvrc.errors import printable, reason
from keras_ilsvrc.files import whole
from keras_ilsvrc.runs.finished import FinishedRun
from keras_ilsvrc.runs.reading import CURVES, DOUBTFUL
from keras_ilsvrc.training.cluster import tell_stderr
from keras_ilsvrc.visualize.pictures import curves, doubtful, least_sure

Page = Callable[[FinishedRun], object]


def draw(run: FinishedRun, page: Page | None, tell: Callable[[str], object] = tell_stderr) -> None:
    """Draw the pictures of a finished run, then its page.

    Whatever fails in this costs a line, for the result is kept already.
    """
    pictures: dict[str, Callable[[FinishedRun], object]] = {
        CURVES: _draw_curves,
        DOUBTFUL: _draw_doubtful,
    }
    for name, make in (pictures | ({"page": page} if page else {})).items():
        try:
            make(run)
        except Exception as error:
            path, why = run.directory.path, printable(reason(error))
            again = f"`keras-ilsvrc report --run {path}` draws it again"
            tell(f"{path / name}: not drawn: {why}; the result is kept; {again}")


def draw_curves(
    rows: Sequence[Mapping], path: Path, title: str, test_error: float | None = None
) -> None:
    """Draw loss and error over epochs."""
    with whole(path) as part:
        curves(rows, part, title, test_error)


def _draw_curves(run: FinishedRun) -> None:
    path, title = run.directory.path / CURVES, run.experiment.title
    draw_curves(run.history, path, title, run.result["top1_error"])


def _draw_doubtful(run: FinishedRun) -> None:
    chosen, test = least_sure(run.probabilities), run.experiment.test
    with whole(run.directory.path / DOUBTFUL) as part:
        doubtful(
            [test.image(index).numpy() for index in chosen],
            test.labels[chosen],
            run.probabilities[chosen],
            run.classes,
            part,
            f"{run.experiment.title}: the test images it was least sure of",
        )
