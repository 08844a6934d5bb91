"""Facts about Inception-v3: Szegedy et al., arXiv:1512.00567."""

from keras_ilsvrc.nets.family import Family
from keras_ilsvrc.nets.variations import AUXILIARY

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
    place="not a challenge entry: 3.5 % top-5 error on validation images (four nets, 144 crops)",
    news=(
        "n x n convolutions factorised into 1 x n and n x 1 on maps 12 to 20 pixels wide",
        "map sizes halved by convolutions and a pool in parallel, without a bottleneck",
        "label smoothing; an auxiliary classifier with batch normalisation, as a regulariser",
    ),
)

NETS = {
    "inception_v3": INCEPTION_V3.net(23_834_568, (21.2, 5.6, "single_view"), form="tensorflow"),
    "inception_v3_tv": INCEPTION_V3.net(
        23_834_568,
        (22.706, 6.55, "single_view"),
        form="torchvision",
        departures=(
            "as in torchvision, average pools include the zero padding, and dropout is 0.5",
        ),
    ),
}
