"""Tests of the figures of visualizations: unusual names, and many classes."""

import io
import warnings

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from keras_ilsvrc.visualize.figures import GREY, plain, save
from keras_ilsvrc.visualize.occlusion import Occlusion
from keras_ilsvrc.visualize.sheets import centred, heat, occlusion_sheet, panels, stretched


def found_of(labels):
    labels = np.array(labels)
    values = np.linspace(0, 1, labels.size).reshape(labels.shape)
    places = np.arange(labels.shape[0])
    return Occlusion(0, 3, places, places, 1, values, labels, values, (0.5, 2.0))


def drawn(figure):
    held = io.BytesIO()
    save(figure, held)
    return np.asarray(Image.open(held).convert("RGB"))


@pytest.mark.parametrize("name", ["a$\\frac$", "$5 to $10", "a_b^c", "$", "one$"])
def test_a_name_is_no_formula(name):
    picture = np.zeros((8, 8, 3), "uint8")
    panels([[picture / 255.0]], [name], name)
    figure = occlusion_sheet(found_of([[0, 0], [0, 0]]), picture, [name], name)
    title = figure.axes[0].get_title()
    assert title == f"{plain(name)}\nsquare: 1x1 pixels"
    assert drawn(figure).min() < 255


def test_signs_that_the_font_lacks_are_no_warning():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        drawn(panels([[np.zeros((4, 4, 3))]], ["\u732b"], "\u732b"))
    assert [str(each.message) for each in said if "Glyph" in str(each.message)] == []


def test_of_many_classes_the_most_frequent_are_named():
    labels = np.arange(100).reshape(10, 10)
    labels[:5] = 77
    labels[5, :5] = 12
    names = [f"class {number}" for number in range(100)]
    figure = occlusion_sheet(found_of(labels), np.zeros((10, 10, 3), "uint8"), names, "")
    own = figure.axes[3]
    shown = [text.get_text() for text in own.get_legend().get_texts()]
    assert shown[:2] == ["class 77", "class 12"]
    assert len(shown) == 8
    present = len(np.unique(labels))
    assert shown[-1] == f"{present - 7} others"
    colours = own.images[0].get_array()
    assert len(np.unique(colours.reshape(-1, 3), axis=0)) == 8
    np.testing.assert_allclose(colours[9, 9], to_rgb(GREY))


def test_a_signal_of_zero_is_grey_in_the_middle():
    np.testing.assert_allclose(centred(np.array([[[-2.0], [0.0], [1.0]]]))[0, :, 0], [0, 0.5, 0.75])
    np.testing.assert_allclose(centred(np.zeros((1, 2, 3))), 0.5)


def test_one_bright_pixel_does_not_make_a_signal_faint():
    signal = np.full((40, 40, 1), 0.1)
    signal[3, 4] = -100
    made = centred(signal)
    assert made[3, 4, 0] == 0
    np.testing.assert_allclose(made[0, 0], 1)


def test_images_are_stretched_unless_they_are_pictures():
    np.testing.assert_allclose(stretched(np.array([[[-3.0], [1.0]]]))[0, :, 1], [0, 1])
    np.testing.assert_allclose(stretched(np.array([[[51], [255]]], "uint8"))[0, :, 2], [0.2, 1])


def test_heat_is_red_where_it_is_largest():
    made = heat(np.array([[0.0, 2.0]]), np.full((1, 2, 1), 128, "uint8"))
    assert made[0, 0].std() == pytest.approx(0)
    assert made[0, 1, 0] > made[0, 1, 1] + 0.3
