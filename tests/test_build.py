"""Tests of `build` with arguments of the wrong type."""

import numpy as np
import pytest

from keras_ilsvrc import InputError, build


@pytest.mark.parametrize(
    ("net", "arguments", "fragment"),
    [
        ("vgg16", {"classifier_activation": "sofmax"}, "is 'sofmax'; expected 'softmax'"),
        ("vgg16", {"input_shape": 64}, "input_shape is 64; expected (height, width, channels)"),
        ("resnet_cifar", {"depth": 21, "input_shape": (None, None, 3)}, "expected 6n + 2"),
    ],
)
def test_the_mistake_itself_is_named(net, arguments, fragment):
    with pytest.raises(InputError) as raised:
        build(net, **arguments)
    assert fragment in str(raised.value)


def test_numbers_may_come_from_numpy():
    model = build("resnet20_cifar", input_shape=(np.int64(8), 8, 1), classes=np.int32(3))
    assert model.output_shape == (None, 3)
