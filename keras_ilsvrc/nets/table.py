"""Table of all nets. Keras is not imported, so that nets can be listed quickly."""

from dataclasses import replace
from importlib import import_module

from keras_ilsvrc.nets.printed import Printed

# For each NAME, the module NAME_facts has a table NETS. `available` lists nets in this order.
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
_FACTS = [import_module(f"keras_ilsvrc.nets.{paper}_facts") for paper in PAPERS]
NETS = {name: replace(net, name=name) for facts in _FACTS for name, net in facts.NETS.items()}
# {name of a net: table printed in its paper}, to compare the table with the built net.
PRINTED: dict[str, Printed] = {}
for _facts in _FACTS:
    PRINTED |= getattr(_facts, "PRINTED", {})
