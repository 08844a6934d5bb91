"""Facts about Network in Network: Lin, Chen and Yan, arXiv:1312.4400."""

from dataclasses import replace

from keras_ilsvrc.nets.family import Family
from keras_ilsvrc.nets.variations import WIDTH, Choice

NIN = Family(
    "Lin, Chen and Yan, arXiv:1312.4400 (Caffe's model zoo)",
    2013,
    "nin:nin",
    space={"initial": ["he", "glorot", "paper"]},
    minimum=39,
    departures=(
        "the paper has no ImageNet net; this is the authors' net in Caffe's model zoo",
        "all kernels start with standard deviation 0.05; in the model zoo, those of conv1, conv3 "
        "and cccp8 start with 0.01",
    ),
    place="not a challenge entry; GoogLeNet adopted its 1x1 convolutions and global average "
    "pooling",
    news=(
        "mlpconv: a small multilayer perceptron of 1x1 convolutions instead of a linear filter",
        "global average pooling, with one map per class, in place of fully connected layers",
        "no fully connected layers, so that the net has an eighth of AlexNet's parameters",
    ),
)
NIN_CIFAR = replace(
    NIN,
    paper="Lin, Chen and Yan, arXiv:1312.4400",
    builder="nin:nin_cifar10",
    variations={
        "layers": Choice(("mlpconv", "linear")),  # "linear": see CIFAR10_LINEAR in nin.py
        "head": Choice(("average", "dense", "dense_dropout")),
        "pool2": Choice(("max", "average")),
        "width": WIDTH,
    },
    space={"head": ["average", "dense", "dense_dropout"], **NIN.space},
    input_shape=(32, 32, 3),
    minimum=4,
    classes=10,
    fixed_size={"head": ("dense", "dense_dropout")},
    departures=(
        "pool2 is a max pool, as in the authors' release for cuda-convnet (NIN/cifar-10_def); in "
        "their release for Caffe (cifar10_nin.caffemodel), it is an average pool "
        '(pool2="average")',
    ),
)

NETS = {
    "nin": NIN.net(7_595_176),
    "nin_cifar10": NIN_CIFAR.net(966_986, (10.41, None, "single_view")),
}
