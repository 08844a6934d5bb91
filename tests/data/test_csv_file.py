"""Tests of `csv:` sources: lists of files with labels, and errors for wrong lists."""

import pytest
from PIL import Image

from keras_ilsvrc import InputError
from keras_ilsvrc.data.sources import open_source

ROWS = [(f"images/{number}.png", "cat" if number < 6 else "größer, als") for number in range(12)]


@pytest.fixture
def write(tmp_path):
    """Writes a CSV beside a folder of images, and returns its path."""
    (tmp_path / "images").mkdir()
    for number in range(12):
        Image.new("RGB", (5, 4), (number, 0, 0)).save(tmp_path / "images" / f"{number}.png")

    def to_file(*rows, encoding="utf-8"):
        path = tmp_path / "labels.csv"
        path.write_text("\n".join(rows) + "\n", encoding=encoding)
        return path

    return to_file


def lines(*extra):
    return [f'{name},"{kind}"' for name, kind in ROWS] + list(extra)


@pytest.mark.parametrize("head", ["file,label", "Filename,CLASS", "path,class", "image,label"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_have_the_names_that_people_give(write, head, delimiter):
    rows = [f'{name}{delimiter}"{kind}"' for name, kind in ROWS]
    path = write(head.replace(",", delimiter), *rows, encoding="utf-8-sig")
    source = open_source(str(path))
    assert source.classes == ("cat", "größer, als")
    counts = {name: len(split) for name, split in source.splits.items()}
    assert counts == {"train": 8, "validation": 2, "test": 2}
    for split in source.splits.values():
        for index in range(len(split)):
            red = int(split.image(index)[0, 0, 0])
            assert split.name(index).endswith(f"images/{red}.png")
            assert split.labels[index] == (red >= 6)


def test_a_column_of_splits_is_followed(write):
    parts = ["train", "Val", "test"] * 4
    rows = [f'{name},"{kind}",x,{part}' for (name, kind), part in zip(ROWS, parts, strict=True)]
    source = open_source(f"csv:{write('file,label,note,split', *rows)}")
    for name, remainder in (("train", 0), ("validation", 1), ("test", 2)):
        split = source.split(name)
        reds = [int(split.image(index)[0, 0, 0]) for index in range(len(split))]
        assert reds == list(range(remainder, 12, 3))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["name,label", *lines()], "no column 'file' in line 1; expected columns file and label"),
        (["file,kind", *lines()], "no column 'label' in line 1"),
        (["file,label,split", "images/0.png,cat,dev"], ", line 2: unknown split 'dev'"),
        (["file,label", *lines("images/0.png,")], ", line 14: the column label is empty"),
        (["file,label", *lines("", "gone.png,cat")], ", line 15: no such file: "),
        (["file,label", *lines("images/3.png,cat")], "images/3.png is already listed in line 5"),
        (["file,label", *lines("./images/3.png,dog")], "images/3.png is already listed in line 5"),
        (["file,label"], "labels.csv: lists no images; expected a line with file and label"),
        (["file,label", *lines()[:7]], "'größer, als' has 1 of the 3 images that splitting needs"),
        (["file,label", *lines()[:7]], "or add a column split with train, validation and test"),
        (
            ["file,label,split", "images/0.png,a,train", "images/1.png,b,test"],
            "the class 'b' is in test, but not in train",
        ),
    ],
)
def test_what_is_wrong_with_a_list_is_said_in_one_line(write, rows, said):
    path = write(*rows)
    with pytest.raises(InputError) as caught:
        open_source(str(path))
    assert str(caught.value).startswith(str(path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_in_another_encoding_or_absent_is_refused(write):
    path = write("file,label", *lines(), encoding="utf-16")
    with pytest.raises(InputError, match=r"labels.csv: not a CSV file in UTF-8"):
        open_source(str(path))
    with pytest.raises(InputError, match=r"gone.csv: .*No such file"):
        open_source(f"csv:{path.with_name('gone.csv')}")


def test_bad_lines_can_be_left_out(write):
    path = write("file,label", *lines("gone.png,cat"))
    faults: list = []
    source = open_source(str(path), 3, faults.append)
    assert [fault.name for fault in faults] == [f"{path}, line 14"]
    assert sum(map(len, source.splits.values())) == 12
