"""Drawings of networks in the styles of the papers: as blocks or as volumes."""

from keras_ilsvrc.visualize.drawing.draw import check_picture, draw_model

__all__ = ["check_picture", "draw_model"]
