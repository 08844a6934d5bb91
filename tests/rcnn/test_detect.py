"""Tests of the commands `detect` and of their runs, on images of squares and discs."""

import json
import os
import re
import shutil
import signal

import numpy as np
import pytest
import shapes
from cases import each_of
from commands import call, refused, said
from PIL import Image

from keras_ilsvrc import InputError
from keras_ilsvrc.data.annotations import open_boxes
from keras_ilsvrc.evaluation.boxes import overlaps
from keras_ilsvrc.rcnn.evaluate import scores_of
from keras_ilsvrc.rcnn.features import features
from keras_ilsvrc.rcnn.files import DetectorFiles
from keras_ilsvrc.runs.reading import RunFiles

RECIPE = """
seed = 0
[data]
dataset = "voc:{home}/voc"
train = "train"
test = "test"
[features]
net = "hog"
size = 64
[regression]
ridge = 10.0
[expect]
voc07_map = 90.0
measured = "on the same pictures"
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a data set and a recipe."""
    made = tmp_path_factory.mktemp("detect")
    shapes.write_voc(made / "voc")
    (made / "hog.toml").write_text(RECIPE.format(home=made))
    return made


@pytest.fixture(scope="module")
def run(home):
    """The run of a finished detector, and what the command printed."""
    words = ("--out", home / "run", "--cache", home / "cache")
    printed = said("detect", "train", home / "hog.toml", *words)
    return home / "run", printed


def test_a_detector_finds_squares_and_discs_and_reports_it(run):
    path, printed = run
    result = DetectorFiles(path).result()
    assert result["scores"]["voc_map"] > 95
    assert result["scores"]["coco_ap"] > result["unmoved"]["coco_ap"]
    assert result["recall"] == 100
    assert result["images"] == 6
    assert sum(result["objects"].values()) == 9
    row = next(line for line in printed.splitlines() if line.startswith("disc"))
    assert f"{result['scores']['classes']['disc']['voc_map']:.2f}" in row
    assert "mean without box regression" in printed
    assert "100.00 % of the objects have a proposal with an IoU of at least 0.5" in printed
    assert "expected: 90.00 (VOC 2007, 11 recalls)" in printed


def test_the_run_is_a_directory_like_every_other(run):
    path, _ = run
    names = sorted(x.name for x in path.iterdir())
    files = ["detections.csv", "detector.npz", "recipe.toml", "result.json", "run.json"]
    assert [name for name in names if name != "report.html"] == files
    identity = DetectorFiles(path).identity
    assert (identity.kind, identity.classes) == ("detector", ["disc", "square"])
    assert identity.splits["train"].number == 10
    assert (path / "recipe.toml").read_text().count("negative_overlap = 0.3") == 1
    with pytest.raises(InputError, match=r"the run of a detector; use .*`keras-ilsvrc detect"):
        RunFiles(path).check_finished()
    assert "the run of a detector" in refused("predict", path, "a.jpg")


def test_a_finished_run_is_not_trained_again_but_tested_with_the_same_result(run, home):
    path, _ = run
    before = (path / "result.json").read_bytes()
    words = ("--out", path, "--resume", "--json")
    table = json.loads(said("detect", "train", home / "hog.toml", *words))
    assert (path / "result.json").read_bytes() == before
    again = said("detect", "evaluate", path, "--cache", home / "cache", "--json")
    assert json.loads(again)["scores"] == table["scores"]


def test_proposals_and_features_are_kept_and_belong_to_one_network(run, home):
    kept = {
        kind: len(list((home / "cache" / kind).glob("*.npz"))) for kind in ("proposals", "features")
    }
    assert kept == {"proposals": 16, "features": 16}
    words = ("--out", home / "other", "--cache", home / "cache")
    line = refused("detect", "train", home / "hog.toml", *words, "--set", "features.size=96")
    assert "its size is 64, but this run has 96; choose another --cache" in line
    assert not (home / "other").exists()


def test_detections_are_read_back_and_damage_is_named(run, tmp_path):
    path, _ = run
    images = open_boxes(DetectorFiles(path).recipe().data.dataset).splits["test"]
    found = DetectorFiles(path).detections(images)
    scores = scores_of(("disc", "square"), images, found)
    assert scores.voc_map == pytest.approx(DetectorFiles(path).result()["scores"]["voc_map"])
    copy = shutil.copytree(path, tmp_path / "copy")
    with open(copy / "detector.npz", "ab") as file:
        file.write(b"x")
    assert "detector.npz: damaged, or from another run" in refused("detect", "evaluate", copy)


