"""Type aliases for arguments that several modules of this package use."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Row = Mapping[str, Any]  # an op with its arguments, for example `{"op": "pad", "size": 4}`
Rows = Sequence[Row]  # ops in the order of their application
Statistics = Mapping[str, np.ndarray]  # statistics of the training images, by name
Image = tf.Tensor  # (height, width, channels); arithmetic ops also accept a batch
Index = int | np.integer | tf.Tensor  # index of an image in a split
Seed = tuple[int, int] | tf.Tensor  # seed of a random op: two int32 numbers
Range = Sequence[float]  # minimum and maximum
Side = int | tf.Tensor  # height or width in pixels; an int32 tensor if it differs between images
