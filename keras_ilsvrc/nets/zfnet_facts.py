"""Facts about ZFNet: Zeiler and Fergus, arXiv:1311.2901."""

from dataclasses import replace

from keras_ilsvrc.nets.family import Family
from keras_ilsvrc.nets.variations import Choice, Number

ZFNET = Family(
    "Zeiler and Fergus, arXiv:1311.2901",
    2013,
    "zfnet:zfnet",
    {  # design choices of AlexNet, which the paper changes or keeps
        "conv1": Choice(("7/2", "11/4")),
        "lrn": Choice((True, False)),
        "pool": Choice(("3/2", "2/2")),
        "dropout": Number(0.5, least=0, below=1),
    },
    space={
        "form": ["a", "b"],
        "conv1": ["7/2", "11/4"],
        "lrn": [True, False],
        "pool": ["3/2", "2/2"],
        "dropout": (0.0, 0.8),
        "initial": ["he", "glorot", "paper"],
    },
    minimum=47,
    fixed_size=True,
    departures=("the constants of LRN are those of Krizhevsky et al.; the paper gives none",),
    place="2013: 14.8 % top-5 error (six nets); the first author's Clarifai won with 11.7 %",
    news=(
        "visualised AlexNet's layers with a deconvnet, and fixed the faults that this revealed",
        "conv1 7x7 with stride 2 instead of 11x11 with stride 4: no aliasing, fewer dead filters",
        "showed that covering the object, not the background, changes the prediction",
    ),
)
ZFNET_ONNX = replace(
    ZFNET,
    variations={},
    space={"initial": ["he", "glorot", "paper"]},
    paper="Zeiler and Fergus, arXiv:1311.2901, in the ONNX model zoo's version",
    # The file in the model zoo was made from zfnet512/predict_net.pbtxt of facebookarchive/models.
    # There, pool5 has kernel 2 and stride 2, and LRN has bias 2 and alpha 5e-4. ONNX divides alpha
    # by the 5 channels of the sum, so alpha is 1e-4 in our definition.
    minimum=33,
    departures=(
        "conv1 without padding, LRN before pools, 512 maps in conv3 to conv5, 2x2 windows in "
        "pool5, 1024 units in fc7",
    ),
    place="not a challenge entry: the ONNX model zoo's version of ZFNet",
)

NETS = {
    "zfnet": ZFNET.net(62_357_608, (38.4, 16.5, "not stated"), form="a"),
    "zfnet_512": ZFNET.net(107_627_624, (37.5, 16.0, "not stated"), form="b"),
    "zfnet512_onnx": ZFNET_ONNX.net(87_250_536, (44.03, 20.59, "single_view"), form="onnx"),
}
