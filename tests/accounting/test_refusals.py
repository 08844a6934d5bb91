"""Tests of models that `account` refuses: a one-line error says what to do."""

import keras
import pytest
from keras import layers

from keras_ilsvrc.accounting import account
from keras_ilsvrc.utils.errors import InputError


class Subclassed(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


class OtherGraph(keras.Model):
    """Made as a functional model, but what runs is not its graph."""

    def call(self, x):
        return x


def small(shape=(8, 8, 3), data_format=None):
    image = keras.Input(shape)
    output = layers.Conv2D(2, 3, name="first", data_format=data_format)(image)
    return keras.Model(image, output, name="small")


def called():
    model = Subclassed(name="mine")
    model(keras.ops.ones((1, 3)))
    return model


def overridden():
    image = keras.Input((4,))
    return OtherGraph(image, layers.Dense(2)(image), name="mine")


def unknown_inside():
    text = keras.Input((8, 8, 3))
    unsized = layers.Lambda(lambda x: x, output_shape=(None, 8, 3), name="cut")(text)
    return keras.Model(text, unsized)


WRONG = {
    "no model": (lambda: [1], ["model is a list", "keras.Model"]),
    "a layer": (lambda: layers.Dense(2), ["model is a Dense", "keras.Model"]),
    "a class": (lambda: keras.Model, ["model is a", "keras.Model"]),
    "subclassed": (lambda: Subclassed(name="mine"), ["mine (Subclassed)", "keras.Input"]),
    "subclassed and called": (called, ["mine (Subclassed)", "keras.Input"]),
    "another call": (overridden, ["mine (OtherGraph)", "keras.Input"]),
    "not built": (
        lambda: keras.Sequential([layers.Dense(2)], name="stack"),
        ["stack (Sequential)", "keras.Input"],
    ),
    "empty": (lambda: keras.Sequential(name="stack"), ["stack (Sequential)", "keras.Input"]),
    "any size": (
        lambda: small((None, None, 3)),
        ["small", "(None, None, 3)", "input_shape=(224, 224, 3)"],
    ),
    "any width": (lambda: small((8, None, 3)), ["small", "(8, None, 3)", "input_shape"]),
    "an unknown size inside": (unknown_inside, ["'cut'", "(None, 8, 3)"]),
    "channels first": (lambda: small(data_format="channels_first"), ["'first'", "'channels_last'"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_has_no_account_is_named_in_one_line(name):
    make, fragments = WRONG[name]
    with pytest.raises(InputError) as error:
        account(make())
    message = str(error.value)
    assert "\n" not in message
    assert [fragment for fragment in fragments if fragment not in message] == []


def test_a_row_that_is_not_there_is_named_with_near_ones():
    with pytest.raises(InputError, match=r"small has no row 'frist'; did you mean 'first'\?"):
        account(small()).row("frist")
