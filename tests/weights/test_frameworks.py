"""Tests of the nets: same outputs as torchvision and pytorchcv with the same weights."""

import sys

import numpy as np
import pytest

from keras_ilsvrc import build
from keras_ilsvrc.layers.graph import batch_norms
from keras_ilsvrc.weights.check import check
from keras_ilsvrc.weights.load import assign

pytestmark = [pytest.mark.parity, pytest.mark.tensorflow]

# Heights and widths; the second is odd all the way down. In front of fully connected layers
# torchvision averages maps to 7x7 or 6x6, we do not: sizes are those at which it has no effect.
TORCHVISION = {
    "alexnet_owt": ("alexnet", (224, 231)),
    "vgg11": ("vgg11", (224,)),
    "vgg13": ("vgg13", (224,)),
    "vgg16": ("vgg16", (224,)),
    "vgg19": ("vgg19", (224,)),
    "vgg11_bn": ("vgg11_bn", (224,)),
    "vgg13_bn": ("vgg13_bn", (224,)),
    "vgg16_bn": ("vgg16_bn", (224,)),
    "vgg19_bn": ("vgg19_bn", (224,)),
    "googlenet_bn": ("googlenet", (224, 127)),
    "inception_v3_tv": ("inception_v3", (299, 149)),
    "resnet18_v1_5": ("resnet18", (224, 127)),
    "resnet34_v1_5": ("resnet34", (96, 127)),
    "resnet50_v1_5": ("resnet50", (224, 127)),
    "resnet101_v1_5": ("resnet101", (96, 127)),
    "resnet152_v1_5": ("resnet152", (96, 127)),
}
AUXILIARY = {  # output, the module whose output it takes, the classifier
    "googlenet": {"aux1": ("inception4a", "aux1"), "aux2": ("inception4d", "aux2")},
    "inception_v3": {"aux": ("Mixed_6e", "AuxLogits")},
}
TOLERANCE = 1e-4  # of the scale of what differs between the logits of two images
B = {"shortcut": "B"}
PYTORCHCV = {
    "zfnet": ("zfnet", {}, (224,)),
    "zfnet_512": ("zfnetb", {}, (224,)),
    "nin_cifar10": ("nin_cifar10", {"pool2": "average"}, (32, 37)),
    "bn_inception": ("bninception", {}, (224, 127)),
    "resnet18": ("resnet18", {}, (96, 127)),
    "resnet50": ("resnet50", {"pool1": "half"}, (96, 127)),
    "resnet20_cifar": ("resnet20_cifar10", B, (32, 37)),
    "resnet56_cifar": ("resnet56_cifar10", B, (32, 37)),
    "resnet110_cifar": ("resnet110_cifar10", B, (32, 37)),
    "resnet20_v2_cifar": ("preresnet20_cifar10", B, (32, 37)),
    "resnet56_v2_cifar": ("preresnet56_cifar10", B, (32, 37)),
    "resnet110_v2_cifar": ("preresnet110_cifar10", B, (32, 37)),
    "resnet164_v2_cifar": ("preresnet164bn_cifar10", {}, (32, 37)),
    "resnet50_v2": ("preresnet50b", {}, (96, 127)),
    "resnet101_v2": ("preresnet101b", {}, (96, 127)),
    "resnet152_v2": ("preresnet152b", {}, (96, 127)),
    "resnet200_v2": ("preresnet200b", {}, (96, 127)),
}


@pytest.fixture(scope="module", autouse=True)
def no_triton():
    """torch goes without triton, whose import ends a process in which TensorFlow is."""
    sys.modules.setdefault("triton", None)


def as_published(net, name):
    """Sets right in a net of pytorchcv in what it departs from the paper, or from its authors."""
    from torch import nn

    parts = net.features
    if hasattr(parts, "final_pool"):  # 7x7 or 8x8: the global average at one size only
        parts.final_pool = nn.AdaptiveAvgPool2d(1)
    if name.startswith("zfnet"):  # it normalises before it pools, and divides alpha by size
        for stage, pool in ((parts.stage1, "pool1"), (parts.stage2, "pool2")):
            stage.unit1.use_lrn = False
            norm = nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)
            setattr(stage, pool, nn.Sequential(getattr(stage, pool), norm))
    if name == "nin_cifar10":  # its pools are padded
        parts.stage2.pool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        parts.stage3.pool3 = nn.AvgPool2d(3, 2, ceil_mode=True)
        net.output.final_pool = nn.AdaptiveAvgPool2d(1)
    if name == "resnet18":  # pool1 is padded, the authors' takes a last window
        parts.init_block.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
    if name.startswith("preresnet"):
        first = parts.stage1.unit1
        if "cifar" not in name:  # it activates twice, behind conv1 and in the first unit
            first.body.conv1.bn = nn.Identity()
        if not hasattr(first, "identity_conv"):  # and splits the paths before it activates
            first.forward = lambda x: sum(first.body(x))
        if "164" in name:  # the stride of its bottlenecks stands in the 3x3
            for unit in (parts.stage2.unit1, parts.stage3.unit1):
                unit.body.conv1.conv.stride, unit.body.conv2.conv.stride = (2, 2), (1, 1)


