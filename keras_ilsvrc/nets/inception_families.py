"""GoogLeNet, Inception and CNDS: variations, departures, result in the challenge, what was new."""

from dataclasses import replace

from keras_ilsvrc.nets.families import WIDTH
from keras_ilsvrc.nets.family import Family
from keras_ilsvrc.nets.variations import Choice

AUXILIARY = Choice((False, True), same_net=True)

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
    departures=("the constants of LRN are those of Krizhevsky et al.; the paper gives none",),
    place="2014: first with 6.67 % top-5 error (seven nets)",
    news=(
        "22 layers, with inception modules: 1x1, 3x3, 5x5 and a pool in parallel",
        "1x1 reductions make 3x3 and 5x5 affordable; average pooling in place of fc6 and fc7",
        "auxiliary classifiers feed gradients into the middle layers",
    ),
)
GOOGLENET_BN = replace(
    GOOGLENET,
    paper="Szegedy et al., arXiv:1409.4842, in torchvision's version",
    builder="googlenet:googlenet_bn",
    variations={"auxiliary": AUXILIARY},
    place="not an entry: torchvision's version of the winner of 2014",
    departures=(
        "as in torchvision, batch normalisation instead of LRN and biases, 3x3 instead of 5x5, "
        "pool4 2x2 with stride 2, dropout 0.2, and auxiliary classifiers on maps averaged to 4x4",
    ),
)
BN_INCEPTION = Family(
    "Ioffe and Szegedy, arXiv:1502.03167",
    2015,
    "bn_inception:bn_inception",
    departures=(
        "the pools of 4c and 4d project to 128 maps, as printed in the table; the 576 output maps "
        "in the same table would need 96",
        "conv1 is an ordinary convolution; the authors' is separable, with depth multiplier 8",
        "average pools count the padding, as in the Caffe and torch versions",
        "momentum 0.9 and epsilon 1e-5 are from the Caffe and torch versions; the paper has none",
    ),
    place="not an entry: 4.82 % top-5 error on the test set of 2014 (six nets)",
    news=(
        "batch normalisation before each ReLU: learning rates 30 times higher, no dropout, no LRN",
        "two 3x3 convolutions in place of each 5x5",
        "GoogLeNet's accuracy in a fourteenth of the training steps",
    ),
)
INCEPTION_V3 = Family(
    "Szegedy et al., arXiv:1512.00567",
    2015,
    "inception_v3:inception_v3",
    {"auxiliary": AUXILIARY},
    input_shape=(299, 299, 3),
    minimum=75,
    departures=(
        "this is the authors' released net; the paper's table 1 lacks its 1x1 convolution to 80 "
        "maps and its second pool",
        "batch normalisation has a scale, gamma, which the released weights lack",
        "moving averages have Keras' momentum of 0.99 (0.9 in torchvision's version)",
    ),
    place="not an entry: 3.5 % top-5 error on the validation images (four nets, 144 crops)",
    news=(
        "n x n convolutions factorised into 1 x n and n x 1 on maps 12 to 20 pixels wide",
        "map sizes halved by convolutions and a pool in parallel, without a bottleneck",
        "label smoothing; the auxiliary classifier, batch-normalised, acts as a regulariser",
    ),
)
CNDS = Family(
    "Wang, Lee, Tu and Lazebnik, arXiv:1505.02496",
    2015,
    "cnds:cnds8",
    {"auxiliary": AUXILIARY},
    input_shape=(227, 227, 3),
    minimum=31,
    departures=(
        "widths are those of the net released for Places; those for ImageNet are not published",
    ),
    place="not an entry",
    news=(
        "an auxiliary branch where gradients were measured to vanish in the first iterations",
        "the weight of its loss decays to zero in training; the branch is dropped at test time",
        "one point better than the same net without the branch",
    ),
)
