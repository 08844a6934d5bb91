"""Benchmark of deployed networks against other runtimes with the same number of threads."""

import importlib
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.bench.peers import Case
from keras_ilsvrc.bench.steps import Work, torchvision_step
from keras_ilsvrc.bench.timing import ENOUGH, Progress, quartiles, take_turns
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.training.strategy import threads
from keras_ilsvrc.weights.deploy import deploy
from keras_ilsvrc.weights.export import INPUT, export

# Pause in seconds after each turn. The threads of torch and ONNX Runtime keep spinning for a while
# after their work, which would slow down the next turn.
REST = 0.03


@dataclass(frozen=True)
class Inference:
    """Speed of one form of a network.

    `ratio` is the speed of the deployed form, divided by the speed of this form.
    """

    form: str
    seconds: float
    images_per_second: float
    ratio: float
    lower_quartile: float
    upper_quartile: float


def measure(
    name: str,
    against: str | None = None,
    batch: int = 1,
    rounds: int = ENOUGH,
    progress: Progress = lambda what, share: None,
) -> list[Inference]:
    """Time a network in deployed form, in plain form and in another runtime, on random images.

    Args:
        name: Name of the network.
        against: "onnxruntime" for the file that `export` writes, or "torchvision" for
            torchvision's net; None for neither.
        batch: Number of images per batch.
        rounds: Number of timed rounds.
        progress: Callback that gets the current activity as text and the completed fraction.
    """
    progress(f"building {name}", 0)
    model = build(name)
    set_vectors(model)
    images = np.random.default_rng(0).normal(size=(batch, *model.input_shape[1:]))
    images = images.astype("float32")
    deployed, plain = deploy(model), tf.function(model, autograph=False, jit_compile=False)
    works: dict[str, Work] = {
        "deploy": lambda: deployed(images),
        "model": lambda: plain(images, training=False).numpy(),
    }
    if against == "onnxruntime":
        works[against] = _onnxruntime(model, images)
    elif against:
        case = Case(name, against, inference=True, batch=batch)
        form, work = torchvision_step(case, model.input_shape[1:])
        works[f"{against} {case.title}, {form}"] = work
    rests = {f"{form}, rest": lambda: time.sleep(REST) for form in works}
    turns = [turn for pair in zip(works.items(), rests.items(), strict=True) for turn in pair]
    times = take_turns(dict(turns), rounds, progress)
    return [_inference(form, times[form], times["deploy"], batch) for form in works]


def set_vectors(model: keras.Model) -> None:
    """Set biases and the weights of batch normalisation to random numbers between 0.5 and 1.5.

    In a new network they are 0 or 1, so that a runtime could skip their operations.
    """
    draw = np.random.default_rng(0).uniform
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(draw(0.5, 1.5, weight.shape))


def _inference(form: str, times: list[float], deployed: list[float], batch: int) -> Inference:
    seconds = statistics.median(times)
    lower, median, upper = quartiles(x / own for x, own in zip(times, deployed, strict=True))
    return Inference(form, seconds, batch / seconds, median, lower, upper)


def _onnxruntime(model: keras.Model, images: np.ndarray) -> Work:
    """Export a model to ONNX, and return a function that runs the file in ONNX Runtime."""
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.onnx")
        export(model, path, "onnx", [images], [np.asarray(model(images, training=False))])
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {INPUT: images})
