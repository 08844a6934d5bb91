"""HTML page with the predictions for image files: a thumbnail and the likely classes of each."""

import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image

from keras_ilsvrc.data.decode import decode_bytes
from keras_ilsvrc.report.page import data_url, render
from keras_ilsvrc.runs.loaded import Prediction
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import file_errors

SIDE = 200  # longer side of a thumbnail, in pixels
QUALITY = 80  # JPEG quality of thumbnails


def write_answers(
    answers: Iterable[Prediction], out: Path, title: str, channels: int
) -> Iterator[Prediction]:
    """Yield the predictions unchanged, and write each with a thumbnail to an HTML page.

    The page appears after the last prediction. If the iteration ends early, there is no page.

    Raises:
        InputError: If the page cannot be written.
    """
    with (
        file_errors(out, "written"),
        files.whole(out) as part,
        part.open("w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        head, foot = render("answers", title=title).split("<!-- answers -->")
        file.write(head)
        for answer in answers:
            file.write(render("answer", answer=answer, source=_thumbnail(answer, channels)))
            yield answer
        file.write(foot)


def _thumbnail(answer: Prediction, channels: int) -> str:
    """Return the image of a prediction as a small JPEG in a data URI."""
    content = files.read(Path(answer.image), sys.maxsize)  # fails if the file has been deleted
    pixels = decode_bytes(content, channels).numpy()
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    image.thumbnail((SIDE, SIDE))
    held = io.BytesIO()
    image.save(held, "jpeg", quality=QUALITY)
    return data_url(held.getvalue(), "image/jpeg")
