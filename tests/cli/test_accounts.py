"""Tests of the commands `info --account`, `table` and `compare`."""

import json

import pytest
from PIL import Image
from typer.testing import CliRunner

from keras_ilsvrc import InputError
from keras_ilsvrc.cli import app
from keras_ilsvrc.cli.accounts import agree

pytestmark = pytest.mark.tensorflow


def said(*words):
    """What a command prints."""
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def refused(*words):
    """The one line with which a command refuses."""
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, InputError)
    message = str(result.exception)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["resnet20_cifar", "vgg19", "inception_v3"])
@pytest.mark.parametrize("options", [(), ("--by", "stage"), ("--open",)])
def test_account_fits_100_columns_and_ends_in_the_sum(name, options):
    lines = said("info", name, "--account", *options).splitlines()
    assert max(map(len, lines)) <= 100
    total = next(line for line in lines if line.startswith("total"))
    parameters = {"resnet20_cifar": "269,722", "vgg19": "143,667,240", "inception_v3": "23,834,568"}
    assert parameters[name] in total
    assert not any("…" in line for line in lines)


def test_account_opens_units():
    closed, opened = (
        json.loads(said("info", "resnet20_cifar", "--account", "--json", *more))
        for more in ((), ("--open",))
    )
    assert closed["macs"] == opened["macs"] == 40_551_040
    assert "conv2_1" in [row["name"] for row in closed["rows"]]
    assert "conv2_1/conv_1" in [row["name"] for row in opened["rows"]]


def test_account_by_stage_is_the_papers_table():
    stages = json.loads(said("info", "resnet20_cifar", "--account", "--by", "stage", "--json"))
    assert [stage["size"] for stage in stages["rows"]] == [[32, 32], [16, 16], [8, 8], []]
    assert sum(stage["parameters"] for stage in stages["rows"]) == 269_722


def test_info_tells_place_and_news_in_three_lines():
    text = said("info", "googlenet")
    assert "2014: first with 6.67 %" in text
    news = text[text.index("\nnew ") : text.index("\nstatus ")]
    assert news.count(" - ") == 3


@pytest.mark.parametrize(
    ("name", "equal", "not_equal"),
    [
        ("lenet5", "total  connections  340,908   340,908  equal", None),
        ("vgg16_1x1", "conv3-256 conv3-256 conv1-256  equal", None),
        ("alexnet", "186,624   186,624  equal", "253,440   290,400  55 * 55 * 96 is 290,400"),
    ],
)
def test_table_holds_the_paper_against_the_net(name, equal, not_equal):
    text = said("table", name)
    assert equal in text
    if not_equal:
        assert not_equal in text
    else:
        verdicts = json.loads(said("table", name, "--json"))
        assert {line["verdict"] for line in verdicts} == {"equal"}


@pytest.mark.parametrize(
    ("printed", "value", "equal", "shown"),
    [
        ("133M", 132_863_336, True, "133M"),
        ("60M", 60_965_224, True, "60.97M"),  # cut off
        ("159K", 163_696, False, "163.70K"),
        ("1.7M", 1_727_962, True, "1.7M"),
        ("253,440", 290_400, False, "290,400"),
        ("7x7", "7x7x512", True, "7x7x512"),
        ("7x7", "77x7x512", False, "77x7x512"),
    ],
)
def test_printed_numbers_may_be_rounded_either_way(printed, value, equal, shown):
    assert agree(printed, value, 1000) == (equal, shown)


def test_compare_prints_nets_side_by_side_and_draws_them(tmp_path):
    names = ("resnet20_cifar", "plain20_cifar", "resnet56_cifar", "resnet20_cifar")
    path = tmp_path / "nets.png"
    lines = said("compare", *names, "--plot", str(path)).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == list(dict.fromkeys(names))
    assert "269,722" in lines[1]
    assert "40,551,040" in lines[1]
    with Image.open(path) as picture:
        assert picture.size == (1080, 720)
    rows = json.loads(said("compare", "googlenet", "resnet20_cifar", "--json"))
    assert [row["depth"] for row in rows] == [22, 20]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("info", "resnet20_cifr", "--account"), "did you mean"),
        (("info", "vgg16", "--by", "stage"), "pass --account"),
        (("info", "vgg16", "--account", "--by", "size"), "--by is 'size'; expected layer or stage"),
        (("info", "resnet_cifar", "--account"), "depth is missing"),
        (("table", "zfnet"), "prints no table of zfnet"),
        (("table", "alexnet[groups=1]"), "prints no table"),
        (("table", "resnet50_v2"), "arXiv:1603.05027 prints no table of resnet50_v2"),
        (("compare", "vgg16", "vgg99"), "no net is called 'vgg99'"),
        (("compare", "vgg11", "--plot", "nets.jpg"), "expected a file that ends in .png"),
        (("compare", "vgg11", "--plot", "/nowhere/nets.png"), "there is no folder /nowhere"),
        (("compare", "googlenet", "--plot", "/proc/nets.png"), "which cannot be written"),
        (("compare", "plain20_cifar", "--plot", "x.png"), "no published error to draw for plain"),
    ],
)
def test_bad_input_is_one_line(words, message):
    assert message in refused(*words)
