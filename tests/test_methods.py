"""Training, testing and visualising, as tests/paper/methods has them of the papers."""

import importlib
import inspect
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from papers import METHODS, differences, take

from keras_ilsvrc.evaluation import views
from keras_ilsvrc.evaluation.averages import MeanOverViews, ensemble
from keras_ilsvrc.evaluation.dense import fully_convolutional
from keras_ilsvrc.evaluation.protocols import passes_of, sides_of
from keras_ilsvrc.recipe.schema import Protocol
from keras_ilsvrc.runs.evaluate import _errors
from keras_ilsvrc.runs.update import OPTIMIZERS
from keras_ilsvrc.training import schedules
from keras_ilsvrc.training.losses import CrossEntropy
from keras_ilsvrc.visualize import correspondence, deconvnet, occlusion
from keras_ilsvrc.visualize.occlusion import _sizes
from keras_ilsvrc.visualize.rules import RULES, by_rule

pytestmark = pytest.mark.tensorflow
CONSTANTS, PROTOCOLS = METHODS["constants"], METHODS["protocols"]
TRAINING, LOOKING = METHODS["training"], METHODS["looking"]


def plain(value, digits=None):
    """Numbers and lists as TOML has them."""
    if isinstance(value, dict):
        return {key: plain(each, digits) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray | tf.Tensor):
        return [plain(each, digits) for each in np.asarray(value, object).tolist()]
    if isinstance(value, float) and digits is not None:
        return round(value, digits)
    return value


def check(*lines):
    """Fail with all lines of `differences`."""
    failures = [line for found in lines for line in found]
    assert not failures, "\n".join(failures)


def at(address):
    """The value of an address of constants.toml."""
    module, name, argument, key, attribute = re.fullmatch(
        r"([\w.]+):(\w+)(?:\((\w+)\))?(?:\[(.+)\])?(?:\.(\w+))?", address
    ).groups()
    value = getattr(importlib.import_module(f"keras_ilsvrc.{module}"), name)
    value = inspect.signature(value).parameters[argument].default if argument else value
    value = value[key] if key else value
    return plain(getattr(value, attribute) if attribute else value)


def test_constants_are_the_papers_or_marked_as_ours():
    check(*(differences(s, row, {x: at(x) for x in row}) for s, row in CONSTANTS.items()))


def test_no_constant_is_left_out():
    told = {re.match(r"[\w.:]+", address)[0] for row in CONSTANTS.values() for address in row}
    modules = {address.partition(":")[0] for address in told}
    numbers = {
        f"{name}:{key}"
        for name in modules
        for key, value in vars(importlib.import_module(f"keras_ilsvrc.{name}")).items()
        if key.isupper() and isinstance(value, int | float | np.ndarray)
    }
    assert numbers <= told


def test_protocols_are_the_papers():
    found = {
        name: {
            "scales": [[x or "S" for x in sides] for _, sides in sides_of(name, 256, 224)],
            "views": [each.number for each in passes_of(name)],
        }
        for name in Protocol.__args__
    }
    said = {name: dict(row) for name, row in PROTOCOLS["protocols"].items()}
    assert said.keys() == found.keys()
    sources = {name: f"{row.pop('source')} ({name})" for name, row in said.items()}
    check(*(differences(sources[name], said[name], found[name]) for name in said))


def test_views_lie_where_the_papers_say():
    for name, row in PROTOCOLS["places"].items():
        source, image, places, rows, columns = take(row, "source image", "places rows columns")
        places = places or [f"{y} {x} 224" for y in rows for x in columns]
        said = {name: [(x, flip) for flip in (False, True) for x in places]}
        seen = getattr(views, name)(*image, 224)
        found = {name: [(f"{x.top} {x.left} {x.height}", x.flip) for x in seen]}
        check(differences(source, said, found))


def test_averages_are_of_what_the_papers_average():
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
    for name, row in PROTOCOLS["averages"].items():
        check(
            differences(
                row["source"], {name: row["is"]}, {name: round(float(found[name][0, 0]), 4)}
            )
        )


