"""HTML page that runs a trained network in the browser and shows it layer by layer."""

from keras_ilsvrc.report.explain.page import Explained, explain, write_page

__all__ = ["Explained", "explain", "write_page"]
