"""Functions that run one training or inference step of a net on random images."""

import importlib
import statistics
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_ilsvrc.bench.timing import take_turns
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.training.strategy import threads

RATE = 1e-4  # learning rate; low, so that weights hardly change
TRIALS = 3  # number of timed rounds that decide whether a torch net runs eager or compiled
# Build torchvision's nets without auxiliary classifiers, as our nets are built here. Skip
# torchvision's initialization, which takes minutes and does not change the time of a step.
PLAIN = {"aux_logits": False, "init_weights": False}
OPTIONS = {"googlenet": PLAIN, "inception_v3": PLAIN}
Work = Callable[[], object]


def keras_step(model: keras.Model, batch: int, inference: bool, jit: bool) -> Work:
    """Return a function that runs one SGD training step, or one forward pass, as one graph."""
    images = tf.random.stateless_normal((batch, *model.input_shape[1:]), seed=(0, 0))
    labels = tf.zeros(batch, "int32")
    entropy = keras.losses.sparse_categorical_crossentropy
    optimizer = keras.optimizers.SGD(RATE)
    optimizer.build(model.trainable_variables)

    @tf.function(jit_compile=jit)
    def train(images: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape, tf.name_scope("forward"):
            # A net with auxiliary classifiers has several outputs, each with a loss.
            outputs = tf.nest.flatten(model(images, training=True))
            loss = tf.add_n([tf.reduce_mean(entropy(labels, x)) for x in outputs])
        weights = model.trainable_weights
        with tf.name_scope("backward"):
            gradients = tape.gradient(loss, weights)
        with tf.name_scope("optimizer"):
            optimizer.apply(gradients, weights)
        return loss

    @tf.function(jit_compile=jit)
    def look(images: tf.Tensor) -> tf.Tensor:
        return model(images, training=False)

    def work() -> None:
        (look if inference else train)(images)
        tf.test.experimental.sync_devices()

    return work


def torchvision_step(
    title: str, shape: tuple[int, int, int], batch: int, inference: bool
) -> tuple[str, Work]:
    """Return (description, function) for a step of a torchvision net. The function runs the step.

    The step is eager or compiled, whichever is faster. Images and weights are channels-last.
    """
    torch: Any = importlib.import_module("torch")
    models: Any = importlib.import_module("torchvision.models")
    gpu = bool(tf.config.list_physical_devices("GPU"))
    if gpu and not torch.cuda.is_available():
        raise InputError(
            "TensorFlow sees a GPU, but torch does not; to compare them on the CPU, set "
            "CUDA_VISIBLE_DEVICES=-1"
        )
    torch.set_num_threads(threads())
    last = {"device": "cuda" if gpu else "cpu", "memory_format": torch.channels_last}
    model = getattr(models, title)(weights=None, **OPTIONS.get(title, {})).to(**last)
    model.train(not inference)
    height, width, channels = shape
    images = torch.randn(batch, channels, height, width).to(**last)
    labels = torch.zeros(batch, dtype=torch.int64, device=last["device"])
    optimizer = torch.optim.SGD(model.parameters(), RATE, fused=True)

    def step(model: Callable[..., Any]) -> Work:
        def work() -> None:
            with torch.inference_mode(inference):
                logits = model(images)
            if not inference:
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(logits, labels).backward()
                optimizer.step()
            if gpu:
                torch.cuda.synchronize()

        return work

    form, work = _faster(step(model), step(torch.compile(model)))
    return f"channels last, {form}", work


def _faster(eager: Work, compiled: Work) -> tuple[str, Work]:
    """Time the eager and the compiled step; return the name and function of the faster one."""
    try:
        compiled()
    except Exception as error:  # usually because no C++ compiler is installed
        return f"eager (compiling raised {type(error).__name__})", eager
    times = take_turns({"eager": eager, "compiled": compiled}, TRIALS)
    if statistics.median(times["eager"]) < statistics.median(times["compiled"]):
        return "eager", eager
    return "compiled", compiled
