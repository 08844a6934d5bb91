"""Use of trained networks without their data: class names, preprocessing and predictions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.data.apply import NO_SEED, apply_ops, image_at
from keras_ilsvrc.data.decode import own_limit
from keras_ilsvrc.data.imagenet_names import imagenet_names, readable
from keras_ilsvrc.data.pipeline import first_fault, naming_the_file, readable_batches
from keras_ilsvrc.data.preprocessing import Preprocessing
from keras_ilsvrc.data.split import Split
from keras_ilsvrc.data.stores import Files
from keras_ilsvrc.data.types import Rows
from keras_ilsvrc.errors import InputError, out_of_memory
from keras_ilsvrc.layers.arguments import is_whole
from keras_ilsvrc.layers.graph import output_of
from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.nets.loading import load_weights
from keras_ilsvrc.runs.reading import RunFiles

TOGETHER = 32  # images per step


class Guess(NamedTuple):
    """Possible class of an image: its name as trained, and its probability from 0 to 1."""

    name: str
    probability: float

    @property
    def readable(self) -> str:
        """Name for people, for example "tench" for `n01440764`."""
        return readable(self.name)

    @property
    def percent(self) -> str:
        """Probability in percent, for example "71.3 %"."""
        return f"{100 * self.probability:.1f} %"

    def __str__(self) -> str:
        return f"{self.readable} {self.percent}"


class Prediction(NamedTuple):
    """Most likely classes of an image, the most likely first.

    Attributes:
        image: Path of the image, or its number among the images given as arrays.
        guesses: Classes with their probabilities.
    """

    image: str
    guesses: tuple[Guess, ...]

    def __str__(self) -> str:
        return f"{self.image}: {', '.join(map(str, self.guesses))}"


@dataclass(frozen=True)
class LoadedRun:
    """Trained network with the names of its classes and its preprocessing.

    Attributes:
        model: Functional model from preprocessed images to probabilities.
        classes: Names of the classes, as trained.
        rows: Preprocessing ops of an image.
        statistics: Statistics of the training images that the ops need.
    """

    model: keras.Model
    classes: tuple[str, ...]
    rows: Rows
    statistics: Mapping[str, np.ndarray]

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels of a preprocessed image."""
        return tuple(self.model.inputs[0].shape[1:])

    @property
    def channels(self) -> int:
        """Number of channels of the images, 1 or 3."""
        return self.shape[-1]

    def preprocess(self, images: Any) -> np.ndarray:
        """Return images as the model takes them, (images, height, width, channels), float32.

        Args:
            images: Path of an image, a uint8 array (height, width, channels) or (images, height,
                width, channels), or a list of paths and arrays, which may differ in size.

        Raises:
            InputError: If a file is not an image, an array has another dtype or shape, or an op
                rejects an image.
        """
        made = [self._preprocessed(number, one) for number, one in enumerate(_listed(images))]
        return np.stack(made) if made else np.zeros((0, *self.shape), "float32")

    def predict(self, images: Any, top: int = 5) -> list[Prediction]:
        """Return the most likely classes of each image.

        Args:
            images: Images, as for `preprocess`.
            top: Maximum number of classes for each image.

        Raises:
            InputError: As `preprocess` does, or if `top` is less than 1.
        """
        if not is_whole(top, 1):
            raise InputError(f"top is {top!r}; expected a whole number of at least 1")
        listed = _listed(images)
        paths = [one for one in listed if isinstance(one, Path)]
        if len(paths) == len(listed):
            return list(self.answers(paths, top, refuse_line))
        found = []
        for start in range(0, len(listed), TOGETHER):
            some = listed[start : start + TOGETHER]
            rows = self._step(self.preprocess(some)).numpy()
            found += [self._prediction(str(start + n), row, top) for n, row in enumerate(rows)]
        return found

    def answers(
        self, paths: Sequence[Path], top: int, on_fault: Callable[[str], object]
    ) -> Iterator[Prediction]:
        """Yield the prediction of each image file in order, while the next files are read.

        Args:
            paths: Paths of the files.
            top: Maximum number of classes for each image.
            on_fault: Function called with a line about each file that cannot be used, which is
                left out.
        """
        names = np.array([str(path) for path in paths], object)
        split = Split(np.zeros(len(paths), "int32"), None, Files(names), self.channels)
        batches = readable_batches(split, self.rows, self.statistics, self.shape, TOGETHER)
        due = 0  # index of the next file

        def leave_out(stop: int) -> None:
            for index in range(due, stop):
                fault = first_fault(split, self.rows, self.statistics, [index])
                on_fault(fault or f"{split.name(index)}: {self._wanted}")

        with own_limit(), out_of_memory("use smaller images"):
            for indices, images in batches:
                for index, row in zip(indices.numpy(), self._step(images).numpy(), strict=True):
                    leave_out(index)
                    yield self._prediction(split.name(index), row, top)
                    due = index + 1
            leave_out(len(paths))

    def model_with_preprocessing(self, batch_size: int | None = None) -> keras.Model:
        """Return a model from raw uint8 images to probabilities, which shares the weights.

        It takes images of any size that the ops accept. Within a batch, all have the same size.

        Args:
            batch_size: Number of images in a batch, if fixed. The graph for 1 has no loop.
        """
        raw = keras.Input((None, None, self.channels), batch_size, dtype="uint8", name="image")
        made = Preprocessing(self.rows, self.statistics, name="preprocessing")(raw)
        if None in made.shape[1:]:  # no op sets the size, so the images must have it
            raw = keras.Input(self.shape, batch_size, "uint8", name="image")
            made = Preprocessing(self.rows, self.statistics, name="preprocessing")(raw)
        return keras.Model(raw, self.model(made), name=self.model.name)

    @cached_property
    def _step(self) -> Callable[[Any], tf.Tensor]:
        shape = tf.TensorSpec((None, *self.shape), tf.float32)

        @tf.function(input_signature=[shape], jit_compile=False, autograph=False)
        def step(images: tf.Tensor) -> tf.Tensor:
            return tf.cast(self.model(images, training=False), tf.float32)

        return step

    def _prediction(self, image: str, probabilities: np.ndarray, top: int) -> Prediction:
        best = np.argsort(-probabilities, kind="stable")[:top]
        guesses = tuple(Guess(self.classes[one], float(probabilities[one])) for one in best)
        return Prediction(image, guesses)

    def _preprocessed(self, number: int, image: Path | np.ndarray) -> np.ndarray:
        if isinstance(image, Path):
            files = Files(np.array([str(image)], object))
            split = Split(np.zeros(1, "int32"), None, files, self.channels)
            with naming_the_file(split, self.rows, self.statistics):
                made = image_at(split, 0, self.rows, NO_SEED, self.statistics)
        else:
            made = apply_ops(
                _with_channels(number, image, self.channels), self.rows, NO_SEED, self.statistics
            )
        if tuple(made.shape) != self.shape:
            named = str(image) if isinstance(image, Path) else f"images[{number}]"
            raise InputError(f"{named}: {self._wanted}")
        return np.asarray(made, "float32")

    @property
    def _wanted(self) -> str:
        size = "x".join(map(str, self.shape[:2]))
        return f"no op makes it {size} pixels, which the net takes; resize it"


