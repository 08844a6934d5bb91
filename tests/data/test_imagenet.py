"""Tests of `imagenet:` sources: small generated datasets in the official formats."""

import io
import re
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from damage import not_one_line
from PIL import Image
from scipy.io import savemat

from keras_ilsvrc import InputError
from keras_ilsvrc.data.sources import open_source

# The devkit's order differs from that of the WordNet ids, as it does of the real ones.
DEVKIT_ORDER = ["n02119789", "n01440764", "n02100735"]
SORTED = sorted(DEVKIT_ORDER)
TRAIN = {"n01440764": 3, "n02100735": 1, "n02119789": 2}
TRUTH = [1, 3, 2, 2, 1]  # ILSVRC2012_ID of the five validation images
KIT = "ILSVRC2012_devkit_t12"


def picture(name):
    """A JPEG of its own for each name."""
    generator = np.random.default_rng(list(name.encode()))
    file = io.BytesIO()
    Image.fromarray(generator.integers(0, 256, (9, 8, 3), "uint8")).save(file, "JPEG")
    return file.getvalue()


def train_names(synset):
    return [f"{synset}_{number}.JPEG" for number in range(TRAIN[synset])]


VALIDATION = [f"ILSVRC2012_val_{number:08}.JPEG" for number in range(1, 6)]
TRUE_SYNSETS = [DEVKIT_ORDER[number - 1] for number in TRUTH]


