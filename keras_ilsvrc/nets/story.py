"""History of the challenge from 2010 to 2016: winners, errors, depths, and all sources."""

from dataclasses import dataclass

from keras_ilsvrc.nets.table import NETS

RESULTS = "image-net.org/challenges/LSVRC/{}/results"
ALEXNET = "Krizhevsky, Sutskever and Hinton, NIPS 25"
ZFNET = "Zeiler and Fergus, arXiv:1311.2901"
GOOGLENET = "Szegedy et al., arXiv:1409.4842"
VGG = "Simonyan and Zisserman, arXiv:1409.1556"
RESNET = "He et al., arXiv:1512.03385"
RESNET_V2 = "He et al., arXiv:1603.05027"


@dataclass(frozen=True)
class Figure:
    """Published value, with its source.

    Attributes:
        value: Error in %, or GPUs and days of training as text.
        source: Paper or web page that prints the value.
        verified: Whether the value was compared with this source, not only with quotations of it.
    """

    value: float | str
    source: str
    verified: bool = True

    def __str__(self) -> str:
        return f"{self.value}{'' if self.verified else ' ?'}"


@dataclass(frozen=True)
class Entry:
    """Entry in the challenge of one year.

    Attributes:
        year: Year of the challenge.
        place: `first`, `second`, or `beside` for a net of this package that was neither.
        name: Team and its models.
        error: Top-5 error in %, on the test images unless the name says otherwise.
        net: Name of the entry's net in this package (of several nets, the deepest one); empty if
            this package has none.
        layers: Number of layers with weights in the net.
        macs: Number of multiply-adds of the net for one image.
        training: GPUs and days to train one net; None if the authors do not state them.
    """

    year: int
    place: str
    name: str
    error: Figure
    net: str = ""
    layers: int | None = None
    macs: int | None = None
    training: Figure | None = None

    @property
    def parameters(self) -> int | None:
        """Number of trainable parameters of the net, from the registry."""
        return NETS[self.net].parameters if self.net else None


def _result(year: int, error: float, verified: bool = False) -> Figure:
    return Figure(error, RESULTS.format(year), verified)


# Top-5 error of one person, who had practised with 500 images, on 1,500 test images.
HUMAN = Figure(5.1, "Russakovsky et al., arXiv:1409.0575, section 6.4")

YEARS = {
    2010: "The first challenge. Shallow systems: features designed by hand, and a linear SVM.",
    2011: "Still shallow; better features lower the error by two points.",
    2012: "The first deep net, trained on two GPUs, makes three errors for the runner-up's five.",
    2013: "Almost all entries are now convolutional nets on GPUs.",
    2014: "Depth grows from 8 to 19 layers with stacks of 3x3 convolutions, to 22 with Inception.",
    2015: "With shortcuts, nets are seven times as deep. The error halves; it is below a person's.",
    2016: "Residual nets are everywhere. With pre-activation, they reach 200 layers "
    "(1,001 on CIFAR-10).",
}

STORY = (
    Entry(2010, "first", "NEC-UIUC: SIFT and LBP features", _result(2010, 28.2)),
    Entry(2010, "second", "XRCE: Fisher vectors", _result(2010, 33.6)),
    Entry(2011, "first", "XRCE: Fisher vectors", _result(2011, 25.8)),
    Entry(2011, "second", "Amsterdam and Trento", _result(2011, 31.0)),
    Entry(
        *(2012, "first", "SuperVision: seven AlexNets", Figure(15.3, f"{ALEXNET}, table 2")),
        *("alexnet", 8, 724_406_816),
        Figure("2 GTX 580, 5 to 6 days", f"{ALEXNET}, section 1"),
    ),
    Entry(2012, "second", "ISI, Tokyo: Fisher vectors", _result(2012, 26.2, verified=True)),
    Entry(2013, "first", "Clarifai: several nets", _result(2013, 11.7)),
    Entry(2013, "second", "NUS", _result(2013, 13.0)),
    Entry(
        *(2013, "beside", "Zeiler, Fergus: six ZFNets", Figure(14.8, f"{ZFNET}, table 2")),
        *("zfnet", 8, 1_168_032_896),
        Figure("1 GTX 580, 12 days", f"{ZFNET}, section 3"),
    ),
    Entry(
        *(2014, "first", "Google: seven GoogLeNets", Figure(6.67, f"{GOOGLENET}, section 7")),
        *("googlenet", 22, 1_582_671_872),
        Figure("DistBelief cluster", f"{GOOGLENET}, section 6"),
    ),
    Entry(
        *(2014, "second", "Oxford: seven VGG nets", Figure(7.3, f"{VGG}, table 6")),
        *("vgg19", 19, 19_632_062_464),
        Figure("4 Titan Black, 2 to 3 weeks", f"{VGG}, section 3.3"),
    ),
    Entry(
        *(2015, "first", "MSRA: six ResNets", Figure(3.57, f"{RESNET}, table 5")),
        *("resnet152", 152, 11_282_415_616),
    ),
    Entry(2015, "second", "ReCeption", _result(2015, 3.58)),
    Entry(2016, "first", "Trimps-Soushen: several nets", _result(2016, 2.99)),
    Entry(2016, "second", "ResNeXt", _result(2016, 3.03)),
    Entry(
        *(2016, "beside", "one ResNet-200, validation", Figure(4.8, f"{RESNET_V2}, table 5")),
        *("resnet200_v2", 200, 15_007_481_856),
        Figure("8 GPUs, 3 weeks", f"{RESNET_V2}, section 4"),
    ),
)
