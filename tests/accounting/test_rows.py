"""Tests of the rows of `account`: their order, their sums by stage, and saved files."""

import dataclasses
import json
import sys

import keras
import pytest
from keras import layers

from keras_ilsvrc import build
from keras_ilsvrc.accounting import account

NUMBERS = ("parameters", "statistics", "units", "connections", "macs", "memory")


def numbers(told):
    return {name: getattr(told, name) for name in NUMBERS}


@pytest.mark.parametrize("name", ["resnet20_cifar", "alexnet", "googlenet"])
def test_rows_are_what_keras_counts_and_stages_are_all_rows(name):
    with keras.StatelessScope(initialize_variables=False):
        model = build(name)
    closed, opened = account(model), account(model, opened=True)
    assert numbers(closed) == numbers(opened)
    for row in closed.rows:
        layer = model.get_layer(row.name)
        assert row.parameters + row.statistics == layer.count_params()
        assert row.size == layer.output.shape[1:]
    names = {layer.name for layer in model.layers if not isinstance(layer, layers.InputLayer)}
    assert {row.name for row in closed.rows} == names
    for told in (closed, opened):
        stages = told.by_stage()
        assert [row for stage in stages for row in stage.rows] == [row.name for row in told.rows]
        for number in NUMBERS:
            assert sum(getattr(x, number) for x in stages) == getattr(told, number)
            assert sum(getattr(x, number) for x in told.rows) == getattr(told, number)


def test_branches_and_auxiliary_classifiers_follow_one_another(told):
    names = [row.name for row in told("googlenet", auxiliary=True).rows]
    start = names.index("inception_3a_1x1")
    assert [name.removeprefix("inception_3a_") for name in names[start : start + 7]] == [
        "1x1",
        "3x3_reduce",
        "3x3",
        "5x5_reduce",
        "5x5",
        "pool",
        "pool_proj",
    ]
    aux = [number for number, name in enumerate(names) if name.startswith("aux1")]
    assert aux == list(range(aux[0], aux[0] + len(aux)))


@pytest.mark.parametrize("opened", [False, True])
def test_stages_of_a_residual_net_are_those_of_the_paper(opened, told):
    stages = told("resnet18", opened).by_stage()
    sizes = [(112, 112), (56, 56), (28, 28), (14, 14), (7, 7), ()]
    assert [stage.size for stage in stages] == sizes
    assert stages[0].rows[0] == "conv1_pad"
    assert stages[2].rows[0].startswith("conv3_1")


def test_an_account_is_the_same_after_saving_and_loading(tmp_path):
    model = build("resnet_cifar", depth=8, input_shape=(8, 8, 3))
    model.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras")
    told = account(model, opened=True)
    assert "conv3_1/get_item" in [row.name for row in told.rows]
    assert told == account(again, opened=True)


def test_an_account_can_be_written_as_json():
    told = account(keras.Sequential([keras.Input((7, 6, 4)), layers.Conv2D(3, 3)]))
    read = json.loads(json.dumps(dataclasses.asdict(told)))
    assert read["macs"] == told.macs
    assert read["rows"][0]["field"] == [3, 3]
    assert read["rows"][0].keys() == {*NUMBERS, "name", "kind", "size", "field", "stride", "start"}


def test_a_net_deeper_than_pythons_stack_has_an_account():
    """Keras itself makes a model by recursion; it can be as deep as the stack, and is walked."""
    shared, image = layers.ReLU(name="relu"), keras.Input((4, 4, 1))
    x = image
    for _ in range(600):
        x = shared(x)
    model = keras.Model(image, x)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(300)
    try:
        assert len(account(model).rows) == 600
    finally:
        sys.setrecursionlimit(limit)


def test_padding_that_ends_a_net_is_a_stage_of_its_own():
    image = keras.Input((8, 8, 3))
    conv = layers.Conv2D(2, 3, padding="same")(image)
    told = account(keras.Model(image, layers.ZeroPadding2D(1)(conv)))
    assert [stage.size for stage in told.by_stage()] == [(8, 8), (10, 10)]
    assert [len(stage.rows) for stage in told.by_stage()] == [len(told.rows) - 1, 1]
