"""Every recipe of the package loads, builds and takes a step."""

from pathlib import Path

import numpy as np
import pytest

from keras_ilsvrc import recipe as recipes
from keras_ilsvrc.nets import info
from keras_ilsvrc.training.strategy import mirrored

FILES = sorted((Path(__file__).parent.parent / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_says_what_it_should_reach(path):
    recipe = recipes.load(path)
    assert recipe.expect is not None
    assert recipes.find(path.stem).read_bytes() == path.read_bytes()
    info(recipe.net, **recipe.build.variations)


@pytest.mark.tensorflow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_builds_and_takes_a_step(path):
    from keras_ilsvrc.data.pipeline import training_batches
    from keras_ilsvrc.stage import make_update, op_rows, set_stage

    recipe = recipes.load(path)
    stage = set_stage(recipe, mirrored(1))
    batches = training_batches(
        stage.train, op_rows(recipe.data.train_ops), stage.statistics, recipe.data.batch_size, 0
    )
    before = [np.array(weight) for weight in stage.model.get_weights()]
    with stage.strategy.scope():
        update = make_update(stage)
    iterator = iter(stage.strategy.distribute_datasets_from_function(lambda context: batches))
    (result,) = update.take(iterator, 0, 1)
    assert result.finite
    assert any((new != old).any() for new, old in zip(stage.model.get_weights(), before))
