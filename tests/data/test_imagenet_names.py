"""Tests of the names of the ImageNet classes."""

from keras_ilsvrc.data.imagenet_names import imagenet_names, readable

# Imagenette's classes (fastai/imagenette, README), and the last class.
KNOWN = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
    "n15075141": "toilet tissue",
}


def test_thousand_sorted_synsets_with_different_names():
    names = imagenet_names()
    assert len(names) == 1000 == len(set(names.values()))
    assert list(names) == sorted(names)


def test_known_synsets_have_their_names():
    assert {x: readable(x) for x in KNOWN} == KNOWN


def test_other_names_are_unchanged():
    assert readable("tabby cat") == "tabby cat"
    assert readable("n99999999") == "n99999999"
