"""Weights published with pytorchcv 0.0.74. The files are in .zip archives, one in each."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from keras_ilsvrc.weights.sources.source import IMAGENET, Source, normalised

HOST = "https://github.com/osmr/imgclsmob/releases/download/"
CIFAR = ((125.307, 122.961, 113.8575), (51.5865, 50.847, 51.255))
ZFNET = "pytorchcv normalises before it pools, and divides alpha by 5: outputs differ"
NIN = "pytorchcv pads its pools, and the second one averages: outputs differ"
POOL1 = "pytorchcv pads pool1 by 1: outputs differ"
SPLIT = "pytorchcv splits the paths of the first unit before it activates: outputs differ"
B: Mapping[str, Any] = {"shortcut": "B"}


class Row(NamedTuple):
    """What is known of the weights of one net."""

    release: str
    file: str  # without .pth
    values: int
    top1_error: float
    top5_error: float | None = None
    dense: int = 0
    options: Mapping[str, Any] = {}
    note: str | None = None


# fmt: off
FILES = {
    "zfnet": Row("395", "zfnet-1727-d010ddca", 58_260_608, 39.79, 17.27, 54_534_144, {}, ZFNET),
    "zfnet_512":
        Row("400", "zfnetb-1490-f6bec24e", 103_530_624, 36.37, 14.90, 92_282_880, {}, ZFNET),
    "bn_inception": Row("405", "bninception-0774-d79ba5f5", 10_290_272, 25.37, 7.74),
    "resnet18_v1_5": Row("478", "resnet18-0896-77a56f15", 11_186_112, 26.94, 8.96),
    "resnet34_v1_5": Row("291", "resnet34-0780-3f775482", 21_301_696, 24.84, 7.80),
    "resnet50_v1_5": Row("308", "resnet50b-0638-8a5473ef", 23_561_152, 22.39, 6.38),
    "resnet101_v1_5": Row("357", "resnet101b-0530-f059ba3c", 42_605_504, 20.59, 5.30),
    "resnet152_v1_5": Row("517", "resnet152b-0445-2f420307", 58_295_232, 19.01, 4.45),
    "resnet50": Row("329", "resnet50-0633-b00d1c8e", 23_561_152, 22.28, 6.33, 0, {}, POOL1),
    "resnet101": Row("499", "resnet101-0540-65faf447", 42_605_504, 20.79, 5.40, 0, {}, POOL1),
    "resnet152": Row("518", "resnet152-0468-d46977dd", 58_295_232, 19.29, 4.68, 0, {}, POOL1),
    "nin_cifar10": Row("175", "nin_cifar10-0743-795b0824", 965_056, 7.43, None, 0, {}, NIN),
    "resnet20_cifar": Row("163", "resnet20_cifar10-0597-9b0024ac", 273_392, 5.97, None, 0, B),
    "resnet56_cifar": Row("163", "resnet56_cifar10-0452-628c42a2", 859_376, 4.52, None, 0, B),
    "resnet110_cifar": Row("163", "resnet110_cifar10-0369-4d6ca1fc", 1_738_352, 3.69, None, 0, B),
    "resnet20_v2_cifar":
        Row("164", "preresnet20_cifar10-0651-76cec68d", 273_008, 6.51, None, 0, B, SPLIT),
    "resnet56_v2_cifar":
        Row("164", "preresnet56_cifar10-0449-e9124fcf", 858_992, 4.49, None, 0, B, SPLIT),
    "resnet110_v2_cifar":
        Row("164", "preresnet110_cifar10-0386-cc08946a", 1_737_968, 3.86, None, 0, B, SPLIT),
}
# fmt: on


def _source(net: str, row: Row) -> Source:
    """Return the source of a net of ours."""
    cifar = row.top5_error is None
    return Source(
        "pytorchcv",
        net,
        "pytorchcv_preact" if row.file.startswith("preresnet") else "pytorchcv",
        f"{row.file}.pth",
        normalised(CIFAR) if cifar else normalised(IMAGENET, 256, 224),
        row.values,
        row.dense,
        dataset="CIFAR-10" if cifar else "ImageNet",
        options=row.options,
        top1_accuracy=round(100 - row.top1_error, 2),
        top5_accuracy=row.top5_error and round(100 - row.top5_error, 2),
        protocol="single view" if cifar else "centre crop of 224 pixels, shorter side 256",
        licence="MIT",
        notes=(
            *filter(None, [row.note]),
            f"packed in {HOST}v0.0.{row.release}/{row.file}.pth.zip",
        ),
    )


SOURCES = tuple(_source(net, row) for net, row in FILES.items())
