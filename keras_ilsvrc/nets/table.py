"""The table of all nets. Imports only the standard library, so that listing is fast."""

from dataclasses import replace
from importlib import import_module

# For each NAME, there is a module NAME_facts with a table NETS. Nets are listed in this order.
PAPERS = (
    "lenet",
    "alexnet",
    "zfnet",
    "nin",
    "vgg",
    "googlenet",
    "bn_inception",
    "inception_v3",
    "cnds",
    "resnet",
    "resnet_cifar",
)
NETS = {
    name: replace(net, name=name)
    for paper in PAPERS
    for name, net in import_module(f"keras_ilsvrc.nets.{paper}_facts").NETS.items()
}
