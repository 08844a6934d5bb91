"""Tests of the costs that LeNet-5's layers report, and of their one-line errors."""

import pytest

from keras_ilsvrc.layers import RadialBasis, Subsampling2D, TableConv2D
from keras_ilsvrc.nets.lenet import C3, CODES

SMALL = [[0, 1], [2], [3, 0, 2]]


@pytest.mark.parametrize(
    ("layer", "output", "cost"),
    [
        (TableConv2D(C3, 5), (10, 10, 16), (1600, 151_600, 150_000)),
        (Subsampling2D(), (14, 14, 6), (1176, 5880, 1176)),
        (Subsampling2D(), (5, 5, 16), (400, 2000, 400)),
        (RadialBasis(CODES), (10,), (10, 840, 840)),
    ],
    ids=["C3", "S2", "S4", "output"],
)
def test_cost_is_that_of_the_paper(layer, output, cost):
    assert layer.cost(output) == cost


def test_windows():
    assert TableConv2D(C3, 5).window() == ((5, 5), (1, 1))
    assert Subsampling2D().window() == ((2, 2), (2, 2))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], r"table is \[\]; expected one list of input maps"),
        (3, "table is 3; expected one list of input maps"),
        (None, "table is None; expected one list of input maps"),
        ([[0], []], r"table\[1\] is \[\]; expected distinct input maps"),
        ([[0], [1, 1]], r"table\[1\] is \[1, 1\]; expected distinct input maps"),
        ([[0, -1]], r"table\[0\] is \[0, -1\]; expected distinct input maps"),
        ([[0, 1.5]], r"table\[0\] is \[0, 1.5\]; expected distinct input maps"),
        ([[True]], r"table\[0\] is \[True\]; expected distinct input maps"),
        ([0, 1], r"table\[0\] is 0; expected distinct input maps"),
    ],
)
def test_a_bad_table_is_named(table, message):
    with pytest.raises(ValueError, match=message) as error:
        TableConv2D(table, 5)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [0, -1, 2.5, (5, 5), True])
def test_a_bad_kernel_size_is_named(size):
    with pytest.raises(ValueError, match=r"kernel_size is .*; expected a whole number above 0"):
        TableConv2D(SMALL, size)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            TableConv2D(SMALL, 3),
            (6, 6, 3),
            "table uses input map 3, but the last input map is 2",
        ),
        (TableConv2D(SMALL, 3), (6, 4), "the input shape is .*; expected .batch, height, width, c"),
        (TableConv2D(SMALL, 3), (6, 2, 4), "the input shape is .*; expected at least 3x3 pixels"),
        (
            TableConv2D(SMALL, 3),
            (6, 6, None),
            "the input shape is .*; expected .batch, height, width, c",
        ),
        (Subsampling2D(), (6, 4), "the input shape is .*; expected .batch, height, width, c"),
        (Subsampling2D(), (1, 6, 4), "the input shape is .*; expected at least 2x2 pixels"),
        (Subsampling2D(), (6, 6, None), "the input shape is .*; expected .batch, height, width, c"),
        (RadialBasis(CODES), (80,), "the input has 80 values; expected 84, the length of a code"),
        (RadialBasis(CODES), (None,), "the input has None values; expected 84, the length of a"),
    ],
)
def test_an_input_that_does_not_fit_is_named(layer, shape, message):
    with pytest.raises(ValueError, match=message) as error:
        layer.build((None, *shape))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("codes", [[], [[]], 3, [1, 2], [[1, 2], [3]], [["a"]], None, [[[1]]]])
def test_bad_codes_are_named(codes):
    with pytest.raises(ValueError, match=r"codes is .*; expected lists of numbers, all of the sam"):
        RadialBasis(codes)
