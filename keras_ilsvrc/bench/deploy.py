"""Benchmark of `deploy`: inference of a network against other runtimes, with the same threads."""

import importlib
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ilsvrc.bench.peers import PEERS
from keras_ilsvrc.bench.steps import OPTIONS, TRIALS, Work
from keras_ilsvrc.bench.timing import ENOUGH, Progress, quartiles, take_turns
from keras_ilsvrc.nets.build import build
from keras_ilsvrc.training.strategy import threads
from keras_ilsvrc.weights.deploy import deploy
from keras_ilsvrc.weights.export import INPUT, export

# torch's layouts, and whether the net is compiled.
FORMS = [(layout, c) for layout in ("contiguous_format", "channels_last") for c in (False, True)]


@dataclass(frozen=True)
class Inference:
    """Speed of one form of a network.

    Attributes:
        name: Package or form.
        seconds: Median time of one batch.
        images_per_second: Speed, from the median.
        ratio: Median over all rounds of the deployed network's speed divided by this speed.
        lower_quartile: Lower quartile of this ratio.
        upper_quartile: Upper quartile of this ratio.
    """

    name: str
    seconds: float
    images_per_second: float
    ratio: float
    lower_quartile: float
    upper_quartile: float


def measure(
    name: str,
    against: tuple[str, ...] = (),
    batch: int = 1,
    rounds: int = ENOUGH,
    progress: Progress = lambda what, share: None,
) -> list[Inference]:
    """Time inference of a deployed network, of the network itself, and of other packages.

    Args:
        name: Name of the network.
        against: Other runtimes: "onnxruntime" runs the file that `export` writes, and "torchvision"
            the same net of this package, in the fastest of its forms.
        batch: Number of random images that are computed together.
        rounds: Number of timed rounds, in each of which all take turns.
        progress: Callback; it gets the current activity as text and the completed fraction.
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
    for package in against:
        progress(f"building {name} of {package}", 0)
        form, works_of = PACKAGES[package](name, model, images)
        works[f"{package} {form}".strip()] = works_of
    times = take_turns(works, rounds, progress)
    return [_inference(form, own, times["deploy"], batch) for form, own in times.items()]


def set_vectors(model: keras.Model) -> None:
    """Set biases and the values of batch normalisation to random numbers between 0.5 and 1.5.

    Those of a new network are 0 and 1, so that runtimes would leave out the operations.
    """
    draw = np.random.default_rng(0).uniform
    for weight in model.weights:
        if len(weight.shape) == 1:
            weight.assign(draw(0.5, 1.5, weight.shape))


def _inference(name: str, times: list[float], deployed: list[float], batch: int) -> Inference:
    seconds = statistics.median(times)
    lower, median, upper = quartiles(x / own for x, own in zip(times, deployed, strict=True))
    return Inference(name, seconds, batch / seconds, median, lower, upper)


def _onnxruntime(name: str, model: keras.Model, images: np.ndarray) -> tuple[str, Work]:
    """Export the net to ONNX, and return a function that runs the file."""
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    # Otherwise its threads would be busy waiting during the turn of the others.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{name}.onnx")
        export(model, path, "onnx", [images], [np.asarray(model(images, training=False))])
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return "", lambda: session.run(None, {INPUT: images})


def _torchvision(name: str, model: keras.Model, images: np.ndarray) -> tuple[str, Work]:
    """Return the fastest of torch's layouts, each eager and compiled, and a function that runs it.

    A form that cannot be compiled, for example without a C++ compiler, is left out.
    """
    torch: Any = importlib.import_module("torch")
    models: Any = importlib.import_module("torchvision.models")
    torch.set_num_threads(threads())
    title = PEERS["torchvision"][name]
    works: dict[str, Work] = {}
    for layout, compiled in FORMS:
        form = {"memory_format": getattr(torch, layout)}
        net = getattr(models, title)(weights=None, **OPTIONS.get(title, {})).eval().to(**form)
        given = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(**form)
        work = _torch_work(torch, torch.compile(net) if compiled else net, given)
        try:
            work()
        except Exception:
            if not compiled:
                raise
        else:
            works[f"{layout}, {'compiled' if compiled else 'eager'}"] = work
    times = take_turns(works, TRIALS)
    best = min(works, key=lambda form: statistics.median(times[form]))
    return f"{title}, {best}", works[best]


def _torch_work(torch: Any, net: Callable[..., Any], images: Any) -> Work:
    def work() -> None:
        with torch.inference_mode():
            net(images)

    return work


PACKAGES = {"onnxruntime": _onnxruntime, "torchvision": _torchvision}
