"""Tests of `tfds:` sources: tiny datasets in both formats of TFDS."""

import io
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from damage import not_one_line
from PIL import Image

from keras_ilsvrc import InputError
from keras_ilsvrc.data import tfds_source as module
from keras_ilsvrc.data.check import check
from keras_ilsvrc.data.sources import open_source
from keras_ilsvrc.data.split import examined

SIZES = {"train": 23, "validation": 5, "test": 4}
CLASSES = ["ape", "emu", "gnu"]


def coloured(split, number):
    generator = np.random.default_rng([len(split), number])
    return generator.integers(0, 256, (6, 5, 3), "uint8")


def png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    file.seek(0)
    return file


class TinyAnimals(tfds.core.GeneratorBasedBuilder):
    """Images of noise in three classes."""

    VERSION = tfds.core.Version("1.2.0")
    BUILDER_CONFIGS = (tfds.core.BuilderConfig(name="noise"), tfds.core.BuilderConfig(name="mute"))

    def _info(self):
        features = tfds.features.FeaturesDict(
            {
                "file_name": tfds.features.Text(),
                "picture": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
                "kind": tfds.features.ClassLabel(names=CLASSES),
            }
        )
        return tfds.core.DatasetInfo(
            builder=self,
            features=features,
            supervised_keys=("picture", "kind"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in SIZES}

    def _generate_examples(self, split):
        for number in range(SIZES[split]):
            kind = -1 if split == "test" and self.builder_config.name == "mute" else number % 3
            picture = png(coloured(split, number))
            yield number, {"file_name": f"{number}.png", "picture": picture, "kind": kind}


class TinySentences(tfds.core.GeneratorBasedBuilder):
    """No images at all."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"text": tfds.features.Text()})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        return ((number, {"text": "an ape"}) for number in range(3))


def prepare(home, builder=TinyAnimals, file_format="tfrecord", **options):
    made = builder(data_dir=str(home), file_format=file_format, **options)
    made.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False, num_shards=3)
    )


@pytest.fixture(scope="module", params=["tfrecord", "array_record"])
def home(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param)
    prepare(path, file_format=request.param, config="noise")
    return path


@pytest.fixture(autouse=True)
def no_own_data(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))


def refusal(name):
    with pytest.raises(InputError) as caught:
        open_source(f"tfds:{name}")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["tiny_animals", "tiny_animals/noise", "tiny_animals/noise:1.2.0"])
def test_a_prepared_data_set_is_read_whole_and_in_order(home, name, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(home))
    source = open_source(f"tfds:{name}")
    assert source.classes == tuple(CLASSES)
    assert set(source.splits) == set(SIZES)
    for split, size in SIZES.items():
        found = source.split(split)
        assert found.labels.tolist() == [number % 3 for number in range(size)]
        for number in range(size):
            np.testing.assert_array_equal(found.image(number), coloured(split, number))
    assert source.split("train[3:]").name(1) == f"{name} train #4"


def test_the_other_splits_stay_unread(home, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(home))
    source = open_source("tfds:tiny_animals")
    source.split("train[:2]+validation")
    assert set(source.splits.known) == {"train", "validation"}
    with pytest.raises(InputError, match="no split 'tset'; did you mean 'test'"):
        source.split("tset")


def test_a_large_split_is_read_by_index_or_refused(home, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(home))
    monkeypatch.setattr(module, "IN_MEMORY", 100)
    source = open_source("tfds:tiny_animals")
    if "tfrecord" in home.name:
        with pytest.raises(InputError, match="tfds build tiny_animals --file_format=array_record"):
            source.split("train")
        return
    split = source.split("train[1:]+validation")
    examples = tf.data.Dataset.range(len(split)).map(split.image, num_parallel_calls=4)
    expected = [("train", x) for x in range(1, 23)] + [("validation", x) for x in range(5)]
    for image, (name, number) in zip(examples.as_numpy_iterator(), expected, strict=True):
        np.testing.assert_array_equal(image, coloured(name, number))
    assert split.labels.tolist() == [number % 3 for _, number in expected]


def test_several_prepared_configs_have_to_be_named_and_unlabelled_splits_are_refused(
    tmp_path, monkeypatch
):
    for config in ("noise", "mute"):
        prepare(tmp_path, config=config)
    said = refusal("tiny_animals")
    assert "tiny_animals/mute" in said
    assert "noise" in said
    source = open_source("tfds:tiny_animals/mute")
    assert len(source.split("train")) == SIZES["train"]
    with pytest.raises(InputError, match="without labels"):
        source.split("test")


def test_the_newest_prepared_version_is_taken(tmp_path):
    for version in ("1.9.0", "1.10.0", "1.2.0"):
        folder = tmp_path / "animals" / version
        folder.mkdir(parents=True)
        (folder / "dataset_info.json").write_text("{}")
    (tmp_path / "animals" / "2.0.0.incompleteABC").mkdir()
    (tmp_path / "animals" / "3.0.0").mkdir()
    assert module.find_prepared("animals").name == "1.10.0"
    assert module.find_prepared("animals:1.9.0").name == "1.9.0"


@pytest.mark.parametrize(
    ("name", "fragments"),
    [
        ("cifar10", ["version 3.0.2 of cifar10 is not prepared", "tfds build cifar10"]),
        ("cifar10:3.0.0", ["version 3.0.0 of", "tfds build cifar10:3.0.0"]),
        ("imagenet_v2/topimages", ["not prepared", "tfds build imagenet_v2/topimages"]),
        ("cifra10", ["cifra10 is unknown to TFDS", "'cifar10'"]),
        ("my own", ["expected tfds:NAME"]),
        ("../cifar10", ["expected tfds:NAME"]),
    ],
)
def test_a_set_that_is_not_prepared_is_refused_with_the_command(name, fragments, tmp_path):
    said = refusal(name)
    for fragment in fragments:
        assert fragment in said
    assert not list(tmp_path.iterdir())


def test_an_unprepared_version_is_refused_with_those_that_there_are(tmp_path):
    prepare(tmp_path, TinySentences)
    assert "only 1.0.0" in refusal("tiny_sentences:2.0.0")


def test_what_holds_no_images_with_a_class_is_refused(tmp_path):
    prepare(tmp_path, TinySentences)
    assert "expected a uint8 image and a class label" in refusal("tiny_sentences")


@pytest.mark.parametrize("count", [12, pytest.param(24, marks=pytest.mark.slow)])
def test_whatever_is_damaged_is_one_line(home, tmp_path, monkeypatch, count):
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    names = ("*.json", "*.txt", "*train*", "*test*")
    paths = [path for name in names for path in sorted(tmp_path.rglob(name)) if path.is_file()]

    def read():
        for split in open_source("tfds:tiny_animals").splits.values():
            for index in range(len(split)):
                examined(split, index)

    assert not not_one_line(paths, read, count, "tfds:tiny_animals")
    monkeypatch.setattr(module, "IN_MEMORY", 100)  # as records, read by index
    if "array_record" in home.name:
        assert not not_one_line(paths, read, count, "tfds:tiny_animals")


def test_check_names_a_damaged_split_and_reads_the_others(home, tmp_path, monkeypatch):
    shutil.copytree(home, tmp_path, dirs_exist_ok=True)
    for path in tmp_path.rglob("tiny_animals-train*"):
        path.write_bytes(path.read_bytes()[:100])
    found = check("tfds:tiny_animals")
    assert found.images == {"validation": 5, "test": 4}
    (fault,) = found.bad
    assert str(fault).startswith("train: tfds:tiny_animals train: ")
    assert "cannot be read" in str(fault)
