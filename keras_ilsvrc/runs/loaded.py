"""Trained networks that need no dataset: model, class names, preprocessing and predictions."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.headers import own_limit
from keras_ilsvrc.data.imagenet_names import imagenet_names, readable
from keras_ilsvrc.data.images import listed, preprocess_image, preprocess_images
from keras_ilsvrc.data.normalise import MODES
from keras_ilsvrc.data.pipeline import readable_batches
from keras_ilsvrc.data.preprocessing import with_preprocessing
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Files
from keras_ilsvrc.data.types import Rows
from keras_ilsvrc.layers.arguments import is_whole
from keras_ilsvrc.layers.graph import main_output
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.nets.loading import load_weights
from keras_ilsvrc.nets.pretrained import OtherClasses
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.utils.errors import InputError, out_of_memory
from keras_ilsvrc.utils.notebook import facts_table
from keras_ilsvrc.weights.preprocessing import rows_for, source_of

TOGETHER = 32  # batch size of predictions
SHOWN = 10  # number of class names in a notebook


class Guess(NamedTuple):
    """Possible class of an image: the name used in training, and the probability from 0 to 1."""

    name: str
    probability: float

    @property
    def readable(self) -> str:
        """Human-readable name, for example "tench" for `n01440764`."""
        return readable(self.name)

    @property
    def percent(self) -> str:
        """Probability in percent, for example "71.3 %"."""
        return f"{100 * self.probability:.1f} %"

    def __str__(self) -> str:
        return f"{self.readable} {self.percent}"


class Prediction(NamedTuple):
    """Most likely classes of an image, likeliest first. `image` is a path, or an index as text."""

    image: str
    guesses: tuple[Guess, ...]

    def __str__(self) -> str:
        return f"{self.image}: {', '.join(map(str, self.guesses))}"


@dataclass(frozen=True)
class LoadedRun:
    """Trained network with the names of its classes and its preprocessing.

    Attributes:
        model: Functional model from preprocessed images to probabilities.
        classes: Class names used in training, in the order of the model's outputs.
        rows: Preprocessing ops for images.
        statistics: Image statistics that the ops need.
        error: Top-1 test error of the run in percent; None for a network without a run.
    """

    model: keras.Model
    classes: tuple[str, ...]
    rows: Rows
    statistics: Mapping[str, np.ndarray]
    error: float | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of a preprocessed image."""
        return tuple(self.model.inputs[0].shape[1:])

    def _repr_html_(self) -> str:
        """Return the network, classes, ops and test error as a short HTML table, for notebooks."""
        names = [readable(name) for name in self.classes]
        some = ", ".join(names[:SHOWN] + ["..."] * (len(names) > SHOWN))
        parameters = sum(math.prod(weight.shape) for weight in self.model.trainable_weights)
        facts = {
            "input": " x ".join(map(str, self.shape)),
            "preprocessing": ", ".join(row["op"] for row in self.rows),
            "classes": f"{len(names)}: {some}",
            "parameters": f"{parameters:,}",
            "test error": "" if self.error is None else f"{self.error:.2f} %",
        }
        return facts_table(self.model.name, facts)

    def preprocess(self, images: Any) -> np.ndarray:
        """Return images preprocessed for the model: (images, height, width, channels), float32.

        Args:
            images: Path of an image, uint8 array (height, width, channels) or (images, height,
                width, channels), or list of paths and arrays, which may differ in size.

        Raises:
            InputError: If an item of `images` is not an image, or an op rejects it.
        """
        return preprocess_images(images, self.rows, self.statistics, self.shape)

    def predict(self, images: Any, top: int = 5) -> list[Prediction]:
        """Return the `top` most likely classes of each image; `images` is as in `preprocess`."""
        if not is_whole(top, 1):
            raise InputError(f"top is {top!r}; expected a whole number of at least 1")
        given = listed(images)
        paths = [one for one in given if isinstance(one, Path)]
        if len(paths) == len(given):
            return list(self.answers(paths, top, _refuse))
        found: list[np.ndarray] = []
        for start in range(0, len(given), TOGETHER):
            found += list(self._step(self.preprocess(given[start : start + TOGETHER])).numpy())
        names = [str(x) if isinstance(x, Path) else str(number) for number, x in enumerate(given)]
        return [self._prediction(name, row, top) for name, row in zip(names, found, strict=True)]

    def answers(
        self, paths: Sequence[Path], top: int, on_fault: Callable[[str], object]
    ) -> Iterator[Prediction]:
        """Yield the predictions for image files in order, while the following files are read.

        `on_fault` is called with an error message for each file that cannot be used.
        """
        split = _split(paths, self.shape[-1])
        batches = readable_batches(split, self.rows, self.statistics, self.shape, TOGETHER)
        due = 0  # index of the next file

        def leave_out(stop: int) -> None:
            for path in paths[due:stop]:
                on_fault(self._fault(path))

        with own_limit(), out_of_memory("use smaller images"):
            for indices, images in batches:
                for index, row in zip(indices.numpy(), self._step(images).numpy(), strict=True):
                    leave_out(index)
                    yield self._prediction(split.name(index), row, top)
                    due = index + 1
            leave_out(len(paths))

    def model_with_preprocessing(
        self, batch_size: int | None = None, portable: bool = False
    ) -> keras.Model:
        """Return a model that maps raw uint8 images to probabilities, with shared weights.

        If an op resizes images, they may have any size, but all images of a batch must have the
        same size. If `batch_size` is 1, the graph contains no loop over images. If `portable` is
        True, the graph contains only operations that ONNX and LiteRT support.
        """
        return with_preprocessing(self.model, self.rows, self.statistics, batch_size, portable)

    @cached_property
    def _step(self) -> Callable[[Any], tf.Tensor]:
        spec = tf.TensorSpec((None, *self.shape), tf.float32)

        @tf.function(input_signature=[spec], jit_compile=False, autograph=False)
        def step(images: tf.Tensor) -> tf.Tensor:
            return tf.cast(self.model(images, training=False), tf.float32)

        return step

    def _prediction(self, image: str, probabilities: np.ndarray, top: int) -> Prediction:
        best = np.argsort(-probabilities, kind="stable")[:top]
        guesses = (Guess(self.classes[one], float(probabilities[one])) for one in best)
        return Prediction(image, tuple(guesses))

    def _fault(self, path: Path) -> str:
        """Return the reason why an image file was left out, as a line of text."""
        try:
            preprocess_image(0, path, self.rows, self.statistics, self.shape)
        except InputError as error:
            return str(error)
        return f"{path}: could not be read at first, but can be read now; try again"


