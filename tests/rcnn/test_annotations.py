"""Tests of data sets with boxes: the same boxes in three formats, and faults in the files."""

import json

import numpy as np
import pytest
import shapes
from cases import each_of
from commands import call, refused, said
from PIL import Image

from keras_ilsvrc import InputError
from keras_ilsvrc.data.annotations import open_boxes
from keras_ilsvrc.data.source import Shares
from keras_ilsvrc.rcnn.data import open_data
from keras_ilsvrc.rcnn.recipe import DetectionRecipe


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The data set in three formats: {kind: name of the source}."""
    root = tmp_path_factory.mktemp("boxes")
    objects = shapes.write_voc(root / "voc")
    pictures = root / "voc/JPEGImages"
    shapes.write_coco(root / "coco", objects, pictures)
    shapes.write_csv(root / "boxes.csv", objects, pictures)
    names = {"voc": f"voc:{root}/voc", "coco": f"coco:{root}/coco"}
    return names | {"boxes": f"boxes:{root}/boxes.csv", "objects": objects}


@pytest.fixture
def voc(tmp_path):
    shapes.write_voc(tmp_path, 4, 1)
    return tmp_path


def of(source):
    """All boxes of a source: {name of the image: [(class, box)]}."""
    return {
        one.path.stem: [
            (source.classes[label], tuple(map(int, box)))
            for label, box in zip(one.labels, one.boxes)
        ]
        for images in source.splits.values()
        for one in images
    }


@each_of("kind", ["voc", "coco", "boxes"])
def test_all_formats_give_the_same_boxes_classes_and_sizes(kind, made):
    source = open_boxes(made[kind])
    assert source.classes == shapes.CLASSES
    assert of(source) == made["objects"]
    first = next(iter(source.splits.values()))[0]
    assert (first.height, first.width) == (96, 128)
    assert first.whole.tolist() == [0, 0, 128, 96]


def test_vocs_lists_are_splits_but_not_those_of_one_class(made):
    source = open_boxes(made["voc"])
    assert {key: len(own) for key, own in source.splits.items()} == {"test": 6, "train": 10}
    assert len(source.split("train[:3]+test")) == 9
    with pytest.raises(InputError, match="has no split 'trian'; did you mean 'train'"):
        source.split("trian")


def test_a_set_without_splits_is_divided_by_names_and_seed_alone(made):
    shares = Shares(validation=0.25, test=0.25, seed=3)
    splits = open_boxes(made["boxes"], shares=shares).splits
    assert {key: len(own) for key, own in splits.items()} == {
        "train": 8,
        "validation": 4,
        "test": 4,
    }
    names = [one.path for own in splits.values() for one in own]
    assert len(set(names)) == 16
    again, other = (
        open_boxes(made["boxes"], shares=shares._replace(seed=seed)).splits["test"]
        for seed in (3, 4)
    )
    assert [one.path for one in again] == [one.path for one in splits["test"]]
    assert [one.path for one in other] != [one.path for one in splits["test"]]


def test_difficult_objects_and_groups_are_marked(voc, tmp_path_factory):
    shapes.write_xml(voc, "000", [("disc", (0, 0, 9, 9))], difficult=1)
    image = open_boxes(f"voc:{voc}").splits["train"][0]
    assert image.ignored.tolist() == [True]
    assert image.crowds.tolist() == [False]
    home = tmp_path_factory.mktemp("coco")
    table = shapes.write_coco(home, {"000": [("disc", (0, 0, 9, 9))]}, voc / "JPEGImages")
    table["annotations"][0]["iscrowd"] = 1
    (home / "annotations/instances_train.json").write_text(json.dumps(table))
    image = open_boxes(f"coco:{home}").splits["train"][0]
    assert (image.ignored.tolist(), image.crowds.tolist()) == ([True], [True])


WRONG = {
    "outside": ((120, 90, 140, 99), "extends beyond the image of 128x96 pixels"),
    "negative": ((-5, 3, 20, 30), "extends beyond the image of 128x96 pixels"),
    "empty": ((30, 30, 30, 40), "is empty"),
    "turned": ((40, 30, 30, 40), "is empty"),
    "thin": ((30, 30, 31, 40), "is less than 2 pixels wide or high"),
    "not a number": ((float("nan"), 30, 40, 40), "is not finite"),
}
BEFORE = ("disc", (0, 0, 9, 9))


@each_of("case", WRONG.values())
def test_bad_boxes_are_named_and_cut_off_or_left_out(case, voc):
    box, expected = case
    shapes.write_xml(voc, "000", [BEFORE, ("disc", box)])
    with pytest.raises(InputError, match=expected) as caught:
        open_boxes(f"voc:{voc}")
    assert f"{voc}/JPEGImages/000.png: object 2, 'disc': box (" in str(caught.value)
    faults = []
    image = open_boxes(f"voc:{voc}", on_fault=faults.append).splits["train"][0]
    assert len(faults) == 1
    kept = image.boxes[1:].tolist()
    cut = np.clip(box, 0, [128, 96, 128, 96]).tolist()
    assert kept == ([cut] if "beyond" in expected else [])


def test_duplicates_and_unknown_classes_are_named_and_left_out(voc):
    shapes.write_xml(voc, "000", [BEFORE, BEFORE, ("dog", (0, 0, 9, 9)), ("square", BEFORE[1])])
    faults = []
    source = open_boxes(f"voc:{voc}", shapes.CLASSES, faults.append)
    assert [str(x).partition(": ")[2] for x in faults] == [
        "object 2, 'disc': the same box and class as an earlier object",
        "object 3, 'dog': unknown class; known: disc, square",
    ]
    assert source.splits["train"][0].labels.tolist() == [0, 1]


def test_objects_without_a_class_are_named_and_left_out(voc):
    shapes.write_xml(voc, "000", [BEFORE, ("", (5, 5, 40, 40))])
    faults = []
    source = open_boxes(f"voc:{voc}", on_fault=faults.append)
    assert [str(x).partition(": ")[2] for x in faults] == ["object 2: has no class"]
    assert source.classes == shapes.CLASSES
    assert len(source.splits["train"][0].boxes) == 1


def test_images_without_boxes_belong_to_the_set_and_bad_images_do_not(voc):
    shapes.write_xml(voc, "000", [])
    (voc / "JPEGImages/001.png").write_bytes(b"<html>")
    (voc / "JPEGImages/002.png").unlink()
    faults = []
    source = open_boxes(f"voc:{voc}", on_fault=faults.append)
    assert [len(one.boxes) for one in source.splits["train"]] == [0]
    assert [fault.name for fault in faults] == [
        f"{voc}/JPEGImages/001.png",
        f"{voc}/JPEGImages/002.jpg",
    ]


REFUSED = {
    "nothing": ("voc:", "no data set with boxes is called 'voc:'"),
    "typing": ("cooc:x", "did you mean 'coco' or 'voc'?"),
    "missing": ("voc:/nowhere", "/nowhere: cannot be read: No such file or directory"),
    "missing CSV": ("boxes:/nowhere.csv", "/nowhere.csv: cannot be read"),
}


@each_of("case", REFUSED.values())
def test_a_source_that_does_not_exist_is_refused(case):
    with pytest.raises(InputError) as caught:
        open_boxes(case[0])
    assert case[1] in str(caught.value)


@each_of(
    "case",
    [
        ("{", "not a COCO annotation file"),
        ('{"images": []}', "not a COCO annotation file: has no key 'categories'"),
        ('{"categories": [{"id": 1}]}', r"categories\[0\] has no 'name'"),
        (
            '{"categories": [], "images": [], "annotations": [{"id": 1, "image_id": 1, '
            '"category_id": 1, "bbox": [1]}]}',
            r"annotations\[0\].bbox is \[1\]; expected 4 numbers",
        ),
        (
            '{"categories": [], "images": [], "annotations": [{"id": 1, "image_id": 1, '
            '"category_id": 1, "bbox": [null, 1, 2, 3]}]}',
            r"annotations\[0\].bbox is \[None, 1, 2, 3\]; expected 4 numbers",
        ),
        (
            '{"categories": [], "images": [{"id": [1], "file_name": "a.png"}]}',
            r"images\[0\].id is \[1\]; expected a number",
        ),
    ],
)
def test_damaged_json_is_refused(case, tmp_path_factory):
    home = tmp_path_factory.mktemp("damaged")
    (home / "annotations").mkdir()
    (home / "annotations/instances_train.json").write_text(case[0])
    with pytest.raises(InputError, match=case[1]):
        open_boxes(f"coco:{home}")


def test_damaged_xml_and_xml_with_entities_are_named(voc):
    (voc / "Annotations/000.xml").write_text("<annotation><object>")
    (voc / "Annotations/001.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    faults = []
    open_boxes(f"voc:{voc}", on_fault=faults.append)
    assert [fault.name for fault in faults] == [f"{voc}/Annotations/00{n}.xml" for n in (0, 1)]
    assert faults[1].reason == "defines XML entities; remove them"


def test_a_csv_names_its_missing_column_and_its_bad_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("image,class,xmin,ymin,xmax\n")
    with pytest.raises(InputError, match="no column 'ymax' in line 1"):
        open_boxes(f"boxes:{path}")
    Image.fromarray(np.zeros((30, 30, 3), "uint8")).save(tmp_path / "a.png")
    path.write_text("image,class,x1,y1,x2,y2\na.png,disc,1,2,9,b\na.png,disc,1,2,9,9\na.png,,,,,\n")
    faults = []
    images = open_boxes(f"boxes:{path}", on_fault=faults.append).splits["train"]
    assert images[0].boxes.tolist() == [[1, 2, 9, 9]]
    assert [fault.name for fault in faults] == [f"{path}, line 2"]


def test_a_line_without_a_split_is_named_if_the_csv_has_splits(tmp_path):
    path = tmp_path / "a.csv"
    Image.fromarray(np.zeros((30, 30, 3), "uint8")).save(tmp_path / "a.png")
    rows = ("a.png,disc,1,2,9,9,train", "a.png,disc,3,4,9,9,")
    path.write_text("\n".join(["image,class,xmin,ymin,xmax,ymax,split", *rows]))
    with pytest.raises(InputError, match=rf"{path}, line 3: the split is missing"):
        open_boxes(f"boxes:{path}")


def test_data_check_counts_boxes_and_names_what_is_wrong(voc):
    shown = said("data", "check", f"voc:{voc}")
    assert "bad: 0" in shown
    shapes.write_xml(voc, "003", [("emu", (1, 1, 30, 30)), ("disc", (-9, 0, 40, 50))])
    done = call("data", "check", f"voc:{voc}")
    assert done.status == 2
    assert "class 'emu': no boxes for training, but 1 in test" in done.stdout
    assert "object 2, 'disc': box (-9, 0, 40, 50) extends beyond the image" in done.stdout
    table = json.loads(call("data", "check", f"voc:{voc}", "--json").stdout)
    assert table["images"] == {"test": 1, "train": 3}
    assert table["counts"]["emu"] == {"test": 1, "train": 0}
    assert len(table["bad"]) == 2
    assert "has no folder annotations" in refused("data", "check", f"voc:{voc}/ImageSets")


def test_data_check_reports_a_csv_of_missing_images_and_a_list_that_is_not_utf_8(voc):
    (voc / "a.csv").write_text("image,class,xmin,ymin,xmax,ymax\nno.png,disc,1,2,9,9\n")
    done = call("data", "check", f"boxes:{voc}/a.csv")
    assert done.status == 2
    assert "no.png: cannot be read: No such file or directory" in done.stdout
    (voc / "ImageSets/Main/train.txt").write_bytes(b"caf\xe9\n")
    assert "train.txt: not UTF-8" in refused("data", "check", f"voc:{voc}")


def test_test_images_that_are_also_training_images_are_reported(voc, capsys):
    lists = voc / "ImageSets/Main"
    (lists / "test.txt").write_text("003\n000\n000\n")
    (lists / "trainval.txt").write_text("000\n001\n002\n")
    shown = said("data", "check", f"voc:{voc}")
    assert "images in both splits (test, train): 1" in shown
    assert "images in both splits (test, trainval): 1" in shown
    assert "images in both splits (train, trainval)" not in shown
    (lists / "test.txt").write_text("000\n000\n")  # only images of the split train
    assert "images in both splits (test, train): 1" in said("data", "check", f"voc:{voc}")
    data = {"dataset": f"voc:{voc}", "train": "train", "test": "test"}
    table = {"seed": 0, "data": data, "features": {"net": "hog"}}
    assert len(open_data(DetectionRecipe.model_validate(table)).test) == 1
    assert "1 of 1 test images are also training images" in capsys.readouterr().err