def images(count, size):
    """Noise of several contrasts on grounds of several colours, in the range of pixels."""
    random = np.random.default_rng(size)
    noise = random.normal(0, 1, (count, size, size, 3))
    contrast = random.uniform(20, 90, (count, 1, 1, 1))
    ground = random.normal(0, 50, (count, 1, 1, 3))
    return (contrast * noise + ground).astype("float32")


def torch_images(array):
    import torch

    return torch.from_numpy(array.transpose(0, 3, 1, 2).copy())


def randomise(net, size):
    """Other weights everywhere; statistics are near those of images, so that signals stay alive.

    Small kernels in front of normalisations make epsilon matter.
    """
    import torch
    from torch import nn

    torch.manual_seed(0)
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    constants = {(norm.eps, round(1 - norm.momentum, 6)) for norm in norms}
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if norms and isinstance(module, nn.Conv2d):
                    module.weight *= 0.1
                if module.bias is not None:
                    nn.init.normal_(module.bias, 0, 0.1)
        for norm in norms:
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.3)
            norm.momentum = None  # the statistics of all images seen in training mode
        if norms:
            net.train()(torch_images(images(6, size)))
        for norm in norms:
            norm.running_mean += 0.3 * norm.running_var.sqrt() * torch.randn(norm.num_features)
            norm.running_var *= 0.5 + torch.rand(norm.num_features)
    net.eval()
    return constants


def outputs(net, x, auxiliary):
    """Logits of a torch net, with those of classifiers that it leaves out when not training."""
    import torch

    seen = {}
    hooks = [
        getattr(net, module).register_forward_hook(
            lambda module, given, result, key=key: seen.update({key: result})
        )
        for key, (module, _) in auxiliary.items()
    ]
    with torch.no_grad():
        theirs = {"predictions": net(torch_images(x))}
        theirs |= {key: getattr(net, name)(seen[key]) for key, (_, name) in auxiliary.items()}
    for hook in hooks:
        hook.remove()
    return {key: logits.numpy() for key, logits in theirs.items()}


def compare(net, layout, name, size, constants, auxiliary=None, **variations):
    """Assigns the weights of a torch net to ours: how far its outputs are from theirs at most."""
    auxiliary = auxiliary or {}
    state = {key: values.numpy() for key, values in net.state_dict().items()}
    if auxiliary:
        variations["auxiliary"] = True
    options = {"input_shape": (size, size, 3), "classes": 10, "classifier_activation": None}
    model = build(name, **options, **variations)
    assign(model, state, layout)
    assert {(norm.epsilon, norm.momentum) for norm in batch_norms(model)} == constants
    x = images(2, size)
    ours, theirs = model(x, training=False), outputs(net, x, auxiliary)
    ours = ours if auxiliary else {"predictions": ours}
    assert set(ours) == set(theirs)
    deviations = []
    for key, logits in theirs.items():
        what = f"{key} of {name} at {size}"
        ground = logits.mean(0)  # the scale is that of what an image makes of them
        deviations.append(check(ours[key] - ground, logits - ground, TOLERANCE, what))
        print(f"{what}: {deviations[-1]:.1e}")  # pytest -rP shows it
    return max(deviations)


@pytest.mark.parametrize("name", TORCHVISION)
def test_equals_torchvision(name):
    from torchvision import models

    theirs, sizes = TORCHVISION[name]
    options = {"init_weights": False} if theirs in AUXILIARY else {}
    net = getattr(models, theirs)(weights=None, num_classes=10, **options)
    constants = randomise(net, 299 if theirs == "inception_v3" else 96)
    for size in sizes:
        auxiliary = AUXILIARY.get(theirs) if size == sizes[0] else None
        assert compare(net, "torchvision", name, size, constants, auxiliary) <= TOLERANCE


@pytest.mark.parametrize("name", PYTORCHCV)
def test_equals_pytorchcv(name):
    from pytorchcv.model_provider import get_model

    theirs, variations, sizes = PYTORCHCV[name]
    net = get_model(theirs, pretrained=False, num_classes=10)
    as_published(net, theirs)
    constants = randomise(net, min(96, sizes[0]))
    layout = "pytorchcv_preact" if theirs.startswith("preresnet") else "pytorchcv"
    for size in sizes:
        deviation = compare(net, layout, name, size, constants, **variations)
        assert deviation <= TOLERANCE
