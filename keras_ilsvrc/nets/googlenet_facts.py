"""Facts about GoogLeNet: Szegedy et al., arXiv:1409.4842."""

from dataclasses import replace

from keras_ilsvrc.nets.family import Family
from keras_ilsvrc.nets.variations import AUXILIARY, WIDTH, Choice

GOOGLENET = Family(
    "Szegedy et al., arXiv:1409.4842",
    2014,
    "googlenet:googlenet",
    {
        "auxiliary": AUXILIARY,
        "auxiliary_bn": Choice((False, True)),
        "module": Choice(("reduced", "naive")),
        "width": WIDTH,
    },
    fixed_size={"auxiliary": (True,)},
    departures=("the constants of LRN are those of Krizhevsky et al.; the paper gives none",),
    place="2014: first with 6.67 % top-5 error (seven nets)",
    news=(
        "22 layers; inception modules have 1x1, 3x3 and 5x5 convolutions and a pool in parallel",
        "1x1 convolutions reduce the cost; average pooling replaces fc6 and fc7",
        "auxiliary classifiers feed gradients into the middle layers",
    ),
)
GOOGLENET_BN = replace(
    GOOGLENET,
    paper="Szegedy et al., arXiv:1409.4842, in torchvision's version",
    builder="googlenet:googlenet_bn",
    variations={"auxiliary": AUXILIARY},
    fixed_size=False,
    place="not an entry: torchvision's version of the winner of 2014",
    departures=(
        "as in torchvision, batch normalisation instead of LRN and biases, 3x3 instead of 5x5, "
        "pool4 2x2 with stride 2, dropout 0.2, and auxiliary classifiers on maps averaged to 4x4",
    ),
)

NETS = {
    "googlenet": GOOGLENET.net(6_998_552, (None, 10.07, "single_view")),
    "googlenet_bn": GOOGLENET_BN.net(6_624_904, (30.222, 10.47, "single_view")),
}
