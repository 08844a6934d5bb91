"""GoogLeNet, the Inceptions and CNDS: where they stand, what they varied, what was new."""

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
    place="2014: first with 6.67 % top-5 (seven nets)",
    news=(
        "22 layers of inception modules: 1x1, 3x3, 5x5 and a pool side by side",
        "1x1 reductions make the wide branches affordable; an average in place of fc6 and fc7",
        "auxiliary classifiers feed gradients into the middle",
    ),
)
GOOGLENET_BN = replace(
    GOOGLENET,
    paper="Szegedy et al., arXiv:1409.4842, as torchvision has it",
    builder="googlenet:googlenet_bn",
    variations={"auxiliary": AUXILIARY},
    place="not an entry: torchvision's re-make of the winner of 2014",
    departures=(
        "torchvision's form: batch normalisation for LRN and biases, 3x3 in the 5x5 branch, pool4 "
        "2x2 of stride 2, dropout 0.2, and auxiliary classifiers on 4x4 averages",
    ),
)
BN_INCEPTION = Family(
    "Ioffe and Szegedy, arXiv:1502.03167",
    2015,
    "bn_inception:bn_inception",
    departures=(
        "the pools of 4c and 4d project to 128 maps, as the table prints; it also prints 576 maps "
        "of output, which only 96 would give",
        "conv1 is dense; the authors' is separable, depth multiplier 8",
        "averages count the zeros around the maps, as Caffe's and torch's re-makes do",
        "momentum 0.9 and epsilon 1e-5 are of the re-makes; the paper gives none",
    ),
    place="not an entry: 4.82 % top-5 on the test set of 2014 (six nets)",
    news=(
        "batch normalisation before every nonlinearity: rates 30 times higher, no dropout, no LRN",
        "5x5 as two 3x3",
        "GoogLeNet's accuracy in a fourteenth of its steps",
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
        "the authors' released net; the paper's table 1 lacks its 1x1 convolution to 80 maps and "
        "its second pool",
        "batch normalisation scales by gamma, which the released weights leave out",
        "moving statistics have Keras' momentum of 0.99 (torchvision's form: 0.9)",
    ),
    place="not an entry: 3.5 % top-5 on the validation images (four nets, 144 crops)",
    news=(
        "n x n factorised into 1 x n and n x 1 where maps are 12 to 20 wide",
        "grids reduced by convolution and pool side by side, with no bottleneck",
        "label smoothing; the auxiliary classifier regularises, batch-normalised",
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
        "widths of the net released for Places; the paper's own for ImageNet are not published",
    ),
    place="not an entry",
    news=(
        "a branch where the gradients of the first iterations vanish, found by measuring",
        "its weight decays to nothing in training; it is dropped at the test",
        "one point better than the same net without",
    ),
)
