"""Functions that run one training or inference step of a net on random images."""

import importlib
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from keras_ilsvrc.bench.machine import about_processor
from keras_ilsvrc.bench.peers import Case
from keras_ilsvrc.bench.timing import take_turns
from keras_ilsvrc.training.strategy import threads
from keras_ilsvrc.utils.errors import InputError

RATE = 1e-4  # learning rate; low, so that weights hardly change
TRIALS = 3  # number of timed rounds to find the fastest form of a torch net
# Build torchvision's nets without auxiliary classifiers, like our nets in this benchmark. Skip
# torchvision's initialization, which takes minutes and does not change the time of a step.
PLAIN = {"aux_logits": False, "init_weights": False}
OPTIONS = {"googlenet": PLAIN, "inception_v3": PLAIN}
BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # processor flags; bf16 is the flag on Arm
Work = Callable[[], object]


@contextmanager
def policy(dtype: str) -> Iterator[None]:
    """Set Keras' dtype policy to float32 or, for "bfloat16", mixed_bfloat16 in a `with` block.

    Raises:
        InputError: If the processor does not support the format, and there is no GPU.
    """
    flags = {*about_processor("flags").split(), *about_processor("Features").split()}  # x86, Arm
    if dtype == "bfloat16" and not (BFLOAT16 & flags or tf.config.list_physical_devices("GPU")):
        raise InputError(
            "--dtype bfloat16: the processor has no flag avx512_bf16, amx_bf16 or bf16, and there "
            "is no GPU; use --dtype float32"
        )
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if dtype == "bfloat16" else dtype)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


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


def torchvision_step(case: Case, shape: tuple[int, int, int]) -> tuple[str, Work]:
    """Return (form, function) for a step of a torchvision net. The function runs the step.

    The form is the fastest of eager and compiled, each with and without channels-last memory
    format. For bfloat16, autocast is used.
    """
    torch: Any = importlib.import_module("torch")
    gpu = bool(tf.config.list_physical_devices("GPU"))
    if gpu and not torch.cuda.is_available():
        raise InputError(
            "TensorFlow sees a GPU, but torch does not; to compare them on the CPU, set "
            "CUDA_VISIBLE_DEVICES=-1"
        )
    torch.set_num_threads(threads())
    forms = {}
    for layout, memory in (("", torch.contiguous_format), (", channels last", torch.channels_last)):
        model, step = _torch_model(case, shape, "cuda" if gpu else "cpu", memory)
        forms[f"eager{layout}"] = step(model)
        if case.compiled:
            forms[f"compiled{layout}"] = step(torch.compile(model))
    return _fastest(forms)


def _torch_model(
    case: Case, shape: tuple[int, int, int], device: str, memory: Any
) -> tuple[Any, Callable[[Any], Work]]:
    """Return a torchvision net, and a function that maps this net or its compiled form to a step.

    Args:
        case: Net, kind of work, batch size and number format.
        shape: (height, width, channels) of the images.
        device: Name of the device in torch.
        memory: Memory format of images and kernels in torch.
    """
    torch: Any = importlib.import_module("torch")
    models: Any = importlib.import_module("torchvision.models")
    model = getattr(models, case.title)(weights=None, **OPTIONS.get(case.title, {}))
    model = model.to(device=device, memory_format=memory).train(not case.inference)
    height, width, channels = shape
    images = torch.randn(case.batch, channels, height, width)
    images = images.to(device=device, memory_format=memory)
    labels = torch.zeros(case.batch, dtype=torch.int64, device=device)
    optimizer = torch.optim.SGD(model.parameters(), RATE, fused=True)
    mixed = {"dtype": torch.bfloat16, "enabled": case.dtype == "bfloat16"}

    def step(model: Callable[..., Any]) -> Work:
        def work() -> None:
            with torch.inference_mode(case.inference), torch.autocast(device, **mixed):
                logits = model(images)
                loss = None if case.inference else torch.nn.functional.cross_entropy(logits, labels)
            if loss is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if device == "cuda":
                torch.cuda.synchronize()

        return work

    return model, step


def _fastest(forms: dict[str, Work]) -> tuple[str, Work]:
    """Time each form of a step; return the name and function of the fastest one."""
    note, works = "", {}
    for name, work in forms.items():
        try:
            work()
            works[name] = work
        except Exception as error:  # usually because no C++ compiler is installed
            if not name.startswith("compiled"):
                raise
            note = f" (compiling raised {type(error).__name__})"
    times = take_turns(works, TRIALS, uncounted=1)
    best = min(works, key=lambda name: statistics.median(times[name]))
    return best + note, works[best]
