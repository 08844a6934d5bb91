"""Tests of the commands `list` and `info`."""

import json

from commands import call, said

from keras_ilsvrc import info
from keras_ilsvrc.nets import NETS
from keras_ilsvrc.weights.sources.facts import facts


def test_list_shows_every_net_with_its_published_error():
    shown = said("list")
    for name, net in NETS.items():
        (line,) = [line for line in shown.splitlines() if line.split()[0] == name]
        assert net.top1_error is None or f"{net.top1_error:.2f}" in line
        assert net.parameters is None or f"{net.parameters:,}" in line


def test_list_as_json_holds_the_nets_of_a_pattern():
    rows = json.loads(said("list", "vgg1*", "--json"))
    assert [row["name"] for row in rows] == [name for name in NETS if name.startswith("vgg1")]
    assert {row["name"]: row["parameters"] for row in rows}["vgg19"] == 143_667_240
    assert all(row["published"] for row in rows)


def test_info_shows_paper_variations_and_departures():
    shown = said("info", "alexnet")
    for text in ("Krizhevsky", "60,965,224", "relu, tanh, sigmoid", "40.7", "at least 64x64"):
        assert text in shown


def test_info_says_which_weights_are_recommended():
    shown = said("info", "vgg16")
    assert [x.split()[1] for x in shown.splitlines() if 'weights="imagenet"' in x] == [
        "torchvision"
    ]


def test_info_in_a_narrow_terminal_cuts_no_word():
    shown = "".join(call("info", "resnet50", columns=40).stdout.split())
    for source in info("resnet50").sources.values():
        assert all("".join(text.split()) in shown for text in facts(source).values())


def test_info_as_json_says_that_a_varied_net_is_not_the_published_one():
    net = json.loads(said("info", "alexnet[activation=tanh]", "--json"))
    assert net["name"] == "alexnet[activation=tanh]"
    assert (net["published"], net["varied"]) == (False, {"activation": "tanh"})
