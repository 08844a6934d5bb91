"""`LAYOUTS`: how other frameworks name and store weights, one row per framework and family."""

from dataclasses import replace

from keras_ilsvrc.weights.layouts import caffe, gluon, keras, torch
from keras_ilsvrc.weights.layouts.layout import BGR, Layout, is_auxiliary

__all__ = ["BGR", "LAYOUTS", "Layout", "is_auxiliary", "layout_of"]

# Arrays by the paths of our weights, for example `conv1/kernel`.
OURS = Layout(
    {r"(.+/\w+)": r"\1"},
    {"(.+)": r"\1"},
    channels_first=False,
    classifier="logits|fc8|cccp8",
    dense="fc6|fc7|c5|f6",
)
LAYOUTS: dict[str, Layout] = {
    "ours": OURS,
    "ours_nin_cifar10": replace(OURS, classifier="cccp6"),  # which in `nin` is an inner layer
    **torch.LAYOUTS,
    **keras.LAYOUTS,
    **caffe.LAYOUTS,
    **gluon.LAYOUTS,
}


def layout_of(net: str) -> str:
    """Return the name of the layout of arrays with the paths of the weights of a net of ours."""
    own = f"ours_{net}"
    return own if own in LAYOUTS else "ours"
