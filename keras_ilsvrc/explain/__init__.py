"""Page on which a trained network answers in the browser, layer by layer."""

from keras_ilsvrc.explain.page import Explained, explain, write_page

__all__ = ["Explained", "explain", "write_page"]
