"""Tests of the layer-by-layer comparison of a model with the original network."""

import sys
from contextlib import nullcontext
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import keras
import numpy as np
import pytest
from cases import each_of
from graphs import save_graph
from keras import layers
from onnx import helper
from writers import write_safetensors

from keras_ilsvrc import InputError, build
from keras_ilsvrc.layers.graph import batch_norms
from keras_ilsvrc.weights import read
from keras_ilsvrc.weights.load import assign
from keras_ilsvrc.weights.reference import Original, compare
from keras_ilsvrc.weights.sources import Source, source_named
from keras_ilsvrc.weights.tensors import Stored, Tensors

pytestmark = pytest.mark.tensorflow
RANDOM = np.random.default_rng(0)
IMAGES = [RANDOM.uniform(-1, 1, (1, 6, 6, 3)).astype("float32") for _ in range(2)]


def small(name="small"):
    """A small net with random weights, and its layers with the activations inside."""
    x = image = keras.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv1")(x)
    x = layers.Conv2D(5, 1, use_bias=False, name="conv2")(x)
    x = layers.BatchNormalization(epsilon=1e-5, name="conv2_bn")(x)
    x = layers.Flatten()(layers.Permute((3, 1, 2))(x))
    x = layers.Activation("linear", name="predictions")(layers.Dense(3, name="fc")(x))
    model = keras.Model(image, x, name=name)
    for weight in model.weights:
        weight.assign(RANDOM.uniform(0.1, 1, weight.shape))
    return model


def tensors_of(model):
    """The weights of the small net with other names and axes: {name: (our layer, array)}."""
    made = {}
    for weight in model.weights:
        layer, _, word = weight.path.partition("/")
        values = np.asarray(weight)
        axes = {4: (3, 2, 0, 1), 2: (0, 1)}.get(values.ndim)
        made[f"{layer}.{word}"] = (layer, values.transpose(axes))
    return made


def graph(path, tensors, swapped=False):
    """Write the small net as an ONNX file; its kernel of conv1 is transposed in the file."""
    constants = {name: array for name, (_, array) in tensors.items()}
    constants["conv1.kernel"] = constants["conv1.kernel"].transpose(1, 0, 2, 3)
    constants["conv2.bias"] = np.full(5, 2.0, "float32")  # in the mean of our normalisation
    constants["conv2_bn.moving_mean"] = constants["conv2_bn.moving_mean"] + 2
    norm = [f"conv2_bn.{x}" for x in ("gamma", "beta", "moving_mean", "moving_variance")]
    if swapped:
        norm[0], norm[1] = norm[1], norm[0]
    nodes = [
        helper.make_node("Transpose", ["conv1.kernel"], ["kernel"], perm=[1, 0, 2, 3]),
        helper.make_node("Conv", ["image", "kernel", "conv1.bias"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "conv2.kernel", "conv2.bias"], ["c"]),
        helper.make_node("BatchNormalization", ["c", *norm], ["d"], epsilon=1e-5),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "fc.kernel", "fc.bias"], ["f"]),
        helper.make_node("Softmax", ["f"], ["g"]),
    ]
    save_graph(path, nodes, constants, (1, 3, 6, 6), "g")


def original(model, path, tensors, name="onnx", file="small.onnx"):
    taken = {key: layer for key, (layer, _) in tensors.items()}
    return Original(model, read(path), Source(name, "small", "small", file, (), 0), taken)


def test_an_onnx_file_is_compared_layer_by_layer(tmp_path):
    model = small()
    graph(tmp_path / "small.onnx", tensors := tensors_of(model))
    found = compare(original(model, tmp_path / "small.onnx", tensors), IMAGES, False, "onnx")
    # conv2 is not compared, since its bias is in the normalisation
    assert list(found) == ["conv1", "conv2_bn", "fc", "predictions"]
    assert max(found.values()) < 1e-6


def test_the_first_layer_that_differs_is_seen(tmp_path):
    model = small()
    graph(tmp_path / "small.onnx", tensors := tensors_of(model), swapped=True)
    found = compare(original(model, tmp_path / "small.onnx", tensors), IMAGES, False, "onnx")
    assert found["conv1"] < 1e-6
    assert min(found["conv2_bn"], found["fc"], found["predictions"]) > 1e-2


def test_the_original_may_take_bgr(tmp_path):
    model = small()
    tensors = tensors_of(model)
    layer, kernel = tensors["conv1.kernel"]
    graph(tmp_path / "x.onnx", {**tensors, "conv1.kernel": (layer, kernel[:, ::-1])})
    net = original(model, tmp_path / "x.onnx", tensors)
    assert max(compare(net, IMAGES, True, "onnx").values()) < 1e-6
    assert min(compare(net, IMAGES, False, "onnx").values()) > 1e-3


def test_images_that_the_original_does_not_take_are_refused(tmp_path):
    model = small()
    graph(tmp_path / "small.onnx", tensors := tensors_of(model))
    net = original(model, tmp_path / "small.onnx", tensors)
    with pytest.raises(
        InputError, match=r"small\.onnx: onnx cannot run the original network: .*image"
    ):
        compare(net, [np.zeros((1, 7, 6, 3), "float32")], False, "onnx")