def load_run(path: str | Path) -> LoadedRun:
    """Load a finished run for use. Only the run's own directory is read, never its data set.

    Args:
        path: Path of the run directory, wherever it is now.

    Raises:
        InputError: If the directory contains no finished run, a file in it is damaged, or a newer
            version of the package wrote it.
    """
    directory = RunFiles(Path(path)).check_finished()
    model, identity = _with_one_output(trained_model(directory)), directory.identity
    return LoadedRun(
        model, tuple(identity.classes), identity.eval_ops, directory.statistics() or {}
    )


def load_net(name: str, weights: str | Path, preprocess: str | None) -> LoadedRun:
    """Load a network of the registry with weights from a file. Images are resized and cropped.

    Args:
        name: Name of the network, as for `build`.
        weights: Path of a `.weights.h5` file.
        preprocess: "caffe", "tf" or "torch", as in `keras.applications`; None if the weights
            expect pixel values of 0 to 255.

    Raises:
        InputError: If the network is unknown, or the weights cannot be read or do not fit.
    """
    model = _with_one_output(build(name, weights=str(weights)))
    count = info(name).classes
    names = tuple(imagenet_names())
    classes = names if count == len(names) else tuple(map(str, range(count)))
    return LoadedRun(model, classes, rows_of(model.inputs[0].shape[1], preprocess), {})


def trained_model(directory: RunFiles) -> keras.Model:
    """Return the model of a finished run with its trained weights."""
    recipe, weights = directory.recipe(), directory.weights()
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(recipe.precision or "float32")
        model = build(recipe.net, **recipe.build.model_dump(exclude_none=True))
    finally:
        keras.config.set_dtype_policy(before)
    load_weights(model, weights)
    return model


def rows_of(side: int, preprocess: str | None) -> Rows:
    """Return the ops that resize and crop an image to a square and preprocess it in a mode."""
    rows: list[dict[str, Any]] = [
        {"op": "resize_shorter", "size": side},
        {"op": "centre_crop", "size": side},
    ]
    return rows + ([{"op": "preprocess", "mode": preprocess}] if preprocess else [])


def refuse_line(line: str) -> None:
    """Raise an InputError with the line."""
    raise InputError(line)


def _with_one_output(model: keras.Model) -> keras.Model:
    outputs = output_of(model)
    if not isinstance(outputs, dict):
        return model
    return keras.Model(model.input, outputs["predictions"], name=model.name)


def _listed(images: Any) -> list[Path | np.ndarray]:
    """Return paths and arrays of single images as a list."""
    if isinstance(images, (str, Path)):
        return [Path(images)]
    if isinstance(images, np.ndarray) and images.ndim < 4:
        images = [images]
    if not isinstance(images, (Sequence, np.ndarray)):
        raise InputError(
            f"images is a {type(images).__name__}; expected a path, a uint8 array or a list of them"
        )
    return [Path(one) if isinstance(one, (str, Path)) else np.asarray(one) for one in images]


def _with_channels(number: int, image: np.ndarray, channels: int) -> np.ndarray:
    """Return a raw image with the channels of the model. Grey images also become RGB."""
    image = image[..., None] if image.ndim == 2 else image
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] not in (1, channels):
        shape = "x".join(map(str, image.shape))
        raise InputError(
            f"images[{number}] is {shape} of {image.dtype}; expected height x width x {channels} "
            "of uint8, not preprocessed"
        )
    return np.repeat(image, channels, -1) if image.shape[-1] < channels else image
