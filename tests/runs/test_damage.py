"""Tests of damage to the files of a finished run: it is reported by name, or has no effect."""

import json
import random
import shutil

import h5py
import numpy as np
import pytest
from small import RESULT, identity

from keras_ilsvrc import InputError
from keras_ilsvrc.recipe import find, load
from keras_ilsvrc.runs.directory import RunDirectory
from keras_ilsvrc.runs.evaluate import restore
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.runs.results import rows_of
from keras_ilsvrc.training.records import COLUMNS
from keras_ilsvrc.training.watch import FLOW_COLUMNS
from keras_ilsvrc.utils.files import sealed

pytestmark = pytest.mark.tensorflow
KEPT = "epochs/epoch-0001.weights.h5"
READERS = {
    "run.json": lambda run: run.identity.model_dump(),
    "recipe.toml": lambda run: run.recipe().table(),
    "result.json": lambda run: run.result(),
    "statistics.npz": lambda run: {k: x.tolist() for k, x in run.statistics().items()},
    "history.csv": lambda run: run.history(),
    "gradients.csv": lambda run: run.gradients(),
    "final.weights.h5": lambda run: run.weights().read_bytes(),
    KEPT: lambda run: [path.read_bytes() for path in run.kept_weights().values()],
}


@pytest.fixture
def copy(tmp_path):
    """A finished run that was never trained, with every file of a run."""
    path, recipe = tmp_path / "run", load(find("quickstart"))
    weights = np.random.default_rng(0).bytes(20_000)
    rows = [",".join(COLUMNS), *(",".join("1.5" for _ in COLUMNS) for _ in range(2))]
    with RunDirectory(path, recipe) as directory:
        directory.begin(identity(recipe))
        directory.keep_statistics({"pixel_mean": np.ones((8, 8, 1), "float32")})
        directory.write("history.csv", "\n".join(rows).encode())
        rows = [",".join(FLOW_COLUMNS), *(f"{n},1,conv1,0.5,,{n}.5" for n in range(9))]
        directory.write("gradients.csv", "\n".join(rows).encode())
        (path / "epochs").mkdir()
        for name in (KEPT, "final.weights.h5"):
            directory.write(name, weights)
        directory.finish(RESULT)
    return path


def writer(path):
    return RunDirectory(path, RunFiles(path).recipe(), resume=True)


def mutated(content, draw):
    """Content with flipped bits, cut, extended, or with a part replaced or repeated."""
    changed = bytearray(content)
    place = draw.randrange(len(changed))
    kind = draw.choice(["flip", "cut", "extend", "replace", "repeat", "empty", "zero"])
    if kind == "flip":
        for _ in range(draw.randint(1, 8)):
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    elif kind == "cut":
        del changed[place:]
    elif kind == "extend":
        changed += draw.randbytes(draw.randint(1, 99))
    elif kind == "replace":
        changed[place : place + 4] = draw.choice([b"null", b"1e99", b"[[[[", b"-1.0", b"NaN "])
    elif kind == "repeat":
        changed[place:place] = changed[max(0, place - 20) : place]
    elif kind == "zero":
        changed[place : place + 50] = bytes(len(changed[place : place + 50]))
    return b"" if kind == "empty" else bytes(changed)


@pytest.mark.parametrize("mutations", [150, pytest.param(500, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", READERS)
def test_damage_is_refused_by_name_or_changes_nothing(copy, name, mutations):
    path, read, draw = copy / name, READERS[name], random.Random(name)
    whole, expected = path.read_bytes(), read(RunFiles(copy))
    refused = 0
    for _ in range(mutations):
        path.write_bytes(mutated(whole, draw))
        try:
            assert read(RunFiles(copy)) == expected
            continue
        except InputError as error:
            message = str(error)
        refused += 1
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
    assert refused > 0.9 * mutations


@pytest.mark.parametrize("name", READERS)
def test_a_file_that_is_gone_or_no_file_is_named(copy, name):
    (copy / name).unlink()
    for make in (lambda: None, (copy / name).mkdir):
        make()
        with pytest.raises(InputError, match=name.rpartition("/")[2]):
            READERS[name](RunFiles(copy).check_finished())


WRONG = [None, 3, "", [[]], {"a": []}, [{}], 1e400, True]


def test_files_of_a_wrong_form_are_refused_by_the_key(copy):
    """Also where their SHA-256 is right, as of a file that somebody wrote."""
    table = json.loads((copy / "run.json").read_text())
    del table["sha256"]
    for key in (*table, None):
        for value in (None, [[]], 1e400):
            new = value if key is None else table | {key: value}
            content = sealed(new) if isinstance(new, dict) else json.dumps(new).encode()
            (copy / "run.json").write_bytes(content)
            with pytest.raises(InputError, match=r"run.json: damaged"):
                RunFiles(copy).check_finished()


def test_results_of_a_wrong_form_are_refused_by_the_key(copy):
    result = json.loads((copy / "result.json").read_text())
    run = writer(copy)
    required = "net top1_error top1_interval protocol views images replicas seconds versions"
    for key in (*required.split(), None):
        for value in WRONG:
            if key in ("top1_error", "seconds", "images", "views", "replicas") and value == 3:
                continue
            if (key in ("net", "protocol") and value == "") or (key == "versions" and value == {}):
                continue
            new = value if key is None else result | {key: value}
            run.write("result.json", json.dumps(new).encode())
            run._register(["result.json"])
            with pytest.raises(InputError, match=r"result.json: damaged"):
                rows_of([copy])


def test_weights_that_are_not_finite_are_refused(small_run, tmp_path):
    copy = shutil.copytree(small_run, tmp_path / "run")
    with h5py.File(copy / "final.weights.h5", "r+") as file:
        file[_first(file)][0] = np.nan
    with pytest.raises(InputError, match=r"final.weights.h5: damaged, or from another run"):
        restore(copy)
    writer(copy)._register(["final.weights.h5"])
    with pytest.raises(InputError, match=r"final.weights.h5: damaged: .* is not finite"):
        restore(copy)


def _first(file):
    """The name of the first array of floats in a file."""
    names = []
    file.visititems(lambda name, x: names.append(name) if isinstance(x, h5py.Dataset) else None)
    return next(name for name in names if file[name].dtype.kind == "f" and file[name].ndim)
