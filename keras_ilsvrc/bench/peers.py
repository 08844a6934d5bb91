"""The names that other packages use for our nets. Does not import TensorFlow."""

import importlib.util

from keras_ilsvrc.errors import InputError, nearest

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
        "resnet18_v1_5":     "resnet18",
        "resnet34_v1_5":     "resnet34",
        "resnet50_v1_5":     "resnet50",
        "resnet101_v1_5":    "resnet101",
        "resnet152_v1_5":    "resnet152",
    },
}
# fmt: on


def check_peer(name: str, package: str) -> None:
    """Check that the other package of a comparison is installed and contains the given net.

    Raises:
        InputError: If the package is unknown, has no such net or is not installed.
    """
    if package not in PEERS:
        raise InputError(f"--against is {package!r}; {nearest(package, PEERS)}")
    if name not in PEERS[package]:
        known = ", ".join(PEERS[package])
        raise InputError(f"--against {package}: the package has no {name}; expected one of {known}")
    check_installed(package)


def check_installed(package: str) -> None:
    """Raise InputError if a package is not installed; the message shows how to install it."""
    if importlib.util.find_spec(package) is None:
        raise InputError(
            f"--against {package}: not installed; run: python -m pip install {package}"
        )
