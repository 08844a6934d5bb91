"""Tests of training, testing and visualising: compared with tests/paper/methods."""

import importlib
import inspect
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from methods import METHODS, differences, take

from keras_ilsvrc.evaluation import views
from keras_ilsvrc.evaluation.averages import MeanOverViews, ensemble
from keras_ilsvrc.evaluation.dense import fully_convolutional
from keras_ilsvrc.evaluation.protocols import PROTOCOLS, sides_of
from keras_ilsvrc.runs.evaluate import _errors
from keras_ilsvrc.runs.update import LOSSES, OPTIMIZERS
from keras_ilsvrc.training import schedules
from keras_ilsvrc.visualize import correspondence, deconvnet, occlusion
from keras_ilsvrc.visualize.occlusion import _sizes
from keras_ilsvrc.visualize.rules import RULES, by_rule

pytestmark = pytest.mark.tensorflow
CONSTANTS, TESTING, TRAINING, LOOKING, *_ = take(
    METHODS, "constants protocols training looking recipes detection"
)
take(TESTING, "protocols places averages top_errors")
take(TRAINING, "weights rates losses")
take(LOOKING, "relu projection occlusion square correspondence")


def plain(value, digits=9):
    """Rounded numbers and lists, as TOML has them."""
    if isinstance(value, dict):
        return {key: plain(each, digits) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(each, digits) for each in np.asarray(value, object).tolist()]
    return round(value, digits) if isinstance(value, float) else value


def at(address):
    """The value of an address of constants.toml."""
    module, name, argument, key, attribute = re.fullmatch(
        r"([\w.]+):(\w+)(?:\((\w+)\))?(?:\[(.+)\])?(?:\.(\w+))?", address
    ).groups()
    value = getattr(importlib.import_module(f"keras_ilsvrc.{module}"), name)
    value = inspect.signature(value).parameters[argument].default if argument else value
    value = value[key] if key else value
    return plain(getattr(value, attribute) if attribute else value)


# Each function yields sources, what they say and what the package does, by the same keys.


def constants():
    for source, row in CONSTANTS.items():
        yield source, row, {address: at(address) for address in row}


def protocols():
    """Every protocol: its passes, and the views of each at one scale."""
    assert not TESTING["protocols"].keys() ^ PROTOCOLS.keys()
    for name, row in TESTING["protocols"].items():
        source, scales, number = take(row, "source scales views")
        said = {f"{name}: scales": scales, f"{name}: views": number}
        sides = [[x or "S" for x in sides] for _, sides in sides_of(name, 256, 224)]
        yield source, said, dict(zip(said, (sides, [each.number for each in PROTOCOLS[name]])))


def places():
    for name, row in TESTING["places"].items():
        source, image, listed, rows, columns = take(row, "source image", "places rows columns")
        listed = listed or [f"{y} {x} 224" for y in rows for x in columns]
        said = {name: [(x, flip) for flip in (False, True) for x in listed]}
        seen = getattr(views, name)(*image, 224)
        yield source, said, {name: [(f"{x.top} {x.left} {x.height}", x.flip) for x in seen]}


def averages():
    """Averages of two windows of a pixel, by a net whose first score is the pixel."""
    image = keras.Input((1, 1, 1))
    head = layers.Dense(2, "softmax")
    model = keras.Model(image, head(layers.Flatten()(image)))
    head.kernel.assign([[1.0, 0.0]])
    windows = np.array([[[[0.0]]], [[[2.0]]]])
    found = {
        "dense": fully_convolutional(model)(windows.reshape(1, 2, 1, 1)),
        "views": MeanOverViews(model)(windows[None]),
        "scales": ensemble(np.asarray(model(x[None])) for x in windows),
    }
    for name, row in TESTING["averages"].items():
        source, said = take(row, "source is")
        yield source, {name: said}, {name: round(float(found[name][0, 0]), 4)}


def top_errors():
    source, *said = take(TESTING["top_errors"], "source top1_error top5_error")
    ranked = np.linspace(1, 0, 1000)[None].astype("float32")
    for key, row in zip(("top1_error", "top5_error"), said):
        found = {x: _errors(ranked, np.array([int(x) - 1])).get(key) for x in row}
        yield source, {key: row}, {key: found}


