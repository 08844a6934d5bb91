"""Tests of models that `explain` refuses: the error names what a page cannot show."""

import math
from types import SimpleNamespace

import keras
import pytest
from cases import each_of
from explained import net_of, view_of

from keras_ilsvrc import InputError
from keras_ilsvrc.report.explain import weights, write_page

pytestmark = pytest.mark.tensorflow


def of_layers(*layers, shape=(8, 8, 3)):
    return keras.Sequential([keras.Input(shape), *layers])


class Own(keras.Model):
    """A model that is not functional."""

    def call(self, x):
        return x


def two_outputs():
    x = keras.Input((8, 8, 3))
    flat = keras.layers.Flatten()(x)
    return keras.Model(x, [keras.layers.Dense(2)(flat), keras.layers.Dense(2)(flat)])


MODELS = {
    "is not a functional model; build it from keras.Input": lambda: Own(name="own"),
    "has 2 outputs without names": two_outputs,
    "is a DepthwiseConv2D, which a page cannot show; export the run instead": lambda: of_layers(
        keras.layers.DepthwiseConv2D(3)
    ),
    "has the activation gelu": lambda: of_layers(keras.layers.Conv2D(3, 3, activation="gelu")),
    "which contains an unknown size": lambda: of_layers(
        keras.layers.Conv2D(3, 3), shape=(None, None, 3)
    ),
}


@each_of("expected", list(MODELS))
def test_a_model_that_a_page_cannot_show_is_named(expected, tmp_path):
    view = SimpleNamespace(model=MODELS[expected](), rows=[], statistics={}, split=None)
    with pytest.raises(InputError, match=expected.replace(".", r"\.")):
        write_page(view, tmp_path / "page.html", "a net")
    assert list(tmp_path.iterdir()) == []


def test_a_net_too_large_for_a_page_is_refused_with_its_size(tmp_path, monkeypatch):
    view = view_of(net_of("lenet5"), [])
    monkeypatch.setattr(weights, "MOST", weights.ROOM + 100_000)
    with pytest.raises(InputError) as fault:
        write_page(view, tmp_path / "page.html", "lenet5 on digits")
    size = (math.ceil(61_740 * 2 / 3) * 4 + weights.ROOM) / 1e6
    assert str(fault.value).startswith(
        f"a page of lenet5 on digits would have {size:.0f} MB, because of its 61,740 weights; "
        "expected at most 2 MB: train a narrower net"
    )
    assert list(tmp_path.iterdir()) == []
