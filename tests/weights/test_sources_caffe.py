"""Tests of Caffe files: random weights with the original names, layouts and format versions.

Our net with the weights of a file has the same logits as `caffe_referee` with the blobs of the
file. `caffe_referee` gets BGR images, and our net gets the same images as RGB.
"""

import math
from typing import NamedTuple

import caffe_nets
import numpy as np
import pytest
from caffe_referee import Referee, shapes_of
from writers import write_caffe

from keras_ilsvrc import build
from keras_ilsvrc.nets.deferred import Deferred
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.weights.check import check
from keras_ilsvrc.weights.load import assign
from keras_ilsvrc.weights.readers import read
from keras_ilsvrc.weights.recognise import recognise
from keras_ilsvrc.weights.sources import SOURCES, sources_of

pytestmark = pytest.mark.tensorflow
slow = pytest.mark.slow
CAFFE = [source for source in SOURCES if source.file.endswith(".caffemodel")]


class Case(NamedTuple):
    """A net of ours, the original's layers, and at which size the two are compared.

    `outputs` are layers of the original by our outputs. `bgr` says in which order it takes colours.
    """

    net: str
    text: str
    size: int
    generation: str = "v1"
    source: str = "caffe"
    classes: int = 7
    outputs: dict = {"predictions": "fc8"}  # noqa: RUF012
    bgr: bool = True
    auxiliary: bool = False


GOOGLENET = {"predictions": "loss3/classifier"}
GOOGLENET |= {"aux1": "loss1/classifier", "aux2": "loss2/classifier"}
FC1000 = {"predictions": "fc1000"}
VGG_16, VGG_19 = (2, 2, 3, 3, 3), (2, 2, 4, 4, 4)
# At these sizes no window of a pool or of conv1 overhangs where ours would count it.
CASES = [
    Case("alexnet", caffe_nets.alexnet(7), 99, "v1"),
    Case(
        "nin_cifar10",
        caffe_nets.nin_cifar10(10),
        33,
        "v1",
        classes=10,
        bgr=False,
        outputs={"predictions": "pool3"},
    ),
    Case("googlenet", caffe_nets.googlenet(7), 128, "v1", outputs=GOOGLENET, auxiliary=True),
    Case("resnet50", caffe_nets.resnet(50, 7), 70, "new", outputs=FC1000),
]
SLOW = [
    Case("alexnet", caffe_nets.alexnet(7), 227, "v0"),
    Case("caffenet", caffe_nets.caffenet(7), 99, "v0"),
    Case("caffenet", caffe_nets.caffenet(200, "fc-rcnn"), 99, "v1", "caffe_rcnn", 200,
         {"predictions": "fc-rcnn"}),
    Case("googlenet", caffe_nets.googlenet(7), 224, "v1", outputs=GOOGLENET, auxiliary=True),
    Case("vgg16", caffe_nets.vgg(VGG_16, 7), 64, "v1"),
    Case("vgg19", caffe_nets.vgg(VGG_19, 7), 64, "v1"),
    Case("nin", caffe_nets.nin_imagenet(7), 120, "v1", outputs={"predictions": "pool4"}),
    Case("cnds8", caffe_nets.cnds(205), 99, "v1", classes=205, auxiliary=True,
         outputs={"predictions": "fc8", "aux": "fc8_DSN_conv3"}),
    Case("resnet101", caffe_nets.resnet(101, 7), 64, "new", outputs=FC1000),
    Case("resnet152", caffe_nets.resnet(152, 7), 64, "new", outputs=FC1000),
]  # fmt: skip


def images(size, count=2):
    """Noise of several contrasts on grounds of several colours, in the range of centred pixels."""
    random = np.random.default_rng(size)
    noise = random.normal(0, 1, (count, size, size, 3))
    ground = random.normal(0, 50, (count, 1, 1, 3))
    return (random.uniform(20, 90, (count, 1, 1, 1)) * noise + ground).astype("float32")


def original(case, seed=0):
    """The original's blobs, and its outputs for `images`, under our names."""
    net, x = Referee(case.text, seed), images(case.size)
    x = x[..., ::-1] if case.bgr else x
    tops = net(x.transpose(0, 3, 1, 2))
    return net.blobs, {
        ours: tops[theirs].reshape(len(x), -1) for ours, theirs in case.outputs.items()
    }


def built(case, **options):
    """Our net, as the row of the source says."""
    source = sources_of(case.net)[case.source]
    given = {"input_shape": (case.size, case.size, 3), "classes": case.classes, **source.options}
    given |= {"auxiliary": True} if case.auxiliary else {}
    return source, build(case.net, classifier_activation=None, **{**given, **options})


