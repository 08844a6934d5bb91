"""Images to train and test a detector, from the data set that its recipe names."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from keras_ilsvrc.data.annotated import Annotated, BoxSource
from keras_ilsvrc.data.annotations import BOX_SOURCES, open_boxes
from keras_ilsvrc.data.headers import Fault
from keras_ilsvrc.data.source import BadFile, Shares, refuse
from keras_ilsvrc.rcnn.proposals import check_stems
from keras_ilsvrc.rcnn.recipe import DetectionRecipe
from keras_ilsvrc.runs.evaluate import ELSEWHERE
from keras_ilsvrc.training.cluster import log_stderr
from keras_ilsvrc.utils.errors import InputError

MISSING = "set data.dataset to {}:PATH"


class Data(NamedTuple):
    """Images of a detector: the data set, and its splits for training and testing."""

    source: BoxSource
    train: tuple[Annotated, ...]
    test: tuple[Annotated, ...]


def open_data(
    recipe: DetectionRecipe,
    dataset: str | None = None,
    classes: Sequence[str] | None = None,
    missing: str = MISSING,
) -> Data:
    """Open the data set of a recipe, or another one with the same classes and splits.

    Args:
        recipe: Recipe of the detector.
        dataset: Data set to use instead of the recipe's; None for the recipe's.
        classes: Names of the classes of `dataset`; None for those of the recipe.
        missing: Advice at the end of the error message if the recipe's data set does not exist.

    Raises:
        InputError: If the data set cannot be opened, or if an image or a box is bad and the recipe
            does not skip bad ones.
    """
    table, faults = recipe.data, list[Fault]()
    skip = table.on_bad == "skip"
    shares = Shares(0.0, 0.0) if table.split is None else Shares(**table.split.model_dump())
    try:
        source = open_boxes(
            dataset or table.dataset,
            classes or table.classes,
            faults.append if skip else refuse,
            shares,
        )
    except BadFile as error:
        raise InputError(
            f"{error}; list all faults with `keras-ilsvrc data check {dataset or table.dataset}` "
            "and correct them, or set data.on_bad to 'skip'"
        ) from error
    except InputError as error:
        kind, _, at = table.dataset.partition(":")
        if not dataset and at and kind in BOX_SOURCES and not os.path.exists(at):
            raise InputError(f"{error}; {missing.format(kind)}") from error
        raise
    for line in (*source.notes, *map(str, faults)):
        log_stderr(line)
    data = Data(source, source.split(table.train), source.split(table.test))
    both = len({one.path for one in data.train} & {one.path for one in data.test})
    if both:
        log_stderr(
            f"{source.name}: {both:,} of {len(data.test):,} test images are also training images"
        )
    if recipe.proposals.file:
        check_stems(Path(recipe.proposals.file), data.train + data.test)
    return data


def open_again(recipe: DetectionRecipe, dataset: str | None, classes: Sequence[str]) -> Data:
    """Open the data set of a finished run, or `dataset` with its classes if it is given.

    Raises:
        InputError: As in `open_data`; if the data set was moved, the message says what to do.
    """
    return open_data(recipe, dataset, classes if dataset else None, ELSEWHERE.format("--data"))