def weights():
    for source, row in TRAINING["weights"].items():
        optimizer, arguments, name, said = take(row, "optimizer arguments weight steps")
        weight, found = keras.Variable(1.0, name=name), []
        optimizer = OPTIMIZERS[optimizer](**arguments)
        for _ in said:
            optimizer.apply([tf.constant(1.0)], [weight])
            found.append(round(float(weight.value), 6))
        yield source, {name: said}, {name: found}


def rates():
    for source, row in TRAINING["rates"].items():
        name, arguments, said = take(row, "schedule arguments at")
        schedule = getattr(schedules, name)(*arguments)
        yield source, {name: said}, {name: [[x, round(float(schedule(x)), 6)] for x, _ in said]}


def losses():
    for source, row in TRAINING["losses"].items():
        name, arguments, outputs, said = take(row, "loss arguments outputs is")
        outputs = {key: tf.constant([each]) for key, each in outputs.items()}
        loss, _ = LOSSES[name](**arguments)(outputs, tf.constant([0]))
        yield source, {"loss": said}, {"loss": round(float(loss), 5)}


def relu():
    x, signal, *rules = take(LOOKING["relu"], f"input signal {' '.join(RULES)}")
    x, signal = tf.constant(x, tf.float32), tf.constant(signal, tf.float32)
    for name, row in zip(RULES, rules):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = by_rule(layers.ReLU(), RULES[name])(x)
        source, said = take(row, "source passes")
        yield source, {name: said}, {name: plain(tape.gradient(y, x, signal).numpy())}


def projections():
    for name, row in LOOKING["projection"].items():
        source, said, pixels, kernel, bias = take(row, "source is image", "kernel bias")
        image = keras.Input((*np.shape(pixels), 1))
        layer = layers.Conv2D(1, 2, activation="relu", name=name) if kernel else None
        layer = layer or layers.MaxPooling2D(name=name)
        model = keras.Model(image, layer(image))
        if kernel:
            layer.set_weights([np.array(kernel)[..., None, None], np.array([bias])])
        found = deconvnet(model, np.array(pixels, "float32")[..., None], name).images
        yield source, {name: said}, {name: plain(found[0, ..., 0])}


def occlusions():
    said = dict(LOOKING["occlusion"])
    source, pixels = said.pop("source"), np.array(said.pop("image"), "float32")[..., None]
    image = keras.Input(pixels.shape)
    maps, head = layers.Conv2D(2, 1, activation="relu"), layers.Dense(2, "softmax")
    model = keras.Model(image, head(layers.GlobalAveragePooling2D()(maps(image))))
    maps.kernel.assign([[[[1.0, -1.0]]]])
    head.kernel.assign([[4.0, 0.0], [0.0, 0.0]])
    head.bias.assign([0.0, 6.5])
    seen = occlusion(model, pixels, square=1, stride=1)
    yield source, said, {key: plain(getattr(seen, key), 4) for key in said}
    source, image, sizes = take(LOOKING["square"], "source image sizes")
    yield source, {"sizes": sizes}, {"sizes": [*_sizes(*image, None, None)]}


def correspondences():
    said = dict(LOOKING["correspondence"])
    source, changes = said.pop("source"), np.array(said.pop("changes"), "float32")
    image = keras.Input((1, 4, 1))
    model = keras.Model(image, layers.Flatten(name="features")(image))
    boxes = [[0, 0, 1, 4]] * len(changes)
    seen = correspondence(model, changes.reshape(-1, 1, 4, 1), boxes, "features")
    yield source, said, {key: plain(getattr(seen, key), 4) for key in said}


KINDS = (constants, protocols, places, averages, top_errors, weights, rates, losses)
KINDS += (relu, projections, occlusions, correspondences)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_papers_say_is_done_and_the_rest_marked_as_ours(kind):
    failures = [line for compared in kind() for line in differences(*compared)]
    assert not failures, "\n".join(failures)


def test_no_constant_is_left_out():
    told = {re.match(r"[\w.:]+", address)[0] for row in CONSTANTS.values() for address in row}
    modules = {address.partition(":")[0] for address in told}
    numbers = {
        f"{name}:{key}"
        for name in modules
        for key, value in vars(importlib.import_module(f"keras_ilsvrc.{name}")).items()
        if key.isupper() and isinstance(value, int | float | np.ndarray)
    }
    assert not numbers - told
