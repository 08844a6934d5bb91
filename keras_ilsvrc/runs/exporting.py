"""Export of the trained network of a run, with its preprocessing and class names."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_sample_images

from keras_ilsvrc.data.imagenet_names import readable
from keras_ilsvrc.data.types import Rows
from keras_ilsvrc.runs.evaluate import restore
from keras_ilsvrc.runs.loaded import load_run
from keras_ilsvrc.utils import files
from keras_ilsvrc.utils.errors import InputError, printable
from keras_ilsvrc.weights.export import FORMATS, export

COUNT = 8  # number of test images on which an export is checked
COLOURS = {1: "L", 3: "RGB"}  # Pillow's image mode by number of channels


class Exported(NamedTuple):
    """Exported network of a run.

    Attributes:
        code: Python code that applies the export to the file photo.jpg.
        names: File with the names of the classes, one per line.
        classes: Number of classes.
        shape: Shape of a batch of input images, with None for sizes that may vary.
        dtype: Data type of the input images.
        checked: Description of the images on which the export was checked.
        difference: Largest absolute difference between probabilities of the export and the run.
    """

    code: str
    names: Path
    classes: int
    shape: tuple[int | None, ...]
    dtype: str
    checked: str
    difference: float


def export_run(path: Path, name: str, out: Path, preprocessing: bool = True) -> Exported:
    """Export the network of a finished run in float32, and write a file with its class names.

    Args:
        path: Path of the run directory.
        name: Name of the format, one of `FORMATS`.
        out: File to write, or folder for a SavedModel.
        preprocessing: Whether the export takes raw uint8 images and preprocesses them itself. If
            not, it takes float32 images as `LoadedRun.preprocess` returns them.

    Raises:
        InputError: If the run cannot be loaded or the network cannot be exported; see `load_run`
            and `export`.
    """
    run = load_run(path, "float32")
    form = FORMATS[name]
    raw = run.model_with_preprocessing(
        None if form.only_tensorflow else 1, portable=not form.only_tensorflow
    )
    images = _test_images(path)
    checked = f"{len(images)} test images of the run"
    if not images:
        images = sample_images(raw.inputs[0].shape, run.rows)
        checked = "two photographs from scikit-learn and a noise image"
    batches = [run.preprocess(image) for image in images]
    expected = [np.asarray(run.model(batch, training=False)) for batch in batches]
    model = raw if preprocessing else run.model
    given = [image[None] for image in images] if preprocessing else batches
    difference = export(model, out, name, given, expected)
    names = out.with_suffix(".classes.txt")
    with files.whole(names) as part:
        part.write_text("".join(f"{_name_line(one)}\n" for one in run.classes), encoding="utf-8")
    image = model.inputs[0]
    code = _reading_code(path, image.shape, preprocessing) + form.code.format(path=str(out))
    return Exported(code, names, len(run.classes), image.shape, image.dtype, checked, difference)


def _test_images(run: Path) -> list[np.ndarray]:
    """Return up to `COUNT` raw test images of a run; [] if its dataset is missing or changed."""
    try:
        split = restore(run, log=lambda line: None).test
        some = np.unique(np.linspace(0, len(split) - 1, COUNT).astype(int))
        return [np.asarray(split.image(index)) for index in some]
    except (InputError, tf.errors.OpError):
        return []


def sample_images(shape: tuple[Any, ...], rows: Rows) -> list[np.ndarray]:
    """Return three raw images (height, width, channels): two photographs and noise.

    If the size may vary, the first photograph is in landscape format, the second in portrait.

    Args:
        shape: Shape of a batch of raw images; height and width are None if they may vary.
        rows: Preprocessing ops. If the size may vary, no image is smaller than a size in them.
    """
    _, *size, channels = shape
    least = max([row.get("size", 1) for row in rows], default=1)
    first, second = load_sample_images().images
    noise = np.random.default_rng(0).integers(0, 256, (least, least, 3), "uint8")
    made = []
    for pixels in (first, second.transpose(1, 0, 2), noise):
        height, width = (
            own or max(found, least) for own, found in zip(size, pixels.shape, strict=False)
        )
        image = Image.fromarray(pixels).resize((width, height)).convert(COLOURS[channels])
        made.append(np.asarray(image).reshape(height, width, channels))
    return made


def _reading_code(run: Path, shape: tuple[Any, ...], preprocessing: bool) -> str:
    """Return Python code that reads the file photo.jpg into the variable `images`, a batch."""
    if not preprocessing:
        return (
            "import keras_ilsvrc\n"
            f"images = keras_ilsvrc.load_run({str(run)!r}).preprocess('photo.jpg')\n"
        )
    _, height, width, channels = shape
    resized = f".resize(({width}, {height}))" if width else ""
    axis = "" if channels == 3 else ", ..., None"
    return (
        "import numpy, PIL.Image, PIL.ImageOps\n"
        "photo = PIL.ImageOps.exif_transpose(PIL.Image.open('photo.jpg'))\n"
        f"photo = photo.convert({COLOURS[channels]!r}){resized}\n"
        f"images = numpy.asarray(photo)[None{axis}]\n"
    )


def _name_line(name: str) -> str:
    """Return the line for a class: its name and, for an ImageNet class, a tab and readable name."""
    own, shown = printable(name), readable(name)
    return own if shown == name else f"{own}\t{shown}"
