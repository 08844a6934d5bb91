"""Preprocessing and class names for published weights and for models that were built with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keras_ilsvrc.data.imagenet_names import imagenet_names
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.weights.sources.source import Source

if TYPE_CHECKING:
    import keras
    import numpy as np

    from keras_ilsvrc.data.types import Rows

_ATTRIBUTE = "_published_weights"  # neither tracked nor saved by Keras, and not copied to clones
# Ops whose size is scaled if the model has another input size than the published network.
_SIZED = ("resize", "resize_shorter", "centre_crop")


@dataclass(frozen=True)
class Origin:
    """Record of where the weights of a model come from.

    Attributes:
        source: Published weights; None if the weights come from no published source.
        preprocessed: Whether the model itself preprocesses raw images.
    """

    source: Source | None
    preprocessed: bool = False


def remember(model: "keras.Model", source: Source | None, preprocessed: bool = False) -> None:
    """Record in a model where its weights come from. Copies and saved models lack the record."""
    setattr(model, _ATTRIBUTE, Origin(source, preprocessed))


def origin_of(model: "keras.Model") -> Origin:
    """Return a model's record of where its weights come from, or an empty record."""
    return getattr(model, _ATTRIBUTE, Origin(None))


def source_of(model: "keras.Model") -> Source | None:
    """Return the published weights with which a model was built, or None."""
    return origin_of(model).source


def rows_for(model: "keras.Model") -> "Rows":
    """Return the preprocessing ops of a model's weights, with sizes scaled to the model's input.

    Raises:
        InputError: If the model was not built with weights whose preprocessing is known.
    """
    source = source_of(model)
    if source is None or not source.preprocessing:
        known = "published weights" if source is None else "weights whose preprocessing is known"
        raise InputError(
            f"{model.name}: the preprocessing is not known, because the model was not built with "
            f"{known}; pass such weights to build, or preprocess the images as in training"
        )
    from keras_ilsvrc.data.apply import needed

    for row in source.preprocessing:
        if needed(row):
            raise InputError(
                f"{model.name}: the {source.name} weights need the op {row['op']} with statistics "
                f"of the training images, which were not published; apply {row['op']} with "
                "statistics of your own images, for example in a recipe"
            )
    sizes = [row["size"] for row in source.preprocessing if row["op"] in _SIZED]
    side = model.inputs[0].shape[1]
    if not sizes or side in (None, sizes[-1]):
        return source.preprocessing
    return [
        {**row, "size": round(row["size"] * side / sizes[-1])} if row["op"] in _SIZED else row
        for row in source.preprocessing
    ]


def preprocess(images: Any, model: "keras.Model") -> "np.ndarray":
    """Preprocess images as the weights of a model require.

    The sizes for resizing and cropping are scaled if the input of the model has another size than
    that of the published network.

    Args:
        images: Path of an image, uint8 array (height, width, channels) or (images, height,
            width, channels), or list of paths and arrays, which may differ in size.
        model: Model that was built with `build(..., weights=...)`.

    Returns:
        Array (images, height, width, channels), float32.

    Raises:
        InputError: If the preprocessing of the model is not known, if the model preprocesses images
            itself, or if something in `images` is not an image.
    """
    if origin_of(model).preprocessed:
        raise InputError(f"{model.name} preprocesses images itself; call it on raw uint8 images")
    rows = rows_for(model)
    from keras_ilsvrc.data.images import preprocess_images

    return preprocess_images(images, rows, {}, model.inputs[0].shape[1:])


def with_preprocessing(model: "keras.Model") -> "keras.Model":
    """Return a model that takes raw uint8 images and preprocesses them as its weights require.

    Raises:
        InputError: If the preprocessing of the model is not known.
    """
    rows = rows_for(model)
    from keras_ilsvrc.data import preprocessing

    made = preprocessing.with_preprocessing(model, rows, {})
    remember(made, source_of(model), preprocessed=True)
    return made


def decode_predictions(
    probabilities: "np.ndarray | Sequence[Sequence[float]]", top: int = 5
) -> list[list[tuple[str, str, float]]]:
    """Return the most likely ImageNet classes of each image: (synset, English name, probability).

    Args:
        probabilities: Array (images, 1000), whose classes are in the usual order, by synset.
        top: Number of classes per image.

    Raises:
        InputError: If the array has another shape, or `top` is not a whole number from 1 to 1,000.
    """
    import numpy as np

    names = list(imagenet_names().items())
    values = np.asarray(probabilities)
    if values.ndim != 2 or values.shape[1] != len(names):
        raise InputError(
            f"probabilities has shape {values.shape}; expected (images, {len(names)}), one column "
            "for each ImageNet class"
        )
    if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= len(names):
        raise InputError(f"top is {top!r}; expected a whole number from 1 to {len(names)}")
    best = np.argsort(-values, axis=1, kind="stable")[:, :top]
    return [
        [(*names[index], float(row[index])) for index in order]
        for row, order in zip(values, best, strict=True)
    ]
