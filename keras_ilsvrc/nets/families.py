"""Nets by paper: reference, variations, departures, result in the challenge, what was new."""

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
    place="not an entry: fourteen years before AlexNet; used to read cheques",
    news=(
        "alternating convolutions and subsampling, trained end to end by back-propagation",
        "each kernel slides over the image: few weights, and the same response at every position",
        "from layer to layer, more maps of a smaller size",
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
        "LRN sums over all maps, as in the formula; the authors' code normalises each tower "
        'separately (lrn="tower")',
        "the sum in LRN is not divided by its size, as in the formula; the authors' code "
        "divides it by 5",
        "the order is convolution, ReLU, LRN, pool, as in the text; the authors' code has no ReLU "
        "before the first LRN and pool, and one more normalisation after the second LRN",
        "dropout divides by the keep probability in training, and does not multiply by it at test "
        "time; the expectation is the same",
    ),
    place="2012: first with 15.3 % top-5 error (seven nets); second place had 26.2 %",
    news=(
        "five convolutions and three fully connected layers, in two towers on two GPUs",
        "ReLU, which trains several times faster than tanh; local response normalisation; "
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
    departures=("fc6 and fc7 start with deviation 0.01, as in AlexNet; Caffe's with 0.005",),
    place="not an entry: Caffe's version of the winner of 2012, used in R-CNN",
    news=(
        "AlexNet on one GPU, with its two towers as groups",
        "pooling before normalisation, which saves time",
        "crops of 227x227 pixels, into which every window fits exactly",
    ),
)
ONE_WEIRD_TRICK = Family(
    "Krizhevsky, arXiv:1404.5997, in torchvision's version",
    2014,
    "alexnet:alexnet_owt",
    minimum=63,
    departures=(
        "as in torchvision, there is no LRN, and dropout comes before fc6 and fc7; the author's "
        "code has LRN before the first two pools",
        "no average pooling to 6x6 maps, which torchvision has for image sizes other than 224",
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
    place="2013: 14.8 % top-5 error (six nets); the first author's Clarifai won with 11.7 %",
    news=(
        "visualised AlexNet's layers with a deconvnet, and fixed the faults that this showed",
        "conv1 7x7 with stride 2 instead of 11x11 with stride 4: no aliasing, fewer dead filters",
        "showed that covering the object, not the background, changes the prediction",
    ),
)
NIN = Family(
    "Lin, Chen and Yan, arXiv:1312.4400 (Caffe's model zoo)",
    2013,
    "nin:nin",
    minimum=39,
    departures=(
        "the paper has no ImageNet net; this is the authors' net in Caffe's model zoo",
        "all kernels start with standard deviation 0.05; in the zoo conv1, conv3, cccp8 with 0.01",
    ),
    place="not an entry; GoogLeNet adopted its 1x1 convolutions and global average pooling",
    news=(
        "mlpconv: a small multilayer perceptron of 1x1 convolutions instead of a linear filter",
        "global average pooling, with one map per class, in place of fully connected layers",
        "no fully connected layers, so that it has an eighth of AlexNet's parameters",
    ),
)
ZFNET_ONNX = replace(
    ZFNET,
    paper="Zeiler and Fergus, arXiv:1311.2901, in the ONNX model zoo's version",
    departures=(
        *ZFNET.departures,
        "conv1 without padding, LRN before pools, 512 maps in conv3 to conv5, 1024 units in fc7",
    ),
    place="not an entry: the ONNX model zoo's version of ZFNet",
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
    place="2014: second with 7.3 % top-5 error; first in localisation",
    news=(
        "stacks of 3x3 convolutions: the receptive field of a 5x5 or 7x7 with fewer weights",
        "11 to 19 weight layers: more depth by itself lowers the error",
        "dense evaluation at several scales; deeper nets are initialised from shallower ones",
    ),
)
VGG_BN = replace(
    VGG,
    paper="Simonyan and Zisserman, arXiv:1409.1556, in torchvision's version",
    variations={"batch_norm": Choice((True, False))},
    departures=("batch normalisation after every convolution, which also has a bias",),
    place="not an entry: torchvision's version of VGG, second in 2014",
)
