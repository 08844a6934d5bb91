"""Custom Keras layers: importing this package registers them for `keras.saving.load_model`."""

from keras_ilsvrc.layers.batch_norm import BatchNormalization
from keras_ilsvrc.layers.grouped_conv import GroupedConv2D
from keras_ilsvrc.layers.lenet import RadialBasis, Subsampling2D, TableConv2D, scaled_tanh
from keras_ilsvrc.layers.lrn import LocalResponseNormalization
from keras_ilsvrc.layers.pooling import CeilAveragePooling2D
from keras_ilsvrc.layers.residual import ResidualUnit

__all__ = [
    "BatchNormalization",
    "CeilAveragePooling2D",
    "GroupedConv2D",
    "LocalResponseNormalization",
    "RadialBasis",
    "ResidualUnit",
    "Subsampling2D",
    "TableConv2D",
    "scaled_tanh",
]
