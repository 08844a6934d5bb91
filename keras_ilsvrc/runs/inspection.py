"""Trained models, from a run or a `.keras` file, with images for inspecting them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ilsvrc.data.apply import NO_SEED, apply_ops
from keras_ilsvrc.data.decode import read_image
from keras_ilsvrc.data.imagenet_names import readable
from keras_ilsvrc.data.normalise import MODES
from keras_ilsvrc.data.ops import GEOMETRY
from keras_ilsvrc.data.pipeline import evaluation_batches, naming_the_file
from keras_ilsvrc.data.sources import open_source
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.types import Rows
from keras_ilsvrc.layers.graph import output_of
from keras_ilsvrc.nets.loading import load_model, load_weights, without_optimizer
from keras_ilsvrc.runs.evaluate import restore, without_images
from keras_ilsvrc.runs.experiment import Experiment
from keras_ilsvrc.runs.loaded import rows_of
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.utils.errors import InputError, nearest, printable
from keras_ilsvrc.visualize.probe import Probe

GREY = 128  # pixel value of the grey occluding square


@dataclass(frozen=True)
class Reiterable:
    """Iterable that can be used repeatedly: each iteration calls `start` for a new iterator."""

    start: Callable[[], Iterator[Any]]

    def __iter__(self) -> Iterator[Any]:
        return self.start()


@dataclass(frozen=True)
class Inspection:
    """Trained model with images for inspecting it, both unprocessed and preprocessed.

    Attributes:
        model: Model with its weights.
        rows: Preprocessing ops for images.
        statistics: Image statistics that the ops need.
        split: Images of a dataset; None if there is no dataset, only image files.
        classes: Names of the model's classes.
        labelled: Whether the labels of the split are known to be indices into `classes`.
        batch_size: Number of images per batch.
        epochs: Weight files that were kept after some epochs of a run, as {"epoch 5": path}.
    """

    model: keras.Model
    rows: Rows
    statistics: Mapping[str, np.ndarray]
    split: Split | None
    classes: Sequence[str]
    labelled: bool
    batch_size: int
    epochs: Mapping[str, Path]

    def raw(self, source: int | Path) -> Any:
        """Return an unprocessed image. `source` is its index in the split, or the path of a file.

        Raises:
            InputError: If there is no such image, or it cannot be read.
        """
        if isinstance(source, Path):
            return read_image(source, self.model.inputs[0].shape[-1])
        split = self.images()
        if not 0 <= source < len(split):
            raise InputError(f"image {source} does not exist; expected 0 to {len(split) - 1}")
        with naming_the_file(split, (), {}, lambda: [source]):
            return split.image(source)

    def images(self) -> Split:
        """Return the images of the dataset.

        Raises:
            InputError: If there is no dataset.
        """
        if self.split is None:
            raise InputError("there is no dataset with images; pass --source, or --image FILE")
        return self.split

    def picture(self, source: int | Path) -> np.ndarray:
        """Return the part of an image that the model sees, (height, width, channels), uint8."""
        rows = [row for row in self.rows if row["op"] in GEOMETRY]
        return np.asarray(apply_ops(self.raw(source), rows, NO_SEED, {}))

    def image(self, source: int | Path) -> np.ndarray:
        """Return an image preprocessed for the model, (height, width, channels), float32."""
        made = apply_ops(self.raw(source), self.rows, NO_SEED, self.statistics)
        return np.asarray(made, "float32")

    def grey(self) -> np.ndarray:
        """Return a uniform grey image, preprocessed for the model, (height, width, channels)."""
        rows = [row for row in self.rows if row["op"] not in GEOMETRY]
        shape = self.model.inputs[0].shape[1:]
        flat = np.full(shape, GREY, "uint8")
        return np.asarray(apply_ops(flat, rows, NO_SEED, self.statistics), "float32")

    def batches(self, count: int | None, progress: Callable[[int, int], object]) -> Iterator[Any]:
        """Yield batches of the first `count` images (all if None), preprocessed for the model."""
        split = self.images()[:count]
        done, parts = 0, (split, self.rows, self.statistics)
        with naming_the_file(*parts, lambda: range(done, min(done + self.batch_size, len(split)))):
            for batch in evaluation_batches(*parts, self.batch_size):
                yield batch.numpy()[: len(split) - done]  # drop the padding of the last batch
                done = min(done + self.batch_size, len(split))
                progress(done, len(split))

    def repeatable(self, count: int | None) -> "Reiterable":
        """Return an iterable over the same batches as `batches`, which can be used repeatedly."""
        return Reiterable(lambda: self.batches(count, lambda done, total: None))

    def label(self, source: int | Path) -> int | None:
        """Return the class index of an image; None if unknown, for example for a file."""
        if isinstance(source, Path) or not self.labelled:
            return None
        return int(self.images().labels[source])

    def title(self, source: int | Path) -> str:
        """Return the title of an image: its file name, or its number and class."""
        if isinstance(source, Path):
            return source.name
        label = self.label(source)
        return str(source) if label is None else f"{source}: {self.names[label]}"

    @property
    def names(self) -> list[str]:
        """Human-readable class names, for example "tench" for `n01440764`."""
        return list(map(readable, self.classes))

    def caption(self, source: int | Path, probabilities: np.ndarray) -> str:
        """Return two lines about an image: its name, then its true class (if known) and prediction.

        Args:
            source: Index of the image in the split, or the path of a file.
            probabilities: Class probabilities of the image, (classes,).
        """
        label = self.label(source)
        name = printable(source.name) if isinstance(source, Path) else f"image {source}"
        true = "" if label is None else f"true {self.names[label]}, "
        return f"{name}\n{true}predicted {self.likely(int(probabilities.argmax()), probabilities)}"

    def likely(self, label: int, probabilities: np.ndarray) -> str:
        """Return the name of a class with its probability, for example "tench 71 %"."""
        return f"{self.names[label]} {100 * probabilities[label]:.0f} %"

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Return the class probabilities of preprocessed images, (images, classes), float32."""
        probe = Probe(self.model)
        scores = probe.values(keras.ops.convert_to_tensor(probe.batch(images)))[id(probe.target)]
        return probe.probable(keras.ops.cast(scores, "float32")).numpy()

    def class_index(self, text: str) -> int:
        """Return the index of the class with a given name, readable name or index.

        Raises:
            InputError: If there is no such class.
        """
        known = [*self.classes, *self.names, *map(str, range(len(self.classes)))]
        if text not in known:
            hint = nearest(text, known[: 2 * len(self.classes)])
            expected = f"expected a class name or 0 to {len(self.classes) - 1}; {hint}".rstrip("; ")
            raise InputError(f"--class is {text!r}; {expected}")
        return known.index(text) % len(self.classes)

    def load(self, path: Path) -> None:
        """Load the model's weights from a file, for example one of those listed in `epochs`."""
        load_weights(without_optimizer(self.model), path)


