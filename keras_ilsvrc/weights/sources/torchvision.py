"""Weights published with torchvision 0.29 (the first version of each net's weights)."""

from typing import Any

from keras_ilsvrc.weights.sources.source import Source

HOST = "https://download.pytorch.org/models/"
IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}
ONE_TO_ONE = {"mean": [127.5], "std": [127.5]}  # pixels from -1 to 1
VGG_DENSE = 119_545_856
NO_AUXILIARY = "the auxiliary classifiers in the file are not trained"

# fmt: off
# {our net: (file name without .pth, number of values, of these in fc6 and fc7, top-1 accuracy,
# top-5 accuracy)}
FILES: dict[str, tuple[str, int, int, float, float]] = {
    "alexnet_owt":     ("alexnet-owt-7be5be79",          57_003_840, 54_534_144, 56.522, 79.066),
    "vgg11":           ("vgg11-8a719046",               128_766_336, VGG_DENSE,  69.020, 88.628),
    "vgg13":           ("vgg13-19584684",               128_950_848, VGG_DENSE,  69.928, 89.246),
    "vgg16":           ("vgg16-397923af",               134_260_544, VGG_DENSE,  71.592, 90.382),
    "vgg19":           ("vgg19-dcbb9e9d",               139_570_240, VGG_DENSE,  72.376, 90.876),
    "vgg11_bn":        ("vgg11_bn-6002323d",            128_777_344, VGG_DENSE,  70.370, 89.810),
    "vgg13_bn":        ("vgg13_bn-abd245e5",            128_962_624, VGG_DENSE,  71.586, 90.374),
    "vgg16_bn":        ("vgg16_bn-6c64b313",            134_277_440, VGG_DENSE,  73.360, 91.516),
    "vgg19_bn":        ("vgg19_bn-c79401a0",            139_592_256, VGG_DENSE,  74.218, 91.842),
    "googlenet_bn":    ("googlenet-1378be20",             5_614_464, 0,          69.778, 89.530),
    "inception_v3_tv": ("inception_v3_google-0cc3c7bd",  21_820_000, 0,          77.294, 93.450),
    "resnet18_v1_5":   ("resnet18-f37072fd",             11_186_112, 0,          69.758, 89.078),
    "resnet34_v1_5":   ("resnet34-b627a593",             21_301_696, 0,          73.314, 91.420),
    "resnet50_v1_5":   ("resnet50-0676ba61",             23_561_152, 0,          76.130, 92.862),
    "resnet101_v1_5":  ("resnet101-63fe2227",            42_605_504, 0,          77.374, 93.546),
    "resnet152_v1_5":  ("resnet152-394f9c45",            58_295_232, 0,          78.312, 94.046),
}
# fmt: on
# {our net: what differs from the other rows}
DIFFERENT: dict[str, dict[str, Any]] = {
    "googlenet_bn": {"normalise": ONE_TO_ONE, "notes": (NO_AUXILIARY,)},
    "inception_v3_tv": {"normalise": ONE_TO_ONE, "resize": 342, "crop": 299},
}


def _source(
    net: str,
    normalise: dict[str, list[float]] = IMAGENET,
    resize: int = 256,
    crop: int = 224,
    notes: tuple[str, ...] = (),
) -> Source:
    """Return the source of a net of ours."""
    file, values, dense, top1, top5 = FILES[net]
    return Source(
        "torchvision",
        net,
        "torchvision",
        f"{file}.pth",
        (
            {"op": "resize_shorter", "size": resize},
            {"op": "centre_crop", "size": crop},
            {"op": "normalise", **normalise},
        ),
        values,
        dense,
        url=f"{HOST}{file}.pth",
        top1_accuracy=top1,
        top5_accuracy=top5,
        protocol=f"centre crop of {crop} pixels, shorter side {resize}",
        notes=notes,
    )


SOURCES = tuple(_source(net, **DIFFERENT.get(net, {})) for net in FILES)
