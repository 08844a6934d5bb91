"""Tests of weight and model files with random damage: a one-line error or a loaded model."""

import random
import zipfile

import keras
import pytest

from keras_ilsvrc import InputError, load_model
from keras_ilsvrc.nets.loading import load_weights


@pytest.fixture
def model():
    image = keras.Input((6, 6, 1))
    x = keras.layers.Flatten()(keras.layers.Conv2D(4, 3)(image))
    return keras.Model(image, keras.layers.Dense(3)(x))


def mutated(content, draw):
    """Content with a flipped bit, a cut end, or eight random bytes, mostly in the header."""
    changed = bytearray(content)
    place = draw.randrange(len(changed) if draw.random() < 0.5 else 600)
    kind = draw.choice(["flip", "cut", "noise"])
    if kind == "flip":
        changed[place] ^= 1 << draw.randrange(8)
    elif kind == "cut":
        del changed[place:]
    else:
        changed[place : place + 8] = draw.randbytes(len(changed[place : place + 8]))
    return bytes(changed)


@pytest.mark.parametrize("name", ["net.weights.h5", "net.keras"])
def test_damage_is_one_line_that_names_the_file(model, tmp_path, name):
    path, draw, refused = tmp_path / name, random.Random(0), 0
    model.save_weights(path) if name.endswith("h5") else model.save(path)
    whole = path.read_bytes()
    for _ in range(100):
        path.write_bytes(mutated(whole, draw))
        try:
            load_weights(model, path) if name.endswith("h5") else load_model(path)
            continue
        except InputError as error:
            message = str(error)
        refused += 1
        assert message.startswith(str(path))
        assert "\n" not in message
    assert refused > 20


def test_a_deep_configuration_is_one_line(model, tmp_path):
    model.save(tmp_path / "net.keras")
    with (
        zipfile.ZipFile(tmp_path / "net.keras") as source,
        zipfile.ZipFile(tmp_path / "deep.keras", "w") as target,
    ):
        for name in source.namelist():
            deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
            target.writestr(name, deep if name == "config.json" else source.read(name))
    with pytest.raises(InputError, match=r"deep.keras: cannot be read: maximum recursion"):
        load_model(tmp_path / "deep.keras")
