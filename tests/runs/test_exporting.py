"""Tests of exported runs: used without this package, with the run's probabilities and classes."""

import shutil

import numpy as np
import pytest
from commands import call, refused, said
from PIL import Image
from small import RESIZE, STANDARDISE, draw_photos, on_photos, run

import keras_ilsvrc
from keras_ilsvrc.weights import export as exports

pytestmark = pytest.mark.tensorflow
ORIENTATION = 0x0112  # EXIF tag


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run in half precision on photographs, of which one class has the name of a synset."""
    folder = tmp_path_factory.mktemp("it's here")
    photos = draw_photos(folder / "photos")
    for light in photos.glob("*/light"):
        light.rename(light.with_name("n01440764"))
    ops = f"[{RESIZE}, {STANDARDISE}]"
    recipe = on_photos(
        photos,
        *(
            f"data.train_ops={ops}",
            f"data.eval_ops={ops}",
            "precision=mixed_bfloat16",
            "schedule.steps=2",
        ),
        op=STANDARDISE,
    )
    run(recipe, folder / "run")
    return folder / "run", photos


@pytest.fixture(scope="module")
def loaded(trained):
    return keras_ilsvrc.load_run(trained[0], "float32")


def code_of(printed):
    return printed.split("Run it in Python:\n\n")[1]


@pytest.mark.parametrize(
    "name",
    [pytest.param(x, marks=[pytest.mark.slow] if x == "litert" else []) for x in exports.FORMATS],
)
def test_the_printed_lines_run_the_export_on_a_photograph(
    name, trained, loaded, tmp_path, monkeypatch
):
    path = tmp_path / f"a b{exports.FORMATS[name].suffix}"
    printed = said("export", trained[0], "--format", name, "--out", path)
    assert printed.startswith(f"{path}\n")
    assert "height, width, 3), uint8" in printed
    assert "checked on 6 test images of the run: largest difference" in printed
    assert (tmp_path / "a b.classes.txt").read_text() == "dark\nn01440764\ttench\n"
    rising = np.tile(np.linspace(0, 255, 48).astype("uint8")[:, None, None], (1, 24, 3))
    turned = Image.Exif()
    turned[ORIENTATION] = 6
    Image.fromarray(rising).save(tmp_path / "photo.jpg", quality=100, exif=turned)
    monkeypatch.chdir(tmp_path)
    values = []
    exec(code_of(printed), {"print": lambda *x: values.extend(x)})
    expected = loaded.model(loaded.preprocess(tmp_path / "photo.jpg"))
    np.testing.assert_allclose(values[0], expected, atol=1e-5)
    assert np.abs(values[0] - loaded.model(loaded.preprocess(rising))).max() > 1e-4


def test_a_run_without_its_images_is_checked_on_others(trained, tmp_path, monkeypatch):
    path = shutil.copytree(trained[0], tmp_path / "moved")
    trained[1].rename(trained[1].with_name("gone"))
    try:
        printed = said("export", path, "--format", "keras", "--no-preprocessing")
    finally:
        trained[1].with_name("gone").rename(trained[1])
    assert printed.startswith(f"{path}/moved.keras\ninput: preprocessed images, (images, 8, 8, 3)")
    assert "checked on two photographs from scikit-learn and a noise image" in printed
    Image.new("RGB", (20, 30)).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    shown = []
    exec(code_of(printed), {"print": shown.append})
    assert shown[0].shape == (1, 2)


def test_bad_exports_are_refused_before_anything_is_written(trained, tmp_path):
    run, (folder := tmp_path / "a.saved_model").mkdir()
    assert "did you mean 'onnx'?" in refused("export", trained[0], "--format", "onx")
    line = refused("export", trained[0], "--format", "onnx", "--out", tmp_path / "a.pb")
    assert line.endswith("expected a file that ends in .onnx")
    line = refused("export", trained[0], "--format", "saved_model", "--out", folder)
    assert "is an existing folder" in line
    assert "contains no finished run" in refused("export", tmp_path, "--format", "onnx")
    typed = trained[0].with_name(f"{trained[0].name}s")
    hint = f"no such folder; did you mean {trained[0].name!r}?"
    assert refused("export", typed, "--format", "onnx").endswith(hint)
    assert call("export", trained[0]).status == 2
    assert [one.name for one in tmp_path.iterdir()] == ["a.saved_model"]
