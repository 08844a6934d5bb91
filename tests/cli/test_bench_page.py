"""Tests of `bench page` and `bench profile`: rows, pages, kinds of operations, errors."""

import json
import re

import pytest
from typer.testing import CliRunner

from keras_ilsvrc import InputError
from keras_ilsvrc.bench import page as pages
from keras_ilsvrc.bench.peers import Case
from keras_ilsvrc.bench.profile import summarize
from keras_ilsvrc.cli import app

pytestmark = pytest.mark.tensorflow
TEMPLATE = "Ours.\n\n<!-- machine -->\n\nA\n\n<!-- training -->\n\nB\n\n<!-- inference -->\n"
CASE = Case("lenet5_modern", "keras", True, 8, steps=2)
MISSING = Case("lenet5_modern", "torchvision", False, 8, steps=2)


def ran(*words):
    result = CliRunner().invoke(app, ["bench", *words], catch_exceptions=False)
    assert result.exit_code == 0
    return result


def refused(*words):
    result = CliRunner().invoke(app, ["bench", *words])
    assert isinstance(result.exception, InputError)
    assert "\n" not in str(result.exception)
    return str(result.exception)


def row(median):
    ours, peer = ({"net": "n", "form": "graph", "seconds": s} for s in (0.5, 0.5 * median))
    ratio = {"median": median, "lower_quartile": median, "upper_quartile": median}
    return {
        "steps": 10,
        "compiled": True,
        "result": {"ours": ours, "peer": peer, "ratio": ratio},
    }


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """A template, and a file with a won, a lost and a failed row."""
    monkeypatch.setattr(pages, "CASES", (CASE, MISSING, Case("vgg16", "keras")))
    kept = pages.Kept(tmp_path / "page.json")
    found = (row(1.25), {"steps": 2, "compiled": True, "error": "a|b"}, row(0.8))
    saved = {pages._key(case): value for case, value in zip(pages.CASES, found)}
    text = json.dumps({"machine": kept.machine, "rows": saved})
    (tmp_path / "page.json").write_text(text)
    (tmp_path / "page.in.md").write_text(TEMPLATE)
    return tmp_path


def test_a_page_is_its_template_with_the_rows_of_each_work(rows):
    ran("page", "--out", str(rows / "page.md"), "--render")
    text = (rows / "page.md").read_text()
    assert text.startswith("Ours.\n\nprocessor ")
    training, inference = text.split("\n\nA\n\n")[1].split("\n\nB\n\n")
    failed, lost = training.splitlines()[2:]
    assert failed.endswith("| not measured: a\\|b |")
    assert lost.endswith("| 0.500 | n | graph | 0.400 | 0.800 (0.800-0.800) | 10 | slower |")
    (won,) = inference.splitlines()[2:]
    assert won.endswith("| 1.250 (1.250-1.250) | 10 |  |")
    for table in (training, inference):
        lines = table.splitlines()
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {11}


def test_rows_are_kept_unless_they_failed_or_took_fewer_steps(rows):
    kept = pages.Kept(rows / "page.json")
    won, failed, lost = pages.CASES
    kept.begin(again=False)
    assert [kept.missing(case) for case in (won, failed, lost)] == [False, True, False]
    assert kept.missing(Case("vgg16", "keras", steps=11))


def test_again_keeps_rows_of_this_machine_only(rows):
    kept = pages.Kept(rows / "page.json")
    kept.begin(again=True)
    assert len(kept.rows) == 3
    kept.machine["threads"] = "0"
    kept.begin(again=True)
    assert (kept.rows, kept.machine) == ({}, pages.machine())


@pytest.mark.slow
def test_a_row_is_measured_in_a_process_of_its_own(rows, monkeypatch):
    (rows / "page.json").unlink()
    monkeypatch.setattr(pages, "CASES", (CASE, MISSING))
    told = ran("page", "--out", str(rows / "page.md")).stderr.splitlines()
    assert [line.split()[0] for line in told] == ["1/2", "2/2"]
    kept = pages.Kept(rows / "page.json")
    result = kept.rows[pages._key(CASE)]["result"]
    assert (result["peer"]["net"], result["steps"]) == ("keras own layers", 2)
    assert "torchvision has no lenet5_modern" in kept.rows[pages._key(MISSING)]["error"]
    text = (rows / "page.md").read_text()
    assert f"{result['ratio']['median']:.3f}" in text
    assert "torchvision has no lenet5_modern" in text


def test_quick_is_a_part_of_the_whole_page():
    quick = pages.chosen(None, quick=True)
    assert {pages._key(case) for case in quick} < {pages._key(case) for case in pages.CASES}
    assert {(case.batch, case.steps, case.compiled) for case in quick} == {(8, 3, False)}
    assert {case.work for case in pages.chosen("inference", quick=False)} == {"inference"}


@pytest.mark.parametrize(
    ("name", "content", "fragment"),
    [
        ("page.json", "[]", "page.json: expected results of `bench page`"),
        (
            "page.json",
            '{"machine": {"processor": "Z80"}, "rows": {}}',
            "processor Z80, but processor is",
        ),
        ("page.in.md", "<!-- machine --> <!-- inference -->", "no line <!-- training -->"),
    ],
)
def test_bad_files_beside_the_page_are_refused(rows, name, content, fragment):
    (rows / name).write_text(content)
    assert fragment in refused("page", "--out", str(rows / "page.md"))
    assert not (rows / "page.md").exists()


def test_bad_pages_are_refused(tmp_path):
    assert "ends in .md" in refused("page", "--out", str(tmp_path / "page.txt"))
    assert "there is no folder" in refused("page", "--out", str(tmp_path / "no" / "page.md"))


OPERATIONS = {
    "forward/net_1/conv_1/convolution:_MklNativeConv2D": "convolution",
    "gradient_tape/forward/net_1/conv_1/Conv2DBackpropFilter:_MklNativeConv2DBackpropFilter": (
        "gradient to kernels"
    ),
    "gradient_tape/forward/net_1/conv_1/Conv2DBackpropInput:Conv2DBackpropInput": (
        "gradient to maps"
    ),
    "backward/convolution:Conv2D": "gradient to maps",
    "forward/net_1/bn_1_1/moments/mean:Mean": "batch normalisation",
    "gradient_tape/forward/net_1/bn_1_1/batchnorm/mul/Mul:Mul": "gradient of normalisation",
    "forward/net_1/bn_1_out_1/Relu:Relu": "element-wise",
    "optimizer/SGD/Mul:Mul": "optimizer",
    "forward/net_1/pool_1/MaxPool2d:_MklNativeMaxPool": "pooling",
    "forward/net_1/Cast:Cast": "casts",
    "forward/net_1/ReadVariableOp:ReadVariableOp": "other",
}


@pytest.mark.parametrize(("name", "kind"), OPERATIONS.items())
def test_the_kind_of_an_operation_follows_from_its_name_and_type(name, kind):
    (share,) = summarize([(name, 3.0), (name, 1.0)], 2, ["bn_1"])
    assert (share.kind, share.milliseconds, share.share, share.operations) == (kind, 2, 1, 1)
    assert share.types == {name.rpartition(":")[2]: 2}


def test_a_profile_finds_the_operations_of_a_step():
    found = json.loads(ran("profile", "lenet5_modern", "--batch", "2", "--json").stdout)
    kinds = {row["kind"]: row for row in found["shares"]}
    assert kinds["convolution"]["operations"] == kinds["gradient to kernels"]["operations"] >= 2
    assert sum(row["share"] for row in found["shares"]) == pytest.approx(1)
    assert found["step_milliseconds"] > 0
    assert "optimizer" in kinds
