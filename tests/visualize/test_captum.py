"""Tests of the deconvnet and guided backpropagation: compared with Captum on the same VGG-16."""

import sys

import numpy as np
import pytest

from keras_ilsvrc import build
from keras_ilsvrc.visualize.backward import Deconvnet, guided_backpropagation
from keras_ilsvrc.weights.load import assign

pytestmark = [
    pytest.mark.parity,
    pytest.mark.tensorflow,
    pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU:UserWarning"),
    pytest.mark.filterwarnings("ignore:CUDA initialization:UserWarning"),  # there is no GPU
]


@pytest.fixture(scope="module")
def pair():
    """torchvision's VGG-16 and ours, with the same random weights, and two images."""
    sys.modules.setdefault("triton", None)  # its import ends a process in which TensorFlow is
    import torch
    from torchvision.models import vgg16

    torch.manual_seed(0)
    theirs = vgg16(weights=None, num_classes=10).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False  # Captum hooks what comes back
    ours = build("vgg16", classes=10)
    assign(ours, theirs.state_dict(), "torchvision")
    images = np.random.default_rng(0).normal(size=(2, 224, 224, 3)).astype("float32")
    return theirs, ours, images


def captum(kind, net, images, labels):
    """(images, height, width, channels): what Captum makes of the scores of the labels."""
    import captum.attr
    import torch

    inputs = torch.tensor(images.transpose(0, 3, 1, 2), requires_grad=True)
    found = getattr(captum.attr, kind)(net).attribute(inputs, target=torch.tensor(labels))
    return found.detach().numpy().transpose(0, 2, 3, 1)


def test_the_deconvnet_is_captums(pair):
    theirs, ours, images = pair
    found = Deconvnet(ours, None)(images)
    assert (found.values > 0).all()
    expected = captum("Deconvolution", theirs, images, found.maps.astype("int64"))
    scale = np.abs(expected).max()
    assert scale > 0
    mine = found.images / found.values[:, None, None, None]  # Captum sends back a one
    np.testing.assert_allclose(mine / scale, expected / scale, atol=1e-4)


def test_guided_backpropagation_is_captums(pair):
    theirs, ours, images = pair
    labels = np.array([3, 8])
    expected = captum("GuidedBackprop", theirs, images, labels)
    scale = np.abs(expected).max()
    assert scale > 0
    mine = guided_backpropagation(ours, images, labels)
    np.testing.assert_allclose(mine / scale, expected / scale, atol=1e-4)
