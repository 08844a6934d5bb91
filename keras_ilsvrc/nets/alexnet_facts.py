"""Facts about AlexNet (NIPS 25), CaffeNet (arXiv:1408.5093) and alexnet_owt (arXiv:1404.5997)."""

from keras_ilsvrc.nets.family import Family
from keras_ilsvrc.nets.printed import Line, Printed
from keras_ilsvrc.nets.variations import ACTIVATION, WIDTH, Choice, Number

ALEXNET = Family(
    "Krizhevsky, Sutskever and Hinton, NIPS 25",
    2012,
    "alexnet:alexnet",
    {
        "activation": ACTIVATION,
        "pool": Choice(("3/2", "2/2")),
        "pool_kind": Choice(("max", "average")),  # "average" is not in the paper
        "lrn": Choice(("all", "tower", "none", "caffe")),  # "caffe": as in Caffe's bvlc_alexnet
        "dropout": Number(0.5, least=0, below=1),  # the paper uses only 0.5
        "groups": Choice((2, 1)),
        "conv1": Choice(("11/4", "7/2")),  # "7/2" is from ZFNet
        "conv3_5": Choice(("384-384-256", "512-1024-512")),  # the second is from ZFNet, table 2
        "width": WIDTH,
    },
    space={
        "conv1": ["11/4", "7/2"],
        "conv3_5": ["384-384-256", "512-1024-512"],
        "dropout": (0.0, 0.8),
        "lrn": ["all", "tower", "none"],
        "pool": ["3/2", "2/2"],
        "initial": ["he", "glorot", "paper"],
    },
    minimum=64,
    fixed_size=True,
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
    space={"initial": ["he", "glorot", "paper"]},
    minimum=39,
    fixed_size=True,
    departures=(
        "kernels of fc6 and fc7 start with standard deviation 0.01, as in AlexNet; the standard "
        "deviation in Caffe is 0.005",
    ),
    place="not a challenge entry: Caffe's version of the winner of 2012, used in R-CNN",
    news=(
        "AlexNet on one GPU, with its two towers as groups of convolutions",
        "pooling before normalisation, which saves time",
        "crops of 227x227 pixels, which the windows of all layers cover exactly",
    ),
)
ONE_WEIRD_TRICK = Family(
    "Krizhevsky, arXiv:1404.5997, in torchvision's version",
    2014,
    "alexnet:alexnet_owt",
    space={"initial": ["he", "glorot", "paper"]},
    minimum=63,
    fixed_size=True,
    departures=(
        "as in torchvision, there is no LRN, and dropout comes before fc6 and fc7; the author's "
        "code has LRN before the first two pools",
        "no average pooling to 6x6 maps, which torchvision has for image sizes other than 224",
    ),
    place="not a challenge entry",
    news=("AlexNet in one column of 64 to 384 maps", "no groups, no LRN", "conv1 padded by 2"),
)

# Krizhevsky et al. 2012, caption of figure 2: number of units of each layer.
FIGURE_2 = {
    "conv1": 253_440,
    "conv2": 186_624,
    "conv3": 64_896,
    "conv4": 64_896,
    "conv5": 43_264,
    "fc6": 4_096,
    "fc7": 4_096,
    "fc8": 1_000,
}

NETS = {
    "alexnet": ALEXNET.net(60_965_224, (40.7, 18.2, "ten_crop")),
    "caffenet": CAFFENET.net(60_965_224, (42.6, 19.6, "single_view")),
    "alexnet_owt": ONE_WEIRD_TRICK.net(61_100_840, (43.478, 20.934, "single_view")),
}


def _lines() -> list[Line]:
    why = {"conv1": "55 * 55 * 96 is 290,400; no number of maps gives the value in the caption"}
    lines = [Line(k, "units", k, f"{n:,}", why.get(k, "")) for k, n in FIGURE_2.items()]
    return [
        *lines,
        Line("neurons", "units", "", "650K", "rounded in the abstract"),
        Line("parameters", "parameters", "", "60M"),
    ]


PRINTED = {"alexnet": Printed("caption of figure 2, abstract", _lines)}
