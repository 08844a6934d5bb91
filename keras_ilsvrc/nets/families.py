"""What the nets of one paper share: where it stands, what it varied, what was new."""

from dataclasses import replace

from keras_ilsvrc.nets.family import Family
from keras_ilsvrc.nets.variations import Choice, Number

WIDTH = Number(1.0, least=0.01)

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
        "no fully connected layer is left: an eighth of AlexNet's parameters",
    ),
)
ZFNET_ONNX = replace(
    ZFNET,
    paper="Zeiler and Fergus, arXiv:1311.2901, as the ONNX model zoo has it",
    departures=(
        *ZFNET.departures,
        "conv1 unpadded, LRN before the pools, 512 maps in conv3 to conv5, 1024 units in fc7",
    ),
    place="not an entry: a re-make of ZFNet",
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
