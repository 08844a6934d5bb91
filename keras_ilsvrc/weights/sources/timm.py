"""torchvision's weights, as timm 1.0 publishes them on huggingface.co in safetensors files."""

from keras_ilsvrc.weights.sources import torchvision
from keras_ilsvrc.weights.sources.source import IMAGENET, VGG_DENSE, normalised, sources

THEIRS = {one.net: one for one in torchvision.SOURCES if one.name == "torchvision"}
VGG = {"layout": "timm_vgg", **VGG_DENSE}
INCEPTION_V3 = {
    "preprocessing": THEIRS["inception_v3_tv"].preprocessing,
    "protocol": f"{THEIRS['inception_v3_tv'].protocol}, bicubic",
    "licence": "Apache-2.0",
    "notes": ("the weights are torchvision's", "here, images are resized bilinearly"),
}
# fmt: off
# (our net, name in timm, revision, top-1 and top-5 accuracy in %, SHA-256, other arguments of
# `Source`). timm publishes no accuracy of resnet34.tv_in1k.
FILES = (
    ("vgg11", "vgg11.tv_in1k", "main", 69.022, 88.624,
     "682c023808812148d4e60c76d80ad83dbeaf5d50eb1a952a0b836895003151e5", VGG),
    ("vgg13", "vgg13.tv_in1k", "main", 69.932, 89.250, None, VGG),
    ("vgg16", "vgg16.tv_in1k", "b8d8aa2dd860af9233c8c67385a8097fd6c35d3f", 71.592, 90.384,
     "57b026918159a6bf9faf8405c3a551903768e7138989d9c6224a14227203fad8", VGG),
    ("vgg19", "vgg19.tv_in1k", "main", 72.378, 90.874, None, VGG),
    ("vgg11_bn", "vgg11_bn.tv_in1k", "main", 70.382, 89.808, None, VGG),
    ("vgg13_bn", "vgg13_bn.tv_in1k", "main", 71.588, 90.378, None, VGG),
    ("vgg16_bn", "vgg16_bn.tv_in1k", "main", 73.370, 91.514, None, VGG),
    ("vgg19_bn", "vgg19_bn.tv_in1k", "main", 74.216, 91.844, None, VGG),
    ("inception_v3_tv", "inception_v3.tv_in1k", "main", 77.434, 93.474,
     "9c452c63a67fd03a38a78c401ba12d4be0e926df63c93403de3a29f6df20fefb", INCEPTION_V3),
    ("resnet18_v1_5", "resnet18.tv_in1k", "bbd144b3e5565108aad885f145491d11bc6ce807", 69.760,
     89.070, "694f673df6520a3158624e8a89af086f59923ee4cd7436fe5bc3bc71d295ad81"),
    ("resnet34_v1_5", "resnet34.tv_in1k", "1b7b21cca82ff974d341713f777bf740c2db38c4", None, None,
     "0bb82595a564991a9d424708b33f5d843f5aaed7f6c0886ff10849ff97022235"),
    ("resnet50_v1_5", "resnet50.tv_in1k", "78f3ecfdb38e06d9b8397f662e7ab8fee96026fa", 76.130,
     92.858, "5d061a3c593d795bfe682d9b152bafbcf550579873492def3515b46db1189888"),
    ("resnet101_v1_5", "resnet101.tv_in1k", "main", 77.376, 93.542, None),
    ("resnet152_v1_5", "resnet152.tv_in1k", "main", 78.322, 94.048, None),
)
# fmt: on


def _named(name: str) -> dict[str, str]:
    # Name the file after the net, since all files on huggingface.co are named model.safetensors.
    return {"file": f"{name}.safetensors"}


SOURCES = sources(
    "timm",
    "torchvision",
    (
        (net, f"{name}/resolve/{revision}/model", THEIRS[net].values, *known, _named(name))
        for net, name, revision, *known in FILES
    ),
    "https://huggingface.co/timm/",
    ".safetensors",
    preprocessing=normalised(IMAGENET, 256, 224),
    protocol=THEIRS["vgg16"].protocol,
    licence="BSD-3-Clause",
    notes=("the weights are torchvision's",),
)
