"""Tests of the `visualize` commands on a real run: the files they write, and their errors."""

import json
import shutil
from functools import cache

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from keras_ilsvrc import InputError
from keras_ilsvrc.bench import visualize as bench
from keras_ilsvrc.cli import app
from keras_ilsvrc.runs import inspection
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.reading import RunFiles

pytestmark = pytest.mark.tensorflow
MANY = ",".join(["1"] * 13)
PICTURES = {
    "deconvnet": ["--layer", "conv3_1", "--number", "3", "--maps", "0,5"],
    "top-activations": ["--layer", "conv2_1/relu_1", "--maps", "0,5,9"],
    "occlusion": ["--number", "3", "--square", "3", "--stride", "1"],
    "filters": [],
    "evolution": ["--layer", "conv2_1/relu_1", "--maps", "0,5", "--images", "50"],
    "saliency": ["--number", "3", "--number", "4"],
    "guided-backpropagation": [],
    "grad-cam": [],
}


@pytest.fixture(scope="module", autouse=True)
def restored_once():
    """All verbs look into the same model of a run, or of a file."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("of_run", "of_file"):
            patch.setattr(inspection, name, cache(getattr(inspection, name)))
        yield


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    values = np.random.default_rng(0).integers(0, 256, (30, 40, 3), "uint8")
    Image.fromarray(values).save(path)
    return path


@pytest.fixture(scope="module")
def own_model(tmp_path_factory):
    """A user's own model in a file."""
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 5, activation="relu", name="conv1")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(3, activation="softmax")(x)
    path = tmp_path_factory.mktemp("model") / "own.keras"
    keras.Model(inputs, x, name="own").save(path)
    return path


def call(*words):
    return CliRunner().invoke(app, ["visualize", *map(str, words)])


