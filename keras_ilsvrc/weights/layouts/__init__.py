"""`LAYOUTS`: how other frameworks name and store weights, one row per framework and family."""

from keras_ilsvrc.weights.layouts import caffe, gluon, keras, torch
from keras_ilsvrc.weights.layouts.layout import BGR, Layout, is_auxiliary

__all__ = ["BGR", "LAYOUTS", "Layout", "is_auxiliary"]

LAYOUTS: dict[str, Layout] = {
    **torch.LAYOUTS,
    **keras.LAYOUTS,
    **caffe.LAYOUTS,
    **gluon.LAYOUTS,
}