def test_a_keras_file_is_compared_layer_by_layer(tmp_path, monkeypatch):
    def tiny_net(include_top, weights, input_shape, classes, classifier_activation):
        assert (include_top, weights, classes, classifier_activation) == (True, None, 3, None)
        return small("tiny_net")

    model = small()
    monkeypatch.setattr(keras.applications, "TinyNet", tiny_net, raising=False)
    model.save_weights(tmp_path / "tiny.weights.h5")
    net = original(model, tmp_path / "tiny.weights.h5", {}, "keras", "tiny_net_weights.h5")
    found = compare(net, IMAGES, False, "keras")  # this format has no names of layers
    assert found == {"predictions": pytest.approx(0, abs=1e-6)}
    # as in older files of Keras
    layer_of = {
        f"{x.path.partition('/')[0]}/{x.path}": x.path.partition("/")[0] for x in model.weights
    }
    one = Stored((1,), np.dtype("float32"), lambda: np.zeros(1))
    tensors = Tensors(net.tensors.path, "hdf5", dict.fromkeys(layer_of, one))
    found = compare(net._replace(tensors=tensors, layers=layer_of), IMAGES, False, "keras")
    assert list(found) == ["conv1", "conv2", "conv2_bn", "fc", "predictions"]
    assert max(found.values()) < 1e-6


@each_of("case", [("keras", "other_net.h5"), ("torch", "small.pth")])
def test_an_original_without_a_model_is_refused(case, tmp_path, monkeypatch):
    runtime, file = case
    model = small()
    model.save_weights(tmp_path / "x.weights.h5")
    monkeypatch.setitem(sys.modules, "torch", None if runtime == "keras" else np)
    net = original(model, tmp_path / "x.weights.h5", {}, "caffe", file)
    with pytest.raises(InputError, match="use another reference"):
        compare(net, IMAGES, False, runtime)


class FakeTorch(ModuleType):
    """Stand-in for torch and torchvision.models, with one model that records its state."""

    inference_mode = nullcontext
    expected = ("conv1.kernel", "conv1.bias", "aux1.conv.weight", "aux1.conv.bias")

    def __init__(self):
        super().__init__("torch")
        self.__spec__ = ModuleSpec("torch", None)
        self.hooks = {}
        self.from_numpy = self.eval = lambda *given: given and given[0]
        self.list_models = lambda: ["small"]
        self.get_model = lambda name, num_classes: self

    def load_state_dict(self, state, strict):
        self.state, known = state, self.expected
        return [x for x in known if x not in state], [x for x in state if x not in known]

    def get_submodule(self, place):
        add = lambda hook: self.hooks.update({place: hook})  # noqa: E731
        return SimpleNamespace(register_forward_hook=add)

    def __call__(self, images):
        made = SimpleNamespace(numpy=lambda: np.ones((1, 4, 4, 4), "float32"))
        for hook in self.hooks.values():
            hook(self, (), made)
        return SimpleNamespace(numpy=lambda: np.ones((1, 3), "float32"))


def fake_torch(path, monkeypatch, *more):
    """Write the weights of conv1 as DataParallel names them, and return a fake torch and a net."""
    torch, model = FakeTorch(), small()
    for name in ("torch", "torchvision", "torchvision.models"):
        monkeypatch.setitem(sys.modules, name, torch)
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    tensors = {f"module.{k}": v for k, v in tensors_of(model).items() if k.startswith("conv1")}
    arrays = {name: np.ascontiguousarray(array) for name, (_, array) in tensors.items()}
    write_safetensors(path, arrays | dict.fromkeys(more, np.ones(2, "f4")))
    return torch, original(model, path, tensors, "torchvision", "small-1234.pth")


def test_torch_gets_the_tensors_of_the_reader_without_prefix(tmp_path, monkeypatch):
    torch, net = fake_torch(tmp_path / "small.safetensors", monkeypatch)
    assert set(compare(net, IMAGES, False, "torch")) == {"conv1", "predictions"}
    assert set(torch.state) == {"conv1.kernel", "conv1.bias"}
    assert "triton" not in sys.modules


def test_a_torch_model_with_other_names_is_refused(tmp_path, monkeypatch):
    _, net = fake_torch(tmp_path / "small.safetensors", monkeypatch, "conv9.bias")
    with pytest.raises(InputError, match=r"small\.safetensors: .*torchvision.*: conv9\.bias; use"):
        compare(net, IMAGES, False, "torch")
    monkeypatch.setattr(FakeTorch, "expected", (*FakeTorch.expected, "conv9.bias", "fc.bias"))
    _, net = fake_torch(tmp_path / "small.safetensors", monkeypatch)
    with pytest.raises(InputError, match=r": conv9\.bias, fc\.bias; use"):
        compare(net, IMAGES, False, "torch")


@pytest.mark.parity
def test_torch_files_are_compared_layer_by_layer(tmp_path):
    sys.modules.setdefault("triton", None)
    import torch
    import torchvision

    state = torchvision.models.resnet18(num_classes=9).state_dict()
    torch.save(state, tmp_path / "net.pth")
    model = build("resnet18_v1_5", classes=9, classifier_activation=None)
    report = assign(model, read(tmp_path / "net.pth"), "torchvision")
    taken = {row.theirs: row.ours.rpartition("/")[0] for row in report.rows}
    source = source_named("torchvision", "resnet18_v1_5")
    net = Original(model, read(tmp_path / "net.pth"), source, taken)
    images = [RANDOM.uniform(-2, 2, (1, 224, 224, 3)).astype("float32")]
    found = compare(net, images, False, "torch")
    assert len(found) == 20 + len(batch_norms(model)) + 2
    assert max(found.values()) < 1e-5
