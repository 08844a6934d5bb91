"""`LAYOUTS`: table of how other frameworks name and store the weights of each network family."""

from dataclasses import replace

from keras_ilsvrc.weights.layouts import caffe, gluon, keras, torch
from keras_ilsvrc.weights.layouts.layout import BGR, Layout, is_auxiliary

__all__ = ["BGR", "LAYOUTS", "Layout", "is_auxiliary", "layout_of"]

# Layout of files in which arrays are named by the paths of our weights, such as `conv1/kernel`.
OURS = Layout(
    {r"(.+/\w+)": r"\1"},
    {"(.+)": r"\1"},
    channels_first=False,
    classifier="logits|fc8|cccp8",
    dense="fc6|fc7|c5|f6",
)
LAYOUTS: dict[str, Layout] = {
    "ours": OURS,
    "ours_nin_cifar10": replace(OURS, classifier="cccp6"),  # in `nin`, cccp6 is an inner layer
    **torch.LAYOUTS,
    **keras.LAYOUTS,
    **caffe.LAYOUTS,
    **gluon.LAYOUTS,
}


def layout_of(net: str) -> str:
    """Return the name of the layout of arrays that are named by the weight paths of our `net`."""
    own = f"ours_{net}"
    return own if own in LAYOUTS else "ours"
