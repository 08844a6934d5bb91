"""Tests of proposals: selective search, files of proposals, and recall."""

import shutil
import sys

import numpy as np
import pytest
import shapes
from PIL import Image
from scipy.io import savemat

from keras_ilsvrc import InputError
from keras_ilsvrc.data.annotated import Annotated
from keras_ilsvrc.rcnn.data import open_data
from keras_ilsvrc.rcnn.proposals import Proposer, read_proposals, recall, selective_search
from keras_ilsvrc.rcnn.recipe import DetectionRecipe

SEARCH = Proposer(None, None, None, 0)


def annotated(boxes):
    none = np.zeros(len(boxes), bool)
    return Annotated(None, 96, 128, np.array(boxes, float), none.astype(int), none, none)


def test_selective_search_finds_the_objects_and_repeats_itself():
    image, objects = shapes.picture(3)
    boxes = selective_search(image, None, None, 0)
    assert recall([boxes], [annotated([box for _, box in objects])]) == 1
    assert np.array_equal(boxes, selective_search(image, None, None, 0))
    assert np.all(boxes[:, 2:] - boxes[:, :2] > 20)
    other = selective_search(image, None, None, 1)
    assert sorted(map(tuple, boxes)) == sorted(map(tuple, other))
    assert len(selective_search(image, None, 2, 0)) == 2


def test_a_width_changes_the_search_but_not_the_scale_of_its_boxes():
    image, objects = shapes.picture(4)
    boxes = selective_search(image, 200, None, 0)
    assert recall([boxes], [annotated([box for _, box in objects])]) == 1
    assert boxes.max() <= 129


def test_images_of_20_pixels_and_without_contrast_have_few_proposals_or_none():
    noise = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype("uint8")
    assert SEARCH(noise, "small").shape == (0, 4)
    assert SEARCH(np.zeros((50, 60, 3), "uint8"), "black").tolist() == [[0, 0, 60, 50]]
    assert SEARCH(np.zeros((1, 1, 3), "uint8"), "tiny").shape == (0, 4)


def test_without_opencv_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match=r"pip install 'keras_ilsvrc\[rcnn\]'"):
        SEARCH(np.zeros((50, 60, 3), "uint8"), "black")


def test_proposals_come_from_a_csv_and_from_the_authors_files(tmp_path):
    text = "image,xmin,ymin,xmax,ymax\na.jpg,0,0,10,20\nb.jpg,1,2,3,4\na.jpg,5,5,300,30\n"
    (tmp_path / "a.csv").write_text(text)
    image = np.zeros((60, 80, 3), "uint8")
    own = Proposer(tmp_path / "a.csv", None, None, 0)
    assert own(image, "folder/a.png").tolist() == [[0, 0, 10, 20], [5, 5, 80, 30]]
    assert Proposer(tmp_path / "a.csv", None, 1, 0)(image, "a").tolist() == [[0, 0, 10, 20]]
    with pytest.raises(InputError, match=r"a.csv: contains no proposals for c.jpg; add them"):
        own(image, "c.jpg")
    boxes = np.empty(2, object)  # (ymin, xmin, ymax, xmax), from 1
    boxes[:] = [np.array([[1, 1, 20, 10]]), np.array([[3, 2, 4, 3]])]
    names = np.array(["a", "b"], object)
    savemat(tmp_path / "a.mat", {"images": names, "boxes": boxes})
    found = read_proposals(tmp_path / "a.mat")
    assert found["a"].tolist() == [[0, 0, 10, 20]]
    assert found["b"].tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "image,xmin,ymin,xmax\n", "no column 'ymax'"),
        (
            "a.csv",
            "image,xmin,ymin,xmax,ymax\na,1,2,3,4\na,1,2,b,3\n",
            "a.csv, line 3: could not convert",
        ),
        ("a.csv", "image,xmin,ymin,xmax,ymax\na,1,2,3\n", "a.csv, line 2: could not convert"),
        ("a.csv", "image,xmin,ymin,xmax,ymax\na,1,2,1,3\n", "a: a box is empty or not finite"),
        ("a.mat", "no such thing", "cannot be read as proposals: "),
        ("a.txt", "", "expected proposals in a file that ends in .csv or .mat"),
    ],
)
def test_a_bad_file_of_proposals_is_refused(name, text, expected, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=expected):
        read_proposals(tmp_path / name)


def test_a_line_with_only_an_image_means_that_it_has_no_proposals(tmp_path):
    (tmp_path / "a.csv").write_text("image,xmin,ymin,xmax,ymax\na,,,,\nb\nc,1,2,3,4\n")
    own = Proposer(tmp_path / "a.csv", None, None, 0)
    counts = [len(own(np.zeros((60, 80, 3), "uint8"), name)) for name in ("a.jpg", "b.jpg", "c")]
    assert counts == [0, 0, 1]


def test_images_that_differ_only_in_folder_or_type_cannot_have_proposals_from_a_file(tmp_path):
    Image.fromarray(np.zeros((30, 30, 3), "uint8")).save(tmp_path / "a.png")
    (tmp_path / "b").mkdir()
    shutil.copy(tmp_path / "a.png", tmp_path / "b")
    (tmp_path / "boxes.csv").write_text(
        "image,class,xmin,ymin,xmax,ymax,split\na.png,disc,1,2,9,9,train\nb/a.png,disc,1,2,9,9,test\n"
    )
    table = {"seed": 0, "features": {"net": "hog"}}
    table["data"] = {"dataset": f"boxes:{tmp_path}/boxes.csv", "train": "train", "test": "test"}
    assert len(open_data(DetectionRecipe.model_validate(table)).test) == 1
    table["proposals"] = {"file": "p.csv"}
    expected = f"p.csv: lists images by name.*{tmp_path}/a.png and {tmp_path}/b/a.png have the same"
    with pytest.raises(InputError, match=expected):
        open_data(DetectionRecipe.model_validate(table))
    table["data"]["test"] = "train"  # the same image twice is no conflict
    assert len(open_data(DetectionRecipe.model_validate(table)).test) == 1


def test_recall_counts_objects_and_leaves_out_the_difficult():
    boxes = np.array([[0.0, 0, 10, 10]])
    image = annotated([[0, 0, 10, 12], [50, 50, 60, 60]])
    assert recall([boxes], [image]) == 0.5
    assert recall([boxes[:0]], [image]) == 0
    image.ignored[1] = True
    assert recall([boxes], [image]) == 1
    assert np.isnan(recall([boxes], [annotated(np.zeros((0, 4)))]))
