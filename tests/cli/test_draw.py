"""Tests of the command `draw`: names of networks, model files, runs, and its errors."""

import keras
import pytest
from typer.testing import CliRunner

from keras_ilsvrc import InputError
from keras_ilsvrc.cli import app

pytestmark = pytest.mark.tensorflow


def draw(*words):
    result = CliRunner().invoke(app, ["draw", *map(str, words)])
    if isinstance(result.exception, InputError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_nets_and_files_are_drawn_beside_each_other(tmp_path):
    image = keras.Input((8, 8, 3))
    own = keras.Model(image, keras.layers.Conv2D(4, 3, name="mine")(image), name="own")
    own.save(tmp_path / "own.keras")
    out = tmp_path / "both.svg"
    assert str(out) in draw("lenet5", tmp_path / "own.keras", "--out", out).replace("\n", "")
    assert all(f">{text}</text>" in out.read_text() for text in ("lenet5", "own", "mine  6x6x4"))


def test_the_default_file_is_named_after_the_first_net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw("lenet5", "--volumes")
    assert "<svg" in (tmp_path / "lenet5.svg").read_text()


def test_bad_input_is_refused(tmp_path):
    with pytest.raises(InputError, match="lenet5"):
        draw("lenet6", "--out", tmp_path / "x.svg")
    with pytest.raises(InputError, match=r"--out is .*x.bmp; expected a file that ends in .svg"):
        draw("lenet5", "--out", tmp_path / "x.bmp")
    assert not list(tmp_path.iterdir())