def test_missing_files_are_named_with_advice_that_works_for_detectors(run, tmp_path):
    copy = shutil.copytree(run[0], tmp_path / "copy")
    (copy / "detector.npz").unlink()
    said("report", copy)  # which does not need it
    (copy / "result.json").unlink()
    line = refused("report", copy)
    assert line.endswith("a copy, or train a new run with `keras-ilsvrc detect train`")
    shapes.write_voc(tmp_path / "voc", 8, 4)
    line = refused("report", run[0], "--data", f"voc:{tmp_path}/voc")
    assert "the images are not those of this run" in line


def test_other_test_images_may_lack_a_class_of_the_run(run, home, tmp_path):
    made = shapes.write_voc(tmp_path / "voc", 8, 4)
    for name, objects in made.items():
        shapes.write_xml(tmp_path / "voc", name, [x for x in objects if x[0] == "disc"])
    words = ("--data", f"voc:{tmp_path}/voc", "--cache", home / "cache", "--json")
    table = json.loads(said("detect", "evaluate", run[0], *words))
    assert table["objects"]["square"] == 0 < table["objects"]["disc"]


def test_data_that_were_moved_are_asked_for_and_found_with_an_option(run, home, tmp_path):
    path, _ = run
    (home / "voc").rename(tmp_path / "moved")
    try:
        for command in (("detect", "evaluate", path), ("report", path)):
            assert "pass --data SOURCE" in refused(*command)
        words = ("--data", f"voc:{tmp_path}/moved", "--cache", home / "cache", "--json")
        table = json.loads(said("detect", "evaluate", path, *words))
        assert table["scores"] == DetectorFiles(path).result()["scores"]
    finally:
        (tmp_path / "moved").rename(home / "voc")


def test_predict_prints_objects_and_draws_them(run, home, tmp_path):
    path, _ = run
    image = home / "voc/JPEGImages/003.png"
    printed = said("detect", "predict", path, image, "--out", tmp_path / "drawn")
    assert re.search(r"003.png: \d+ objects?\n  (disc|square) \d", printed)
    drawn = np.asarray(Image.open(tmp_path / "drawn/003.png"))
    assert drawn.shape == (96, 128, 3)
    assert not np.array_equal(drawn, np.asarray(Image.open(image)))
    (table,) = json.loads(said("detect", "predict", path, image, "--json", "--least", "-9"))
    _, objects = shapes.picture(3)
    first = table["objects"][0]
    truth = np.array([box for kind, box in objects if kind == first["class"]], float)
    assert overlaps(np.array([first["box"]]), truth).max() > 0.5
    printed = said("detect", "predict", path, image, "--least", "99")
    best = f"{first['class']} {first['score']:.2f}"
    assert f"003.png: 0 objects (best score: {best}; --least sets the limit)\n" in printed
    scores = [each["score"] for each in table["objects"]]
    assert scores == sorted(scores, reverse=True)


def test_small_and_damaged_images_are_no_crash_in_prediction(run, tmp_path):
    path, _ = run
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype("uint8")
    Image.fromarray(noise).save(tmp_path / "small.png")
    (tmp_path / "bad.png").write_bytes(b"<html>")
    done = call("detect", "predict", path, tmp_path / "small.png", tmp_path / "bad.png")
    assert done.status == 2
    assert "small.png: 0 objects" in done.stdout
    assert "bad.png: begins with" in done.stderr
    assert "1 of 2 files were left out" in done.stderr
    (tmp_path / "a").mkdir()
    shutil.copy(tmp_path / "small.png", tmp_path / "a")
    both = (tmp_path / "small.png", tmp_path / "a" / "small.png")
    line = refused("detect", "predict", path, *both, "--out", tmp_path / "b")
    assert "two pictures would be written to small.png" in line
    assert not (tmp_path / "b").exists()
    before = (tmp_path / "small.png").read_bytes()
    line = refused("detect", "predict", path, tmp_path / "small.png", "--out", tmp_path)
    assert f"would replace the image {tmp_path}/small.png; choose another folder" in line
    assert (tmp_path / "small.png").read_bytes() == before
    words = ("detect", "predict", path, tmp_path / "small.png", "--out", tmp_path / "bad.png")
    assert "bad.png: cannot be created: File exists" in refused(*words)


