"""Weights that timm 1.0 publishes on huggingface.co: torchvision's, as safetensors."""

from dataclasses import replace

from keras_ilsvrc.weights.sources import torchvision
from keras_ilsvrc.weights.sources.source import IMAGENET, ONE_TO_ONE, Source, normalised

HOST = "https://huggingface.co/timm/"
# fmt: off
# {our net: (name in timm, revision, SHA-256, top-1 accuracy, top-5 accuracy)}. timm publishes no
# accuracy of resnet34.tv_in1k.
FILES: dict[str, tuple[str, str, str | None, float | None, float | None]] = {
    "vgg11":           ("vgg11.tv_in1k", "main",
        "682c023808812148d4e60c76d80ad83dbeaf5d50eb1a952a0b836895003151e5", 69.022, 88.624),
    "vgg13":           ("vgg13.tv_in1k", "main", None, 69.932, 89.250),
    "vgg16":           ("vgg16.tv_in1k", "b8d8aa2dd860af9233c8c67385a8097fd6c35d3f",
        "57b026918159a6bf9faf8405c3a551903768e7138989d9c6224a14227203fad8", 71.592, 90.384),
    "vgg19":           ("vgg19.tv_in1k", "main", None, 72.378, 90.874),
    "vgg11_bn":        ("vgg11_bn.tv_in1k", "main", None, 70.382, 89.808),
    "vgg13_bn":        ("vgg13_bn.tv_in1k", "main", None, 71.588, 90.378),
    "vgg16_bn":        ("vgg16_bn.tv_in1k", "main", None, 73.370, 91.514),
    "vgg19_bn":        ("vgg19_bn.tv_in1k", "main", None, 74.216, 91.844),
    "inception_v3_tv": ("inception_v3.tv_in1k", "main",
        "9c452c63a67fd03a38a78c401ba12d4be0e926df63c93403de3a29f6df20fefb", 77.434, 93.474),
    "resnet18_v1_5":   ("resnet18.tv_in1k", "bbd144b3e5565108aad885f145491d11bc6ce807",
        "694f673df6520a3158624e8a89af086f59923ee4cd7436fe5bc3bc71d295ad81", 69.760, 89.070),
    "resnet34_v1_5":   ("resnet34.tv_in1k", "1b7b21cca82ff974d341713f777bf740c2db38c4",
        "0bb82595a564991a9d424708b33f5d843f5aaed7f6c0886ff10849ff97022235", None, None),
    "resnet50_v1_5":   ("resnet50.tv_in1k", "78f3ecfdb38e06d9b8397f662e7ab8fee96026fa",
        "5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888", 76.130, 92.858),
    "resnet101_v1_5":  ("resnet101.tv_in1k", "main", None, 77.376, 93.542),
    "resnet152_v1_5":  ("resnet152.tv_in1k", "main", None, 78.322, 94.048),
}
# fmt: on
THEIRS = {source.net: source for source in torchvision.SOURCES}


def _source(net: str) -> Source:
    """Return the source of a net of ours, from torchvision's source of this net."""
    name, revision, sha256, top1, top5 = FILES[net]
    inception = net == "inception_v3_tv"
    return replace(
        THEIRS[net],
        name="timm",
        layout="timm_vgg" if net.startswith("vgg") else "torchvision",
        file=f"{name}.safetensors",
        preprocessing=normalised(ONE_TO_ONE, 342, 299)
        if inception
        else normalised(IMAGENET, 256, 224),
        url=f"{HOST}{name}/resolve/{revision}/model.safetensors",
        sha256=sha256,
        top1_accuracy=top1,
        top5_accuracy=top5,
        protocol=f"{THEIRS[net].protocol}{', bicubic' if inception else ''}",
        licence="Apache-2.0" if inception else "BSD-3-Clause",
        notes=("torchvision's weights",),
    )


SOURCES = tuple(_source(net) for net in FILES)
