"""Training and testing of a detector, with all results in a run directory."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_ilsvrc.data.annotated import Annotated
from keras_ilsvrc.rcnn.data import Data, open_again, open_data
from keras_ilsvrc.rcnn.detector import (
    Detections,
    Detector,
    check_counts,
    detect_all,
    train_detector,
)
from keras_ilsvrc.rcnn.evaluate import scores_of
from keras_ilsvrc.rcnn.features import Extractor, Hog, NetFeatures
from keras_ilsvrc.rcnn.files import DetectorDirectory, DetectorFiles, identity_of
from keras_ilsvrc.rcnn.fine_tuning import Crops, fine_tune, windows
from keras_ilsvrc.rcnn.network import Network, network, rebuilt
from keras_ilsvrc.rcnn.proposals import Proposer, recall
from keras_ilsvrc.rcnn.recipe import HOG, DetectionRecipe
from keras_ilsvrc.rcnn.regions import Check, Finder, Places, Regions
from keras_ilsvrc.runs.fit import write_weights
from keras_ilsvrc.runs.reading import DETECTOR, WEIGHTS
from keras_ilsvrc.runs.train import ending
from keras_ilsvrc.training.cluster import log_stderr
from keras_ilsvrc.training.stopping import StopRequest
from keras_ilsvrc.training.strategy import mirrored
from keras_ilsvrc.utils.files import whole


class Tested(NamedTuple):
    """Detections of a detector in its test images, and their average precision.

    Attributes:
        found: Detections: key False for boxes as proposed, True for boxes moved by the regressors.
        result: Entries of `result.json` about the test.
    """

    found: dict[bool, list[Detections]]
    result: dict[str, Any]

    @property
    def best(self) -> list[Detections]:
        """Detections of the finished detector. Their boxes are moved if it has regressors."""
        return self.found[max(self.found)]


def train(
    recipe: DetectionRecipe,
    directory: DetectorDirectory,
    places: Places,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Train and test a detector.

    If training was stopped, it can be resumed: proposals and features are read from the caches, and
    fine-tuning continues from its last checkpoint.

    Args:
        recipe: Settings.
        directory: Directory of the run.
        places: Folders of the caches.
        overrides: Changes that were made to the recipe, which are recorded in `result.json`.

    Returns:
        The content of `result.json`.

    Raises:
        InputError: If a name in the recipe is unknown, the data set does not fit, or a class has no
            object to train on.
        Stopped: If SIGTERM, SIGHUP or SIGINT is received.
    """
    started, data = time.perf_counter(), open_data(recipe)
    check_counts(data.source.counts(data.train))
    with directory, StopRequest() as stop, ExitStack() as block:
        net: Network | None = None
        extractor: Extractor | None = None
        if recipe.features.net != HOG:
            block.enter_context(mirrored(1).scope())
            count = 1 + len(data.source.classes) if recipe.fine_tuning else None
            net = network(recipe.features, recipe.layers, count)
        else:
            extractor = Hog()
        splits = {"train": data.train, "test": data.test}
        identity = identity_of(recipe, data.source, splits, net.rows if net else ())
        for line in directory.begin(identity):
            log_stderr(line)
        if net:
            directory.keep_statistics(net.statistics)
            extractor = _tuned(recipe, directory, places, data, net, stop)
        assert extractor is not None
        finder = Finder(proposer_of(recipe), extractor, recipe.features, places, stop.check)
        detector = train_detector(
            recipe,
            data.source.classes,
            _passes(finder, data.train, recipe.seed),
            net.classes if net else None,
        )
        directory.write(DETECTOR, detector.save())
        tested = detect_in(recipe, detector, finder, data)
        directory.write_detections(data.test, tested.best, data.source.classes)
        seconds = {"seconds": round(time.perf_counter() - started, 1)}
        result = tested.result | seconds | ending(overrides)
        directory.finish(result)
    return result


def _tuned(
    recipe: DetectionRecipe,
    directory: DetectorDirectory,
    places: Places,
    data: Data,
    net: Network,
    stop: StopRequest,
) -> Extractor:
    """Fine-tune the network if its recipe says so, write the weights, and return its features."""
    table = recipe.fine_tuning
    if table:
        finder = Finder(proposer_of(recipe), None, recipe.features, places, stop.check)
        every = windows(data.train, finder.proposals(data.train), table.positive_overlap)
        crops = Crops(data.train, every, recipe)
        fine_tune(net.model, net.rows, net.statistics, crops, directory, stop)
    with whole(directory.path / WEIGHTS) as part:
        write_weights(net.model, part)
    return NetFeatures(net.model, recipe.layers, net.rows, net.statistics)


