"""What the nets of one paper share: where it stands, what it varied, what was new."""

from dataclasses import replace

from keras_ilsvrc.nets.registry import Family
from keras_ilsvrc.nets.variations import Choice, Number

WIDTH = Number(1.0, least=0.01)
AUXILIARY = Choice((False, True), same_net=True)

LENET = Family(
    "LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE 86",
    1998,
    "lenet:lenet5",
    input_shape=(32, 32, 1),
    classes=10,
    place="fourteen years before the challenge; read cheques",
    news=(
        "convolution, sub-sampling, convolution, trained end to end by back-propagation",
        "one kernel swept over the image: few weights, and the same answer wherever a digit is",
        "more and more maps that are smaller and smaller",
    ),
)
ALEXNET = Family(
    "Krizhevsky, Sutskever and Hinton, NIPS 25",
    2012,
    "alexnet:alexnet",
    {
        "activation": Choice(("relu", "tanh", "sigmoid")),
        "pool": Choice(("3/2", "2/2")),
        "pool_kind": Choice(("max", "average")),
        "lrn": Choice(("all", "tower", "none")),
        "dropout": Number(0.5, least=0, below=1),
        "groups": Choice((2, 1)),
        "conv1": Choice(("11/4", "7/2")),
        "width": WIDTH,
    },
    minimum=64,
    departures=(
        "LRN runs over all maps, as the formula reads; the authors' code normalises each tower "
        'alone (lrn="tower")',
        "the sum in LRN is not divided by its size, as the formula reads; the authors' code "
        "divides it by 5",
        "convolution, ReLU, LRN, pool, as the text reads; the authors' code has no ReLU before "
        "the first LRN and pool, and one more normalisation after the second LRN",
        "dropout divides by its keeping rate in training, not at the test; the expectation is "
        "the same",
    ),
    place="2012: first with 15.3 % top-5 (seven nets); the second had 26.2 %",
    news=(
        "five convolutions and three fully connected layers, in two towers on two GPUs",
        "ReLU, which learns several times faster than tanh; local response normalisation; "
        "overlapping pools",
        "dropout, crops, flips and colour noise against overfitting",
    ),
)
CAFFENET = Family(
    "Jia et al., arXiv:1408.5093 (bvlc_reference_caffenet)",
    2014,
    "alexnet:caffenet",
    input_shape=(227, 227, 3),
    minimum=39,
    departures=("fc6 and fc7 start as AlexNet's, deviation 0.01; Caffe's with 0.005",),
    place="not an entry: Caffe's re-make of the winner of 2012; R-CNN stands on it",
    news=(
        "AlexNet on one GPU, its two towers kept as groups",
        "pools before it normalises, which saves time",
        "crops of 227, in which every window fits",
    ),
)
ONE_WEIRD_TRICK = Family(
    "Krizhevsky, arXiv:1404.5997, as torchvision has it",
    2014,
    "alexnet:alexnet_owt",
    minimum=63,
    departures=(
        "torchvision's form: no LRN, and dropout before fc6 and fc7; the author's code has LRN "
        "before the first two pools",
        "without the average to 6x6 maps that torchvision has for other sizes than 224",
    ),
    place="not an entry",
    news=("AlexNet in one column of 64 to 384 maps", "no groups, no LRN", "conv1 padded by 2"),
)
ZFNET = Family(
    "Zeiler and Fergus, arXiv:1311.2901",
    2013,
    "zfnet:zfnet",
    minimum=49,
    departures=("the constants of LRN are those of Krizhevsky et al.; the paper gives none",),
    place="2013: 14.8 % top-5 (six nets); Clarifai, of the first author, first with 11.7 %",
    news=(
        "looked inside AlexNet by a deconvnet, and mended what it saw",
        "conv1 7x7 of stride 2 for 11x11 of stride 4: no aliasing, fewer dead filters",
        "showed that occlusion of the object, not of the background, changes the answer",
    ),
)
NIN = Family(
    "Lin, Chen and Yan, arXiv:1312.4400 (Caffe's model zoo)",
    2013,
    "nin:nin",
    minimum=39,
    departures=(
        "the paper has no ImageNet net: this is the authors' of Caffe's model zoo",
        "all kernels start with deviation 0.05; conv1, conv3 and cccp8 of the zoo with 0.01",
    ),
    place="not an entry; GoogLeNet took both its ideas",
    news=(
        "mlpconv: a small perceptron in place of a linear filter, by 1x1 convolutions",
        "global average pooling, one map a class, in place of fully connected layers",
        "a twelfth part of AlexNet's parameters or less",
    ),
)
NIN_CIFAR = replace(
    NIN,
    paper="Lin, Chen and Yan, arXiv:1312.4400",
    builder="nin:nin_cifar10",
    variations={"head": Choice(("average", "dense", "dense_dropout"))},
    input_shape=(32, 32, 3),
    minimum=4,
    classes=10,
    departures=(),
)
VGG = Family(
    "Simonyan and Zisserman, arXiv:1409.1556",
    2014,
    "vgg:vgg",
    {"batch_norm": Choice((False, True))},
    place="2014: second with 7.3 % top-5; first in localisation",
    news=(
        "3x3 convolutions only, stacked: the field of 5x5 or 7x7 with fewer weights",
        "11 to 19 weight layers: depth alone lowers the error",
        "dense evaluation at several scales; deeper nets start from shallower ones",
    ),
)
VGG_BN = replace(
    VGG,
    paper="Simonyan and Zisserman, arXiv:1409.1556, as torchvision has it",
    variations={"batch_norm": Choice((True, False))},
    departures=("batch normalisation behind every convolution, beside its bias",),
    place="not an entry: torchvision's re-make of the second of 2014",
)
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
    builder="googlenet:googlenet_bn",
    variations={"auxiliary": AUXILIARY},
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
    ),
    place="not on the list of 2015: 3.5 % top-5 on its validation images (four nets, 144 crops)",
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