def test_the_report_shows_curves_errors_and_images(run):
    path, _ = run
    said("report", path)
    page = (path / "report.html").read_text()
    for title in ("Average precision", "Curves", "Kinds of errors", "Best images", "Worst images"):
        assert f"<h2>{title}</h2>" in page
    assert page.count("<figure>") == 6  # each of the 6 images once
    assert "expected: on the same pictures" in page


def test_stopped_training_goes_on_with_the_features_in_the_cache(home, tmp_path, monkeypatch):
    computed = []

    def counted(*arguments):
        computed.append(arguments)
        if len(computed) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return features(*arguments)

    monkeypatch.setattr("keras_ilsvrc.rcnn.regions.features", counted)
    words = ("detect", "train", home / "hog.toml", "--out", tmp_path / "run")
    words += ("--cache", tmp_path / "cache", "--resume")
    done = call(*words)
    assert done.status == 75, done.stderr
    assert "stopped by SIGTERM; repeat the command with --resume to continue" in done.stderr
    assert not (tmp_path / "run").exists()
    assert len(list((tmp_path / "cache/features").glob("*.npz"))) == 4
    said(*words)
    assert len(computed) == 16
    assert DetectorFiles(tmp_path / "run").result()["images"] == 6


@each_of(
    "case",
    [
        ("features.sise=3", "features.sise: unknown key; did you mean 'size'?"),
        ("svm.k=3", "svm.k: unknown key"),
        ("seed=-1", "seed is -1; it should be greater than or equal to 0"),
        ("features.size=32", "features: size must be more than twice the context; make it larger"),
        (
            "features.layer=fc7",
            "features: a network needs weights and layer, and hog needs neither",
        ),
        ("proposals.file=x.csv", "x.csv: cannot be read: No such file or directory"),
        ("data.classes=[]", "data.classes is []"),
        ('data.classes=["disc","square","emu"]', "data.train: no object of class 'emu'"),
        ('data.classes=["disc"]', "object 1, 'square': unknown class"),
        ("data.split={validation=0.5,test=0.5,seed=0}", "validation and test leave no images"),
        ("data.train=trian", "has no split 'trian'; did you mean 'train'"),
        (
            "fine_tuning.steps=3",
            "fine_tuning applies only to networks; leave it out, since net is hog",
        ),
        ("regression.layer=fc7", "regression.layer applies only to networks; leave it out"),
        ("features.net=vgg16", "features: a network needs weights and layer"),
    ],
)
def test_a_bad_recipe_is_refused_and_nothing_is_left(case, home, tmp_path_factory):
    out = tmp_path_factory.mktemp("bad") / "run"
    line = refused("detect", "train", home / "hog.toml", "--out", out, "--set", case[0])
    assert case[1] in line
    assert not out.exists()


def test_unknown_recipes_are_refused_with_suggestions():
    assert "no such recipe of a detector" in refused("detect", "train", "nothing_like_it")


def test_images_without_boxes_and_without_proposals_are_trained_on_and_tested(tmp_path):
    shapes.write_voc(tmp_path / "voc", 12, 4)
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype("uint8")
    for name in ("001", "009"):  # one to train on, one to test on
        shapes.write_xml(tmp_path / "voc", name, [])
        Image.fromarray(noise).save(tmp_path / f"voc/JPEGImages/{name}.png")
    (tmp_path / "hog.toml").write_text(RECIPE.format(home=tmp_path))
    words = ("--out", tmp_path / "run", "--cache", tmp_path / "cache")
    (tmp_path / "voc/Annotations/010.xml").write_text("<annotation>")
    line = refused("detect", "train", tmp_path / "hog.toml", *words)
    assert f"list all faults with `keras-ilsvrc data check voc:{tmp_path}/voc`" in line
    shapes.write_xml(tmp_path / "voc", "010", [("disc", (-9, 4, 40, 50))])
    line = refused("detect", "train", tmp_path / "hog.toml", *words)
    assert "extends beyond the image" in line
    assert "set data.on_bad to 'skip'" in line
    words += ("--set", "data.on_bad=skip", "--set", "proposals.most=1000")
    done = call("detect", "train", tmp_path / "hog.toml", *words)
    assert done.status == 0, done.stderr
    assert "object 1, 'disc': box (-9, 4, 40, 50) extends beyond the image" in done.stderr
    assert "1 of 8 training images have no proposals" in done.stderr
    assert DetectorFiles(tmp_path / "run").result()["images"] == 4
