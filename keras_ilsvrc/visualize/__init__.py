"""Visualizations of what functional models have learned (Zeiler and Fergus, arXiv:1311.2901)."""

from keras_ilsvrc.visualize.backward import deconvnet, grad_cam, guided_backpropagation, saliency
from keras_ilsvrc.visualize.correspondence import correspondence
from keras_ilsvrc.visualize.drawing import draw_model
from keras_ilsvrc.visualize.evolution import evolution
from keras_ilsvrc.visualize.filters import filters
from keras_ilsvrc.visualize.health import health
from keras_ilsvrc.visualize.occlusion import occlusion
from keras_ilsvrc.visualize.top import top_activations

__all__ = [
    "correspondence",
    "deconvnet",
    "draw_model",
    "evolution",
    "filters",
    "grad_cam",
    "guided_backpropagation",
    "health",
    "occlusion",
    "saliency",
    "top_activations",
]