def said(*words):
    result = call(*words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


@pytest.mark.parametrize("verb", PICTURES)
def test_every_verb_draws_a_picture(small_run, tmp_path, verb):
    out = tmp_path / "made.png"
    assert said(verb, "--run", small_run, *PICTURES[verb], "--out", out).strip() == str(out)
    with Image.open(out) as picture:
        assert min(picture.size) > 200
        values = np.asarray(picture.convert("RGB"))
    assert len(np.unique(values.reshape(-1, 3), axis=0)) > 20


@pytest.mark.parametrize(
    "verb", ["grad-cam", pytest.param("saliency", marks=pytest.mark.slow), "occlusion"]
)
def test_the_class_is_named_and_chosen(small_run, tmp_path, verb, monkeypatch):
    """Titles of an image with a label, and of a file without one."""
    from keras_ilsvrc.visualize import sheets

    view = inspection.of_run(small_run)
    Image.fromarray(np.asarray(view.raw(3))[..., 0]).save(tmp_path / "photo.png")
    share = view.probabilities(view.image(3)[None])[0]
    predicted = f"predicted {view.likely(share.argmax(), share)}"
    drawn = []
    monkeypatch.setattr(sheets, "panels", lambda rows, titles, title: drawn.append(titles))
    monkeypatch.setattr(sheets, "occlusion_sheet", lambda *rest: drawn.append([rest[4], rest[0]]))
    monkeypatch.setattr("keras_ilsvrc.visualize.figures.save", lambda *rest: None)
    common = [verb, "--run", small_run, "--out", tmp_path / "made.png"]
    for words, label in ((["--number", 3], None), (["--image", tmp_path / "photo.png"], 7)):
        said(*common, *words, *(["--class", label] if label else []))
        caption, explained = drawn.pop()
        true = f"image 3\ntrue {view.label(3)}, " if label is None else "photo.png\n"
        assert caption == true + predicted
        if verb == "occlusion":
            assert explained.label == (view.label(3) if label is None else label)
        else:
            of = share.argmax() if label is None else label
            assert explained == f"{verb} of {view.likely(of, share)}"


def test_weights_of_epochs_are_kept(small_run):
    files = sorted(path.name for path in (small_run / "epochs").iterdir())
    assert files == ["epoch-0001.weights.h5", "epoch-0003.weights.h5"]
    import h5py

    def values(path):
        with h5py.File(path) as file:
            found = []
            file.visititems(lambda _, x: found.append(x[()]) if hasattr(x, "shape") else None)
        return found

    last, final = values(small_run / "epochs" / files[-1]), values(small_run / "final.weights.h5")
    assert len(last) == len(final) > 10
    for one, other in zip(last, final):
        np.testing.assert_array_equal(one, other)
    first = values(small_run / "epochs" / files[0])
    assert any((one != other).any() for one, other in zip(first, final))


def test_health_is_a_table_and_json(small_run):
    rows = json.loads(said("health", "--run", small_run, "--images", "40", "--json"))
    table = said("health", "--run", small_run, "--images", "40")
    assert max(map(len, table.splitlines())) <= 120 or rows
    for row in rows:
        assert row["layer"] in table


def test_an_own_model_and_an_image_file_are_looked_into(own_model, photo, tmp_path):
    out = tmp_path / "own.png"
    model = ["--model", own_model, "--image", photo]
    for verb, more in (
        ("deconvnet", ["--layer", "conv1", "--preprocess", "torch"]),
        ("saliency", []),
        ("occlusion", ["--preprocess", "caffe"]),
    ):
        said(verb, *model, *more, "--out", out)
        assert out.is_file()
        out.unlink()


def test_labels_of_another_source_are_not_taken_for_the_nets(own_model, tmp_path):
    """The net has three classes, the folder two: no label, and no wrong name."""
    random = np.random.default_rng(0)
    for name in ("train/ape", "train/bee", "test/ape", "test/bee"):
        (tmp_path / name).mkdir(parents=True)
        for number in range(3):
            values = random.integers(0, 256, (20, 20, 3), "uint8")
            Image.fromarray(values).save(tmp_path / name / f"{number}.png")
    view = inspection.of_file(own_model, source=f"folder:{tmp_path}")
    assert view.label(4) is None
    assert view.title(4) == "4"
    words = ["--model", own_model, "--source", f"folder:{tmp_path}", "--number", 4]
    said("occlusion", *words, "--out", tmp_path / "made.png")


def test_epochs_stand_in_the_order_of_their_numbers(small_run, tmp_path):
    run = shutil.copytree(small_run, tmp_path / "run")
    for number in ("0020", "10000", "9999"):
        name = f"epochs/epoch-{number}.weights.h5"
        shutil.copy(run / "epochs/epoch-0001.weights.h5", run / name)
        RunDirectory(run, RunFiles(run).recipe(), resume=True)._register([name])
    (run / "epochs" / ".part-epoch-0002.weights.h5").touch()
    names = list(inspection.of_run(run).epochs)
    assert names == ["epoch 1", "epoch 3", "epoch 20", "epoch 9999", "epoch 10000"]


def test_a_sequential_model_of_a_file_is_looked_into(photo, tmp_path):
    path, out = tmp_path / "own.keras", tmp_path / "own.png"
    net = [keras.layers.Conv2D(4, 5, activation="relu", name="c"), keras.layers.Flatten()]
    keras.Sequential([keras.Input((16, 16, 3)), *net, keras.layers.Dense(3)]).save(path)
    for verb in ("saliency", "occlusion", "grad-cam"):
        assert said(verb, "--model", path, "--image", photo, "--out", out).strip() == str(out)
        with Image.open(out) as picture:
            assert min(picture.size) > 200
        out.unlink()


def test_correspondence_has_a_row_a_part_and_one_by_chance(own_model, photo, tmp_path):
    parts = tmp_path / "parts.toml"
    parts.write_text("nose = [[1, 2, 4, 4], [3, 4, 4, 4]]\neye = [[8, 8, 4, 4], [0, 0, 4, 4]]\n")
    words = ["--layer", "conv1", "--parts", parts, "--image", photo, "--image", photo]
    found = json.loads(said("correspondence", "--model", own_model, *words, "--json"))
    assert list(found) == ["nose", "eye", "random"]
    assert all(0 <= row["mean"] <= 1 and row["pairs"] == 1 for row in found.values())


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["deconvnet", "--layer", "conv1"], "--run DIRECTORY or --model FILE"),
        (["deconvnet", "--layer", "conv9_1", "--run", "RUN"], "has no layer 'conv9_1'; did you"),
        (["deconvnet", "--layer", "conv1", "--run", "RUN", "--maps", "1,x"], "--maps is '1,x'"),
        (["deconvnet", "--layer", "conv1", "--run", "RUN", "--maps", "²"], "--maps is '²'"),
        (["deconvnet", "--layer", "conv1", "--run", "RUN", "--maps", MANY], "expected at most 12"),
        (["deconvnet", "--layer", "conv1", "--run", "RUN", "--maps", "99"], "0 to 15"),
        (["deconvnet", "--layer", "conv1", "--run", "RUN", "--number", "360"], "0 to 359"),
        (["saliency", "--run", "RUN", "--image", "RUN/recipe.toml"], "not an image"),
        (["saliency", "--run", "RUN", "--image", "RUN/none.png"], "cannot be read"),
        (["saliency", "--run", "RUN", "--out", "RUN/made.jpg"], "ends in .png"),
        (["saliency", "--run", "RUN", "--out", "RUN/none/made.png"], "there is no folder"),
        (["saliency", "--run", "RUN", "--image", "PHOTO", "--out", "PHOTO"], "would replace the"),
        (["saliency", "--run", "RUN/epochs"], "no finished run"),
        (["saliency", "--run", "RUN", "--preprocess", "caffe"], "--preprocess is for --model"),
        (["saliency", "--run", "RUN", "--source", "digit"], "did you mean 'digits'"),
        (["saliency", "--model", "MODEL"], "pass --source, or --image"),
        (["saliency", "--model", "MODEL", "--image", "PHOTO", "--preprocess", "kafe"], "'caffe'"),
        (["occlusion", "--run", "RUN", "--square", "9"], "must fit into"),
        (["filters", "--run", "RUN", "--layer", "conv3_1/conv_2"], "has 32 channels"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(small_run, own_model, photo, tmp_path, words, part):
    known = {"RUN": str(small_run), "MODEL": str(own_model), "PHOTO": str(photo)}
    for name, path in known.items():
        words = [word.replace(name, path) for word in words]
    result = call(*words)
    assert isinstance(result.exception, InputError), result.output
    assert part in str(result.exception)
    assert "\n" not in str(result.exception)


def test_a_run_that_kept_no_epoch_says_how_to(small_run, tmp_path):
    run = shutil.copytree(small_run, tmp_path / "run", ignore=shutil.ignore_patterns("epochs"))
    kept = RunFiles(run).identity
    files = {name: digest for name, digest in kept.files.items() if "epoch" not in name}
    directory = RunDirectory(run, RunFiles(run).recipe(), resume=True)
    directory._write_identity(kept.model_copy(update={"files": files}))
    result = call("evolution", "--run", run, "--layer", "conv1")
    assert isinstance(result.exception, InputError)
    assert "keep_epochs = [1, 2, 5]" in str(result.exception)


@pytest.mark.parametrize(
    "text",
    [
        "nose = [[1, 2, 3]]",
        "nose = 3",
        "random = [[1, 2, 3, 3], [1, 2, 3, 3]]",
        "nose = [[1, 2, 3, 4]]",
        "",
        "[",
    ],
)
def test_parts_that_do_not_fit_the_images_are_named(own_model, photo, tmp_path, text):
    parts = tmp_path / "parts.toml"
    parts.write_text(text)
    words = ["--layer", "conv1", "--parts", parts, "--image", photo, "--image", photo]
    result = call("correspondence", "--model", own_model, *words)
    assert isinstance(result.exception, InputError)
    assert str(result.exception).startswith(str(parts))


def test_the_ratio_of_bench_visualize_is_that_of_its_rounds(monkeypatch):
    times = {"inference": [2.0, 2.0], "projections": [1.0, 2.0], "top activations": [3.0, 6.0]}
    times["deconvnet"] = [0.1, 0.2]

    def take_turns(functions, rounds, progress):
        for work in functions.values():
            work()
        return times

    monkeypatch.setattr(bench, "take_turns", take_turns)
    words = ["bench", "visualize", "lenet5_modern", "--layer", "c3", "--images", "40", "--json"]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    found = json.loads(result.stdout)
    assert found["ratio"] == pytest.approx(1.25)  # of 1 and 1.5
    assert found["seconds"]["deconvnet"] == pytest.approx(0.15)
    assert (found["images"], found["activations"]) == (40, 16 * 9)