def named(case):
    return f"{case.net}-{case.source}-{case.size}"


@pytest.mark.parametrize(
    "case",
    [
        *(pytest.param(case, id=named(case)) for case in CASES),
        *(pytest.param(case, id=named(case), marks=slow) for case in SLOW),
    ],
)
def test_logits_are_those_of_the_original(case, tmp_path):
    blobs, theirs = original(case)
    path = write_caffe(tmp_path / "net.caffemodel", blobs, case.generation)
    tensors = read(path)
    with Deferred():
        source, model = built(case)
        report = assign(model, tensors, source.layout)
    assert len(report.rows) == len(model.weights)
    assert report.left_out == report.kept == ()
    ours = model(images(case.size), training=False)
    ours = ours if case.auxiliary else {"predictions": ours}
    for key, logits in theirs.items():
        check(ours[key], logits, what=f"{key} of {case.net}")


def zeros(shapes):
    """Arrays of these shapes, {layer: shapes}, that take no memory, as {name: array}."""
    return {
        f"{layer}/{index}": np.broadcast_to(np.float32(0), shape)
        for layer, found in shapes.items()
        for index, shape in enumerate(found)
    }


# {file: its layers, the size of its images, the number of its classes}
PUBLISHED = {
    "bvlc_alexnet": (caffe_nets.alexnet, 227, 1000),
    "bvlc_reference_caffenet": (caffe_nets.caffenet, 227, 1000),
    "bvlc_reference_rcnn_ilsvrc13": (lambda n: caffe_nets.caffenet(n, "fc-rcnn"), 227, 200),
    "bvlc_googlenet": (caffe_nets.googlenet, 224, 1000),
    "VGG_ILSVRC_16_layers": (lambda n: caffe_nets.vgg(VGG_16, n), 224, 1000),
    "VGG_ILSVRC_19_layers": (lambda n: caffe_nets.vgg(VGG_19, n), 224, 1000),
    "nin_imagenet": (caffe_nets.nin_imagenet, 224, 1000),
    "cifar10_nin": (caffe_nets.nin_cifar10, 32, 10),
    "8conv3fc_CNDS": (caffe_nets.cnds, 227, 205),
    "ResNet-50-model": (lambda n: caffe_nets.resnet(50, n), 224, 1000),
    "ResNet-101-model": (lambda n: caffe_nets.resnet(101, n), 224, 1000),
    "ResNet-152-model": (lambda n: caffe_nets.resnet(152, n), 224, 1000),
}


@pytest.mark.parametrize("source", CAFFE, ids=lambda source: source.file)
def test_published_files_are_recognised(source):
    net, size, classes = PUBLISHED[source.file.removesuffix(".caffemodel")]
    tensors = zeros(shapes_of(net(classes), size))
    found = recognise(tensors, source.net)
    assert (source, classes) in found
    assert {match.source.values for match in found} == {source.values}
    dense = [
        shapes for name, shapes in shapes_of(net(classes), size).items() if name in ("fc6", "fc7")
    ]
    assert source.dense == sum(math.prod(shape) for shapes in dense for shape in shapes)
    heads = {name.rpartition("/")[0] for name, x in tensors.items() if x.shape == (classes,)}
    headless = {k: x for k, x in tensors.items() if k.rpartition("/")[0] not in heads}
    assert (source, None) in recognise(headless, source.net)


@pytest.mark.slow
def test_auxiliary_classifiers_of_the_file_may_be_left_out():
    case = next(case for case in CASES if case.net == "googlenet")
    blobs, theirs = original(case)
    tensors = {f"{name}/{n}": x for name, found in blobs.items() for n, x in enumerate(found)}
    with Deferred():
        _, model = built(case, auxiliary=False)
        report = assign(model, tensors, "caffe")
    assert len(report.left_out) == 12
    assert all(name.startswith(("loss1/", "loss2/")) for name in report.left_out)
    check(model(images(case.size)), theirs["predictions"])


def test_blobs_of_another_net_are_refused_in_one_line():
    model = build("caffenet", input_shape=(71, 71, 3), classes=3)
    tensors = zeros(shapes_of(caffe_nets.nin_imagenet(3), 71))
    with pytest.raises(
        InputError, match=r"no tensor for conv5/kernel.*; no weight for cccp1/0"
    ) as e:
        assign(model, tensors, "caffe")
    assert "\n" not in str(e.value)