def of_run(path: Path, source: str | None = None, tested: bool = True) -> Inspection:
    """Return an `Inspection` of a finished run, with its test images by default.

    Args:
        path: Path of the run directory.
        source: Other source of images, for example `folder:PATH`; None for the run's test images.
        tested: Whether to open the run's test images; False to read only image files.

    Raises:
        InputError: If the directory contains no finished run, or the source cannot be opened.
    """
    if source or not tested:
        experiment = without_images(path)
    else:
        experiment = restore(path, optional=True, option="--source")
    return of_experiment(experiment, RunFiles(path), source)


def of_experiment(
    experiment: Experiment, directory: RunFiles, source: str | None = None
) -> Inspection:
    """Return an `Inspection` of an experiment whose model already has its trained weights."""
    classes, labelled = experiment.source.classes, True
    split = experiment.test if len(experiment.test) else None
    if source is not None:
        found, split = all_of(source, experiment.model)
        labelled = found == classes
    return Inspection(
        experiment.model,
        experiment.eval_rows,
        experiment.statistics,
        split,
        classes,
        labelled,
        experiment.recipe.data.batch_size,
        {f"epoch {number}": file for number, file in directory.kept_weights().items()},
    )


def of_file(path: Path, preprocess: str | None = None, source: str | None = None) -> Inspection:
    """Return an `Inspection` of a `.keras` file. Images are resized and cropped to its input size.

    Args:
        path: Path of the `.keras` file.
        preprocess: "caffe", "tf" or "torch", as in `keras.applications`; None if the model
            expects pixel values of 0 to 255.
        source: Source of images, for example `folder:PATH`; None to read only image files.

    Raises:
        InputError: If the file cannot be read, or the model's input is not a square of known size.
    """
    model = load_model(path, compile=False)
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or shape[1] != shape[2] or not shape[1]:
        raise InputError(f"{path}: input shape is {shape}; expected square images of a known size")
    if preprocess is not None and preprocess not in MODES:
        raise InputError(f"--preprocess is {preprocess!r}; {nearest(preprocess, MODES)}")
    rows = rows_of(shape[1], preprocess)
    outputs = keras.tree.flatten(output_of(model))
    most = max(x.shape[-1] or 0 for x in outputs)
    classes: Sequence[str] = [str(number) for number in range(most)]
    split, labelled = None, False
    if source is not None:
        found, split = all_of(source, model)
        # Assume that the model's classes are the sorted folder names, as Keras orders classes.
        labelled = len(found) == len(classes)
        classes = found if labelled else classes
    return Inspection(model, rows, {}, split, classes, labelled, 32, {})


def all_of(source: str, model: keras.Model) -> tuple[Sequence[str], Split]:
    """Return the class names of a dataset and its test split, or else its first split."""
    opened = open_source(source, model.inputs[0].shape[-1])
    name = "test" if "test" in opened.splits else next(iter(opened.splits))
    return opened.classes, opened.split(name)
