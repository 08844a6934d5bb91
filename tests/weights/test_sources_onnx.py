"""Tests of ONNX model zoo files: random weights with the original names, graphs and operators.

Our net with the weights of a file has the same logits as onnxruntime with the file. The tests also
check `caffe_referee`, with which tests/weights/test_sources_caffe.py checks the Caffe files.
"""

import math
from typing import NamedTuple

import caffe_nets
import numpy as np
import onnx_nets
import onnxruntime
import pytest
from caffe_referee import Referee, shapes_of
from test_sources_caffe import VGG_16, VGG_19, images

from keras_ilsvrc import build
from keras_ilsvrc.nets.deferred import Deferred
from keras_ilsvrc.weights.check import check
from keras_ilsvrc.weights.load import assign
from keras_ilsvrc.weights.readers import read
from keras_ilsvrc.weights.recognise import recognise
from keras_ilsvrc.weights.sources import SOURCES, sources_of

pytestmark = pytest.mark.tensorflow
slow = pytest.mark.slow
ONNX = [source for source in SOURCES if source.name.startswith("onnx")]


class Zoo(NamedTuple):
    """A file of the zoo: its layers for a number of classes, its maker, and how names begin.

    At `size`, the original's pools, which round down, have the windows of ours.
    """

    text: object  # function from the number of classes to the net's text
    maker: str = "caffe2"
    prefix: str = ""
    size: int = 99
    classes: int = 1000
    fc: tuple = ("fc6", "fc7")


def _vgg(counts, norm=False, size=64):
    def text(classes):
        return onnx_nets.gluon_vgg(counts, classes, norm)

    return Zoo(text, "gluon", "vgg0_", size, fc=("dense0", "dense1"))


def _resnet(depth, prefix):
    return Zoo(lambda n: onnx_nets.gluon_resnet(depth, n), "gluon", prefix, 70, fc=())


def _googlenet(classes):
    return caffe_nets.googlenet(classes, auxiliary=False)


ZOO = {
    "bvlcalexnet-12": Zoo(caffe_nets.alexnet),
    "caffenet-12": Zoo(caffe_nets.caffenet),
    "rcnn-ilsvrc13-9": Zoo(lambda n: caffe_nets.caffenet(n, "fc-rcnn"), classes=200),
    "zfnet512-12": Zoo(onnx_nets.zfnet512, prefix="gpu_0/", size=91),
    "googlenet-12": Zoo(_googlenet, size=93, fc=()),
    "inception-v1-12": Zoo(_googlenet, size=221, fc=()),
    "vgg16-7": _vgg(VGG_16),
    "vgg19-7": _vgg(VGG_19),
    "vgg19-caffe2-9": Zoo(lambda n: caffe_nets.vgg(VGG_19, n), size=64),
    "vgg16-bn-7": _vgg(VGG_16, norm=True),
    "vgg19-bn-7": _vgg(VGG_19, norm=True),
    "resnet18-v1-7": _resnet(18, "resnetv15_"),
    "resnet34-v1-7": _resnet(34, "resnetv16_"),
    "resnet50-v1-7": _resnet(50, "resnetv17_"),
    "resnet101-v1-7": _resnet(101, "resnetv18_"),
    "resnet152-v1-7": _resnet(152, "resnetv19_"),
    "resnet50-caffe2-v1-9": Zoo(onnx_nets.caffe2_resnet50, prefix="gpu_0/", size=70, fc=()),
}
FAST = ("bvlcalexnet-12", "resnet18-v1-7")


def compare(zoo, net, layout, tmp_path, **options):
    """The logits of our net, with the tensors of the file, and of the file in onnxruntime."""
    referee, x = Referee(zoo.text(7)), images(zoo.size)
    theirs = (x[..., ::-1] if zoo.maker == "caffe2" else x).transpose(0, 3, 1, 2)
    tops = referee(theirs)
    path = tmp_path / "net.onnx"
    onnx_nets.write_graph(path, referee, zoo.maker, zoo.prefix, tops)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    logits, _ = session.run(None, {"data": np.ascontiguousarray(theirs)})
    check(tops[referee.layers[-1][0]], logits, what=f"the referee's {net}")
    given = {"input_shape": (zoo.size, zoo.size, 3), "classes": 7, **options}
    with Deferred():
        model = build(net, classifier_activation=None, **given)
        report = assign(model, read(path), layout)
    assert len(report.rows) == len(model.weights)
    assert report.left_out == report.kept == ()
    return check(model(x, training=False), logits, what=f"{net} from {layout}")


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(x, id=x.file, marks=() if x.file.removesuffix(".onnx") in FAST else slow)
        for x in ONNX
    ],
)
def test_logits_are_those_of_the_graph(source, tmp_path):
    zoo = ZOO[source.file.removesuffix(".onnx")]
    assert compare(zoo, source.net, source.layout, tmp_path, **source.options) <= 1e-4


@slow
def test_logits_of_gluons_smallest_vgg_are_those_of_the_graph(tmp_path):
    small = _vgg((1, 1, 2, 2, 2), norm=True)
    assert compare(small, "vgg11_bn", "gluon_vgg", tmp_path) <= 1e-4


@pytest.mark.parametrize("source", ONNX, ids=lambda source: source.file)
def test_files_of_the_zoo_are_recognised(source):
    zoo = ZOO[source.file.removesuffix(".onnx")]
    size = (sources_of(source.net)[source.name].input_shape or (224,))[0]
    size = 227 if source.net == "caffenet" else size
    shapes = shapes_of(zoo.text(zoo.classes), size)
    blobs = {
        layer: [np.broadcast_to(np.float32(0), shape) for shape in found]
        for layer, found in shapes.items()
    }
    tensors = onnx_nets.initializers(blobs, zoo.maker, zoo.prefix)
    if zoo.maker == "caffe2":
        tensors["OC2_DUMMY_1"] = np.zeros(2, "int64")
    assert (source, zoo.classes) in recognise(tensors, source.net)
    dense = [shape for name in zoo.fc for shape in shapes[name]]
    assert source.dense == sum(map(math.prod, dense))


def test_names_of_gluons_second_residual_nets_are_not_recognised():
    """An input normalisation comes first in them, and no net of ours has one."""
    words = ("gamma", "beta", "running_mean", "running_var")
    tensors = {f"resnetv24_batchnorm0_{word}": np.zeros(3, "float32") for word in words}
    tensors |= {f"resnetv24_batchnorm1_{word}": np.zeros(64, "float32") for word in words}
    tensors["resnetv24_conv0_weight"] = np.zeros((64, 3, 7, 7), "float32")
    assert recognise(tensors) == []
