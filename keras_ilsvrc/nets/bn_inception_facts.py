"""Facts about BN-Inception: Ioffe and Szegedy, arXiv:1502.03167."""

from keras_ilsvrc.nets.family import Family

BN_INCEPTION = Family(
    "Ioffe and Szegedy, arXiv:1502.03167",
    2015,
    "bn_inception:bn_inception",
    departures=(
        "the pool projections of 4c and 4d have 128 maps, as printed in the table; the 576 output "
        "maps in the same table would need 96",
        "conv1 is an ordinary convolution; the authors' is separable, with depth multiplier 8",
        "average pools include the zero padding, as in the Caffe and torch versions",
        "momentum 0.9 and epsilon 1e-5 are from the Caffe and torch versions; the paper gives none",
    ),
    place="not a challenge entry: 4.82 % top-5 error on the test set of 2014 (six nets)",
    news=(
        "batch normalisation before each ReLU: learning rates 30 times higher, no dropout, no LRN",
        "two 3x3 convolutions in place of each 5x5 convolution",
        "GoogLeNet's accuracy in a fourteenth of the training steps",
    ),
)

NETS = {"bn_inception": BN_INCEPTION.net(11_285_224, (25.2, 7.82, "single_view"))}