def load_run(path: str | Path, precision: str | None = None) -> LoadedRun:
    """Load a finished run from its directory, which may have been moved. No dataset is needed.

    Args:
        path: Path of the run directory.
        precision: Keras dtype policy of the model; None for that of the recipe.

    Raises:
        InputError: If the directory contains no finished run, a file in it is damaged, or a newer
            version of the package wrote it.
    """
    directory = RunFiles(Path(path)).check_finished()
    model = main_output(trained_model(directory, precision))
    identity = directory.identity
    statistics = directory.statistics() or {}
    error = directory.result()["top1_error"]
    return LoadedRun(model, tuple(identity.classes), identity.eval_ops, statistics, error)


def load_net(
    name: str, weights: str | Path, preprocess: str | None = None, sha256: str | None = None
) -> LoadedRun:
    """Build a network with the classes of the given weights, published or in a file, and load them.

    Args:
        name: Name of the network.
        weights: Name of published weights, or path of a weight file, as in `build`.
        preprocess: "caffe", "tf" or "torch" as in `rows_of`; "none" for pixel values from 0 to
            255; None for the preprocessing with which the published weights were trained.
        sha256: SHA-256 that the file must have; None for any.

    Raises:
        InputError: If the network is unknown; if the weights cannot be read, do not fit or have no
            classifier; or if `preprocess` is None and the weights are not published ones.
    """
    try:
        built = build(name, weights=weights, sha256=sha256)
    except OtherClasses as error:
        if error.classes is None:
            raise InputError(
                f"{weights}: contains no classifier, which predictions need; pass a file with one"
            ) from error
        built = build(name, weights=weights, sha256=sha256, classes=error.classes)
    model = main_output(built)
    count, names = model.output.shape[-1], tuple(imagenet_names())
    if preprocess is not None:
        rows = rows_of(model.inputs[0].shape[1], None if preprocess == "none" else preprocess)
    elif source_of(built) is not None:
        rows = rows_for(built)
    else:
        raise InputError(
            f"{weights}: the preprocessing for this file is unknown; pass --preprocess "
            f"(preprocess in Python) with one of {', '.join(MODES)}, none"
        )
    return LoadedRun(
        model, names if count == len(names) else tuple(map(str, range(count))), rows, {}
    )


def trained_model(directory: RunFiles, precision: str | None = None) -> keras.Model:
    """Return the model of a finished run with its weights, by default in the run's precision."""
    recipe, weights = directory.recipe(), directory.weights()
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(precision or recipe.precision or "float32")
        model = build(recipe.net, **recipe.build.model_dump(exclude_none=True))
    finally:
        keras.config.set_dtype_policy(before)
    load_weights(model, weights)
    return model


def rows_of(side: int, preprocess: str | None) -> Rows:
    """Return ops that resize and crop images to `side` pixels, then apply a preprocessing mode.

    The modes are "caffe", "tf" and "torch", as in `keras.applications`; None applies no mode.
    """
    rows: list[dict[str, Any]] = [
        {"op": "resize_shorter", "size": side},
        {"op": "centre_crop", "size": side},
    ]
    return rows + ([{"op": "preprocess", "mode": preprocess}] if preprocess else [])


def _split(paths: Sequence[Path], channels: int) -> Split:
    return Split(np.zeros(len(paths), "int32"), None, Files(map(str, paths)), channels)


def _refuse(line: str) -> None:
    raise InputError(line)
