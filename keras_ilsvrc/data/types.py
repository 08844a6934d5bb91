"""Types of arguments that the modules of this package share."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Row = Mapping[str, Any]  # an op with its arguments: `{"op": "pad", "size": 4}`
Rows = Sequence[Row]
Statistics = Mapping[str, np.ndarray]  # statistics of the training images, by name
Image = tf.Tensor  # (height, width, channels); arithmetic ops also take a batch of them
Index = int | np.integer | tf.Tensor  # index of an image in a split
Seed = tuple[int, int] | tf.Tensor  # two int32 numbers
Range = Sequence[float]  # least and greatest value
Side = int | tf.Tensor  # height or width; an int32 tensor if known only when an image is read
