"""Facts about CNDS-8: Wang, Lee, Tu and Lazebnik, arXiv:1505.02496."""

from keras_ilsvrc.nets.family import Family
from keras_ilsvrc.nets.variations import AUXILIARY, WIDTH, Choice

CNDS = Family(
    "Wang, Lee, Tu and Lazebnik, arXiv:1505.02496",
    2015,
    "cnds:cnds8",
    # auxiliary_bn adds batch normalisation to the auxiliary branch, as in Szegedy et al.,
    # arXiv:1512.00567. The paper of CNDS does not use it.
    {"auxiliary": AUXILIARY, "auxiliary_bn": Choice((False, True)), "width": WIDTH},
    space={"initial": ["he", "glorot", "paper"]},
    input_shape=(227, 227, 3),
    minimum=31,
    fixed_size=True,
    departures=(
        "widths are those of the net released for Places; those for ImageNet are not published",
    ),
    place="not a challenge entry",
    news=(
        "an auxiliary branch where gradients were measured to vanish in the first iterations",
        "the weight of its loss decays to zero in training; the branch is dropped at test time",
        "errors about one point lower than those of the same net without the branch",
    ),
)

NETS = {"cnds8": CNDS.net(63_665_000, (33.8, 13.2, "not stated"))}