def test_top_errors_count_the_papers_classes():
    said = dict(PROTOCOLS["top_errors"])
    source = said.pop("source")
    ranked = np.linspace(1, 0, 1000)[None].astype("float32")
    found = {
        key: {rank: _errors(ranked, np.array([int(rank) - 1])).get(f"{key}_error") for rank in row}
        for key, row in said.items()
    }
    check(differences(source, said, found))


def test_weights_move_as_in_the_papers():
    for source, row in TRAINING["weights"].items():
        optimizer, arguments, name, said = take(row, "optimizer arguments weight steps")
        weight, found = keras.Variable(1.0, name=name), []
        optimizer = OPTIMIZERS[optimizer](**arguments)
        for _ in said:
            optimizer.apply([tf.constant(1.0)], [weight])
            found.append(round(float(weight.value), 6))
        check(differences(source, {name: said}, {name: found}))


def test_rates_fall_as_in_the_papers():
    for source, row in TRAINING["rates"].items():
        name, arguments, said = take(row, "schedule arguments at")
        schedule = getattr(schedules, name)(*arguments)
        found = {step: round(float(schedule(step)), 6) for step, _ in said}
        check(differences(source, dict(said), found))


def test_losses_are_the_papers():
    for source, row in TRAINING["losses"].items():
        arguments, outputs, said = take(row, "arguments outputs is")
        outputs = {name: tf.constant([each]) for name, each in outputs.items()}
        loss, _ = CrossEntropy(**arguments)(outputs, tf.constant([0]))
        check(differences(source, {"loss": said}, {"loss": round(float(loss), 5)}))


def test_signals_pass_a_relu_by_the_rules_of_the_papers():
    row = dict(LOOKING["relu"])
    x, signal = (tf.constant(row.pop(key), tf.float32) for key in ("input", "signal"))
    assert row.keys() == RULES.keys()
    for name, rule in row.items():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = by_rule(layers.ReLU(), RULES[name])(x)
        source, passes = take(rule, "source passes")
        found = {name: plain(tape.gradient(y, x, signal).numpy())}
        check(differences(source, {name: passes}, found))


def test_projections_are_the_papers():
    for name, row in LOOKING["projection"].items():
        source, said, pixels, kernel, bias = take(row, "source is image", "kernel bias")
        image = keras.Input((*np.shape(pixels), 1))
        layer = layers.Conv2D(1, 2, activation="relu", name=name) if kernel else None
        layer = layer or layers.MaxPooling2D(name=name)
        model = keras.Model(image, layer(image))
        if kernel:
            layer.set_weights([np.array(kernel)[..., None, None], np.array([bias])])
        found = deconvnet(model, np.array(pixels, "float32")[..., None], name).images
        check(differences(source, {name: said}, {name: plain(found[0, ..., 0])}))


def test_occlusion_records_what_the_paper_does():
    said = dict(LOOKING["occlusion"])
    source, pixels = said.pop("source"), np.array(said.pop("image"), "float32")[..., None]
    image = keras.Input(pixels.shape)
    maps = layers.Conv2D(2, 1, activation="relu", name="maps")
    head = layers.Dense(2, "softmax")
    model = keras.Model(image, head(layers.GlobalAveragePooling2D()(maps(image))))
    maps.kernel.assign([[[[1.0, -1.0]]]])
    head.kernel.assign([[4.0, 0.0], [0.0, 0.0]])
    head.bias.assign([0.0, 6.5])
    seen = occlusion(model, pixels, square=1, stride=1)
    found = {key: plain(getattr(seen, key), 4) for key in said}
    check(differences(source, said, found))
    source, image, said = take(LOOKING["square"], "source image sizes")
    check(differences(source, {"sizes": said}, {"sizes": [*_sizes(*image, None, None)]}))


def test_correspondence_is_the_papers_distance():
    said = dict(LOOKING["correspondence"])
    source, changes = said.pop("source"), np.array(said.pop("changes"), "float32")
    image = keras.Input((1, 4, 1))
    model = keras.Model(image, layers.Flatten(name="features")(image))
    boxes = [[0, 0, 1, 4]] * len(changes)
    seen = correspondence(model, changes.reshape(-1, 1, 4, 1), boxes, "features")
    check(differences(source, said, {key: plain(getattr(seen, key), 4) for key in said}))
