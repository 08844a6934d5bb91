"""Tests of the table of protocols: names, scales, and errors for wrong arguments."""

from typing import get_args

import pytest

from keras_ilsvrc import InputError
from keras_ilsvrc.evaluation.protocols import PROTOCOLS, sides_of, views_of
from keras_ilsvrc.recipe.schema import Protocol

MULTI = ["multi_scale", "dense_multi_scale", "multi_crop_150", "crops_144", "dense_and_crops"]


def scales(protocol, *arguments):
    return [sides for _, sides in sides_of(protocol, *arguments)]


def test_protocols_are_those_that_a_recipe_may_name():
    assert tuple(PROTOCOLS) == get_args(Protocol)


def test_scales_lie_around_the_size_that_images_are_resized_to():
    assert scales("dense_multi_scale", 384, 224) == [[352, 384, 416]]


def test_both_passes_of_dense_and_crops_have_the_same_scales():
    assert scales("dense_and_crops", 256, 224) == [[224, 256, 288]] * 2
    assert scales("dense_and_crops", 256, 224, [256, 384, 512]) == [[256, 384, 512]] * 2


def test_scales_shrink_with_the_images_of_a_small_net():
    assert scales("crops_144", 32, 28) == [[32, 36, 40, 44]]
    assert scales("dense_multi_scale", 64, 56) == [[56, 64, 72]]


@pytest.mark.parametrize("protocol", ["single_view", "ten_crop", "dense"])
def test_a_protocol_of_one_scale_takes_images_as_the_recipe_makes_them(protocol):
    assert scales(protocol, 256, 224) == [[None]]
    assert scales(protocol, None, 224) == [[None]]
    assert scales(protocol, 256, 224, [384]) == [[384]]


def test_an_unknown_protocol_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="'dense_multiscale'; did you mean 'dense_multi_scale'"):
        views_of("dense_multiscale")
    with pytest.raises(InputError, match="protocol is 'tencrop'; did you mean 'ten_crop'"):
        sides_of("tencrop", 256, 224)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_another_number_of_scales_is_refused(protocol):
    count = len(PROTOCOLS[protocol][0].scales)
    with pytest.raises(InputError, match=rf"expected {count} scales for the protocol {protocol}"):
        sides_of(protocol, 256, 224, [256] * (count + 1))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_scale_below_the_images_of_the_net_is_refused(protocol):
    count = len(PROTOCOLS[protocol][0].scales)
    with pytest.raises(InputError, match="a shorter side of 223 pixels, but the net takes 224x224"):
        sides_of(protocol, 256, 224, [223] + [256] * (count - 1))
    assert sides_of(protocol, 256, 224, [224] * count)


@pytest.mark.parametrize("protocol", ["ten_crop", "dense", "multi_scale"])
def test_a_recipe_whose_own_scale_is_too_small_is_refused(protocol):
    with pytest.raises(InputError, match=r"resizes images to .*, but the net takes 224x224"):
        sides_of(protocol, 200, 224)


@pytest.mark.parametrize("protocol", MULTI)
def test_scales_must_be_given_where_images_have_no_common_size(protocol):
    with pytest.raises(InputError, match=rf"{protocol} derives its scales from .*; pass \d scales"):
        sides_of(protocol, None, 224)
