"""Tests of the names of nets, as listed and with variations."""

import pytest

from keras_ilsvrc import available, info
from keras_ilsvrc.nets import NETS


@pytest.mark.parametrize(
    ("name", "variations", "varied"),
    [
        ("alexnet", {"activation": "tanh"}, "alexnet[activation=tanh]"),
        ("alexnet", {"dropout": 0, "lrn": "none"}, "alexnet[dropout=0,lrn=none]"),
        ("alexnet[activation=tanh]", {"groups": 1}, "alexnet[activation=tanh,groups=1]"),
        ("vgg16", {"batch_norm": True}, "vgg16[batch_norm=True]"),
        ("resnet_cifar", {"depth": 26}, "resnet_cifar[depth=26]"),
        ("alexnet", {"activation": "relu", "dropout": 0.5}, "alexnet"),
        ("googlenet", {"auxiliary": True}, "googlenet"),  # the classifiers are in the paper
        ("resnet50", {"shortcut": "B"}, "resnet50"),
    ],
)
def test_a_net_is_named_after_what_is_varied_and_published_without(name, variations, varied):
    net = info(name, **variations)
    assert net.name == varied
    assert net.published == ("[" not in varied)
    assert (net.parameters is None) == ("[" in varied)
    assert info(varied).name == varied


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("vgg1?", ["vgg11", "vgg13", "vgg16", "vgg19"]),
        ("resnet[15]0", ["resnet50"]),
        ("alexnet", ["alexnet"]),
        ("*", list(NETS)),
    ],
)
def test_nets_are_listed_by_shell_patterns(pattern, names):
    assert available(pattern) == names