def tar(contents, mode="w"):
    """A tar of contents by name, in the order given."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def meta():
    """`meta.mat` as the devkit has it: the synsets, and behind them groups of synsets."""
    rows = [(number, name, 0) for number, name in enumerate(DEVKIT_ORDER, 1)]
    rows.append((4, "n00001740", 3))
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("num_children", "O")]
    file = io.BytesIO()
    savemat(file, {"synsets": np.array(rows, dtype=fields).reshape(-1, 1)})
    return file.getvalue()


def kit(truth=TRUTH):
    lines = "".join(f"{number}\n" for number in truth).encode()
    return {"meta.mat": meta(), "ILSVRC2012_validation_ground_truth.txt": lines}


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def train_as_tar(root):
    # neither synsets nor images stand in order in the official tars
    synsets = {
        f"{synset}.tar": tar({name: picture(name) for name in reversed(train_names(synset))})
        for synset in DEVKIT_ORDER
    }
    put(root / "ILSVRC2012_img_train.tar", tar(synsets))


def train_as_folders(root):
    for synset in TRAIN:
        for name in train_names(synset):
            put(root / "train" / synset / name, picture(name))


def validation_as_tar(root):
    put(
        root / "ILSVRC2012_img_val.tar",
        tar({name: picture(name) for name in reversed(VALIDATION)}),
    )


def validation_as_folder(root):
    for name in VALIDATION:
        put(root / "val" / name, picture(name))


def validation_as_folders(root):
    for name, synset in zip(VALIDATION, TRUE_SYNSETS, strict=True):
        put(root / "val" / synset / name, picture(name))


def kit_as_tar(root, truth=TRUTH):
    contents = {f"{KIT}/data/{name}": content for name, content in kit(truth).items()}
    put(root / f"{KIT}.tar.gz", tar(contents, "w:gz"))


def kit_as_folder(root, truth=TRUTH):
    for name, content in kit(truth).items():
        put(root / KIT / "data" / name, content)


def refusal(root, query=""):
    with pytest.raises(InputError) as caught:
        open_source(f"imagenet:{root}{query}")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def names(split):
    return [re.split(r"[/!]", split.name(index))[-1] for index in range(len(split))]


@pytest.mark.parametrize("train", [train_as_tar, train_as_folders])
@pytest.mark.parametrize(
    "validation", [validation_as_tar, validation_as_folder, validation_as_folders]
)
@pytest.mark.parametrize("devkit", [kit_as_tar, kit_as_folder])
def test_every_form_gives_the_same_images_with_the_same_labels(tmp_path, train, validation, devkit):
    for write in (train, validation, devkit):
        write(tmp_path)
    source = open_source(f"imagenet:{tmp_path}")
    assert source.classes == tuple(SORTED)
    found = source.split("train")
    assert names(found) == [name for synset in SORTED for name in train_names(synset)]
    assert found.labels.tolist() == [0, 0, 0, 1, 2, 2]
    held = source.split("validation")
    answers = {name: source.classes[label] for name, label in zip(names(held), held.labels)}
    assert answers == dict(zip(VALIDATION, TRUE_SYNSETS, strict=True))
    assert source.splits["test"] is source.splits["validation"]
    whole = source.split("train+validation")
    read = list(tf.data.Dataset.range(len(whole)).map(whole.encoded).as_numpy_iterator())
    assert read == [picture(name) for name in names(whole)]


def test_labels_in_the_order_of_the_devkit_are_its_ids_less_one(tmp_path):
    for write in (train_as_tar, validation_as_tar, kit_as_tar):
        write(tmp_path)
    source = open_source(f"imagenet:{tmp_path}?order=devkit")
    assert source.classes == tuple(DEVKIT_ORDER)
    assert (source.split("test").labels + 1).tolist() == TRUTH
    found = source.split("train")
    assert [source.classes[label] for label in found.labels] == [
        name.split("_")[0] for name in names(found)
    ]


def test_folders_give_the_labels_of_the_devkit_and_folders_in_classes_are_named(tmp_path):
    for write in (train_as_folders, validation_as_folders, kit_as_tar):
        write(tmp_path)
    put(tmp_path / "train" / SORTED[0] / "more" / "1.JPEG", b"")
    faults: list = []
    source = open_source(f"imagenet:{tmp_path}?order=devkit", 3, faults.append)
    assert names(source.split("train")) == [
        name for synset in DEVKIT_ORDER for name in train_names(synset)
    ]
    assert [fault.name for fault in faults] == [str(tmp_path / "train" / SORTED[0] / "more")]
    assert faults[0].reason == "a directory, not an image"


def test_images_in_tars_are_named_by_archive_and_member(tmp_path):
    for write in (train_as_tar, validation_as_tar, kit_as_tar):
        write(tmp_path)
    source = open_source(f"imagenet:{tmp_path}")
    train, validation = (tmp_path / f"ILSVRC2012_img_{name}.tar" for name in ("train", "val"))
    assert source.split("train").name(4) == f"{train}!n02119789.tar!n02119789_0.JPEG"
    assert source.split("test[2:]").name(0) == f"{validation}!{VALIDATION[2]}"


@pytest.mark.parametrize("train", [train_as_tar, train_as_folders])
def test_missing_and_additional_synsets_are_named(tmp_path, train, monkeypatch):
    validation_as_tar(tmp_path)
    kit_as_tar(tmp_path)
    monkeypatch.setitem(TRAIN, "n09999999", 1)
    monkeypatch.delitem(TRAIN, "n02100735")
    monkeypatch.setattr("test_imagenet.DEVKIT_ORDER", list(TRAIN))
    train(tmp_path)
    said = refusal(tmp_path)
    assert "expected 3 synsets, found 3; missing: n02100735; extra: n09999999" in said


def test_without_a_devkit_a_thousand_synsets_are_expected(tmp_path):
    train_as_folders(tmp_path)
    validation_as_folders(tmp_path)
    assert refusal(tmp_path) == f"{tmp_path / 'train'}: expected 1000 synsets, found 3"


def test_a_thousand_synsets_need_no_devkit(tmp_path):
    for number in range(1000):
        for base in ("train", "val"):
            put(tmp_path / base / f"n{number:08}" / "1.JPEG", b"")
    source = open_source(f"imagenet:{tmp_path}")
    assert source.split("train").labels.tolist() == list(range(1000))
    assert source.split("test").labels.tolist() == list(range(1000))
    (tmp_path / "val" / "n00000007" / "1.JPEG").unlink()
    (tmp_path / "val" / "n00000007").rmdir()
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path / 'val'}: expected 1000 synsets, found 999")
    assert "missing: n00000007; extra: none" in said


@pytest.mark.parametrize("validation", [validation_as_tar, validation_as_folder])
@pytest.mark.parametrize("truth", [TRUTH[:-1], [*TRUTH, 1]])
def test_labels_and_validation_images_are_counted(tmp_path, validation, truth):
    train_as_folders(tmp_path)
    validation(tmp_path)
    kit_as_tar(tmp_path, truth)
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path / KIT}.tar.gz: found {len(truth)} labels; expected 5")
    assert f"found {len(truth)}" in said


@pytest.mark.parametrize("number", [0, 4])
def test_a_label_that_is_no_synset_is_named_by_its_line(tmp_path, number):
    train_as_folders(tmp_path)
    kit_as_tar(tmp_path, [1, number, 2, 2, 1])
    assert f"line 2: class {number}; expected 1 to 3" in refusal(tmp_path)


def cut(path, left):
    path.write_bytes(path.read_bytes()[:left])


@pytest.mark.parametrize(
    ("spoil", "fragments"),
    [
        (
            lambda root: (root / "ILSVRC2012_img_train.tar").unlink(),
            ["found neither folder train nor"],
        ),
        (lambda root: (root / "ILSVRC2012_img_val.tar").unlink(), ["found neither folder val nor"]),
        (lambda root: (root / f"{KIT}.tar.gz").unlink(), ["expected 1000 synsets, found 3"]),
        (lambda root: cut(root / f"{KIT}.tar.gz", 200), [KIT, "cannot be read"]),
        (lambda root: put(root / f"{KIT}.tar.gz", b"<html>"), [KIT, "cannot be read"]),
        (lambda root: put(root / f"{KIT}.tar.gz", tar({}, "w:gz")), [KIT, "cannot be read"]),
        (lambda root: cut(root / "ILSVRC2012_img_val.tar", 3700), ["ends inside member ILSV"]),
        (lambda root: cut(root / "ILSVRC2012_img_val.tar", 1900), ["no tar header at byte"]),
        (lambda root: cut(root / "ILSVRC2012_img_train.tar", 5000), ["ends inside member n0"]),
        (lambda root: put(root / "ILSVRC2012_img_val.tar", b"<html>" * 200), ["no tar header"]),
    ],
)
def test_what_is_missing_or_damaged_is_one_line(tmp_path, spoil, fragments):
    for write in (train_as_tar, validation_as_tar, kit_as_tar):
        write(tmp_path)
    spoil(tmp_path)
    said = refusal(tmp_path)
    assert said.startswith(str(tmp_path))
    for fragment in fragments:
        assert fragment in said


def test_an_unknown_order_or_one_without_a_devkit_is_refused(tmp_path):
    train_as_folders(tmp_path)
    assert "'wordnet'" in refusal(tmp_path, "?order=worldnet")
    assert "needs ILSVRC2012_devkit_t12.tar.gz" in refusal(tmp_path, "?order=devkit")
    assert "no such folder" in refusal(tmp_path / "nowhere")


def test_whatever_is_damaged_is_one_line(tmp_path):
    for write in (train_as_tar, validation_as_tar, kit_as_tar, kit_as_folder):
        write(tmp_path)

    def read():
        open_source(f"imagenet:{tmp_path}")

    truth = tmp_path / KIT / "data" / "ILSVRC2012_validation_ground_truth.txt"
    paths = [truth, *tmp_path.glob("*.tar")]
    assert not not_one_line(paths, read, 120, str(tmp_path))
    truth.parent.parent.rename(tmp_path / "away")
    archive = [tmp_path / f"{KIT}.tar.gz"]
    assert not not_one_line(archive, read, 40, str(tmp_path))
