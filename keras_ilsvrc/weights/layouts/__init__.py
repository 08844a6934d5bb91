"""`LAYOUTS`: how other frameworks name and store weights, one row per framework and family."""

from keras_ilsvrc.weights.layouts import caffe, gluon, keras, torch
from keras_ilsvrc.weights.layouts.layout import BGR, Layout, is_auxiliary

__all__ = ["BGR", "LAYOUTS", "Layout", "is_auxiliary"]

# Arrays by the paths of our weights, for example `conv1/kernel`.
OURS = Layout(
    {r"(.+/\w+)": r"\1"},
    {"(.+)": r"\1"},
    channels_first=False,
    classifier="logits|fc8|cccp[68]",
    dense="fc6|fc7|c5|f6",
)
LAYOUTS: dict[str, Layout] = {
    "ours": OURS,
    **torch.LAYOUTS,
    **keras.LAYOUTS,
    **caffe.LAYOUTS,
    **gluon.LAYOUTS,
}
