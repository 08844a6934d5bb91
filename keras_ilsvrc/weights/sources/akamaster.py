"""Weights of ResNets for CIFAR-10 by Yerlan Idelbayev (akamaster/pytorch_resnet_cifar10)."""

from keras_ilsvrc.weights.sources.source import IMAGENET, normalised, sources

HOST = "https://github.com/akamaster/pytorch_resnet_cifar10/raw/"
REVISION = "d5489e8995e81e91ce6b1d69dcc98ad579b0b153"
# (depth, number of values, top-1 accuracy in %, SHA-256). The first 8 digits of the SHA-256 are the
# end of the file name.
FILES = (
    (20, 270_448, 91.73, "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8"),
    (32, 465_776, 92.63, "d509ac1820d7f25398913559d7e81a13229b1e7adc5648e3bfa5e22dc137f850"),
    (44, 661_104, 93.10, "014dd6541728a1c700b1642ab640e211dc6eb8ed507d70697458dc8f8a0ae2e4"),
    (56, 856_432, 93.39, "4bfd97631478d6b638d2764fd2baff3edb1d7d82252d54439343b6596b9b5367"),
    (110, 1_735_408, 93.68, "1d1ed7c27571399c1fef66969bc4df68d6a92c8e6c41170f444e120e5354e3bc"),
    (1202, 19_510_256, 93.82, "f3b1deed382cd4c986ff8aa090c805d99a646e99d1f9227d7178183648844f62"),
)

SOURCES = sources(
    "akamaster",
    "akamaster",
    (
        (f"resnet{depth}_cifar", f"resnet{depth}-{sha256[:8]}", values, top1, None, sha256)
        for depth, values, top1, sha256 in FILES
    ),
    f"{HOST}{REVISION}/pretrained_models/",
    ".th",
    preprocessing=normalised(IMAGENET),
    dataset="CIFAR-10",
    protocol="single view",
    licence="BSD-2-Clause",
    notes=(
        "shortcuts of option A add maps before and after the existing ones, so channels are "
        "permuted on loading",
    ),
)
