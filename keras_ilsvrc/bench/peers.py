"""Benchmark cases, and the names of our nets in other packages.

This module does not import TensorFlow.
"""

import importlib.util
from dataclasses import dataclass
from typing import Literal

from keras_ilsvrc.bench.timing import ENOUGH
from keras_ilsvrc.utils.errors import InputError, nearest

Dtype = Literal["float32", "bfloat16"]
OWN_FLOAT32 = "float32"  # value of `Case.against` for our own net in float32
STOCK = "own layers"  # title of our net rebuilt from Keras' own layers

# For each package: {our net: the package's net with the same number of multiply-adds}.
# Unlike the nets of the ResNet paper, Keras' ResNets have a bias in every convolution.
# fmt: off
PEERS = {
    "keras": {
        "vgg16":             "VGG16",
        "vgg19":             "VGG19",
        "inception_v3":      "InceptionV3",
        "resnet50":          "ResNet50",
        "resnet101":         "ResNet101",
        "resnet152":         "ResNet152",
        "resnet50_keras":    "ResNet50",
        "resnet101_keras":   "ResNet101",
        "resnet152_keras":   "ResNet152",
        "resnet50_v2_keras": "ResNet50V2",
    },
    "torchvision": {
        "alexnet_owt":       "alexnet",
        "vgg11":             "vgg11",
        "vgg13":             "vgg13",
        "vgg16":             "vgg16",
        "vgg19":             "vgg19",
        "vgg11_bn":          "vgg11_bn",
        "vgg13_bn":          "vgg13_bn",
        "vgg16_bn":          "vgg16_bn",
        "vgg19_bn":          "vgg19_bn",
        "googlenet_bn":      "googlenet",
        "inception_v3_tv":   "inception_v3",
        "resnet18":          "resnet18",
        "resnet34":          "resnet34",
        "resnet18_v1_5":     "resnet18",
        "resnet34_v1_5":     "resnet34",
        "resnet50_v1_5":     "resnet50",
        "resnet101_v1_5":    "resnet101",
        "resnet152_v1_5":    "resnet152",
    },
}
# fmt: on


@dataclass(frozen=True)
class Case:
    """Benchmark case: a net, the package to compare it with, the kind of work and the settings.

    Attributes:
        net: Name of our net.
        against: Package in `PEERS`, whose net is timed alternately with ours; `OWN_FLOAT32` for our
            net in float32; None to time only our net.
        inference: Whether to time only the forward pass, in inference mode.
        batch: Number of images per step.
        dtype: Number format; "bfloat16" means mixed precision.
        steps: Number of timed steps of each net.
        jit: Whether to compile TensorFlow's steps with XLA; None to do so only on a GPU.
        compiled: Whether to try `torch.compile` too.
    """

    net: str
    against: str | None = None
    inference: bool = False
    batch: int = 8
    dtype: Dtype = "float32"
    steps: int = ENOUGH
    jit: bool | None = None
    compiled: bool = True

    @property
    def work(self) -> str:
        """Return the kind of work: "inference" or "training"."""
        return "inference" if self.inference else "training"

    @property
    def title(self) -> str:
        """Return the name of the net in the other package."""
        return PEERS.get(str(self.against), {}).get(self.net, STOCK)

    def check(self) -> None:
        """Check that the other package is installed and has the net.

        Raises:
            InputError: If the package is unknown, is not installed or does not have the net.
        """
        package = self.against
        if package is None or (package == OWN_FLOAT32 and self.dtype != OWN_FLOAT32):
            return
        if package == OWN_FLOAT32:
            raise InputError("--against float32: --dtype is float32 too; pass --dtype bfloat16")
        if package not in PEERS:
            known = nearest(package, [*PEERS, OWN_FLOAT32])
            raise InputError(f"--against is {package!r}; {known}")
        if package != "keras" and self.net not in PEERS[package]:
            known = ", ".join(PEERS[package])
            raise InputError(
                f"--against {package}: {package} has no {self.net}; expected one of {known}"
            )
        check_installed(package)


def check_installed(package: str) -> None:
    """Raise an InputError that shows how to install a package, unless it is installed."""
    if importlib.util.find_spec(package) is None:
        raise InputError(
            f"--against {package}: not installed; run: python -m pip install {package}"
        )