def proposer_of(recipe: DetectionRecipe) -> Proposer:
    """Return the source of proposals that a recipe describes."""
    table = recipe.proposals
    file = Path(table.file) if table.file else None
    return Proposer(file, table.width, table.most, recipe.seed)


def _passes(finder: Finder, images: Sequence[Annotated], seed: int) -> Iterator[Iterable[Regions]]:
    """Yield the regions of the training images twice, in the same random order."""
    order = np.random.default_rng(seed).permutation(len(images))
    shuffled = [images[index] for index in order]
    proposals = finder.proposals(shuffled)
    if without := sum(not len(boxes) for boxes in proposals):
        log_stderr(f"{without:,} of {len(images):,} training images have no proposals")
    for label in ("features", "hard negatives"):
        yield finder.regions(shuffled, proposals, True, label)


def detect_in(recipe: DetectionRecipe, detector: Detector, finder: Finder, data: Data) -> Tested:
    """Detect objects in the test images; return the detections and their average precision."""
    classes, images = data.source.classes, data.test
    proposals = finder.proposals(images)
    regions = finder.regions(images, proposals, False, "testing")
    found = detect_all(detector, regions, recipe.detection)
    share = recall(proposals, images)
    scores = {move: scores_of(classes, images, each).model_dump() for move, each in found.items()}
    objects = {
        name: sum(int(np.sum((one.labels == label) & ~one.ignored)) for one in images)
        for label, name in enumerate(classes)
    }
    return Tested(
        found,
        {
            "net": recipe.features.net,
            "layer": detector.layers[0],
            "scores": scores[max(scores)],
            "unmoved": scores[False] if len(scores) > 1 else None,
            "recall": None if np.isnan(share) else round(100 * share, 4),
            "proposals": round(float(np.mean([len(x) for x in proposals])), 1),
            "images": len(images),
            "objects": objects,
            "expected": recipe.expect and recipe.expect.model_dump(exclude_none=True),
        },
    )


class Restored(NamedTuple):
    """Finished detector, restored from its run directory.

    Attributes:
        recipe: Recipe of the detector.
        detector: SVMs and regressors.
        extractor: Function that returns the features of crops.
        classes: Names of the classes.
    """

    recipe: DetectionRecipe
    detector: Detector
    extractor: Extractor
    classes: tuple[str, ...]

    def finder(self, places: Places, check: Check = lambda: None) -> Finder:
        """Return the source of the regions of images."""
        table = self.recipe.features
        return Finder(proposer_of(self.recipe), self.extractor, table, places, check)


def restore(path: Path) -> Restored:
    """Restore the detector of a finished run. Only the directory of the run is needed.

    Raises:
        InputError: If the directory contains no finished run of a detector, or a file is damaged.
    """
    run = DetectorFiles(path).check_finished()
    recipe, detector = run.recipe(), run.detector()
    classes = tuple(run.identity.classes)
    if recipe.features.net == HOG:
        return Restored(recipe, detector, Hog(), classes)
    model = rebuilt(recipe.features, detector.net_classes, run.weights())
    rows, statistics = run.identity.eval_ops, run.statistics() or {}
    return Restored(recipe, detector, NetFeatures(model, recipe.layers, rows, statistics), classes)


def evaluate(
    path: Path, places: Places, dataset: str | None = None, check: Check = lambda: None
) -> Tested:
    """Test the detector of a finished run again.

    Args:
        path: Directory of the run.
        places: Folders of the caches.
        dataset: Data set to use instead of the recipe's, with the same classes.
        check: Function called before each image.

    Raises:
        InputError: If the run is not finished, or if the classes or images have changed.
    """
    run, restored = DetectorFiles(path), restore(path)
    data = open_again(restored.recipe, dataset, run.identity.classes)
    for line in run.check_data(data.source, data.test, dataset is not None):
        log_stderr(line)
    return detect_in(restored.recipe, restored.detector, restored.finder(places, check), data)
