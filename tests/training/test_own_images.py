"""Tests of AdamW, class weights and mixup: one step computed by hand, and exact resumption."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy
from toy_runs import StopAt

from keras_ilsvrc.training.losses import CrossEntropy
from keras_ilsvrc.training.optimizers import AdamW
from keras_ilsvrc.training.schedules import WarmUp, cosine
from keras_ilsvrc.training.stopping import Stopped, StopRequest
from keras_ilsvrc.training.update import Update


def test_adamw_is_that_of_keras_for_kernels(small_net):
    """Keras' AdamW decays all weights, except those that `exclude_from_weight_decay` names."""
    nets = [small_net(), small_net()]
    nets[1].set_weights(nets[0].get_weights())
    settings = {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3}
    own = AdamW(cosine(0.1, 10), 0.2, {}, **settings)
    stock = keras.optimizers.AdamW(cosine(0.1, 10), 0.2, **settings)
    stock.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    random = np.random.default_rng(0)
    for _ in range(4):
        gradients = [random.normal(size=x.shape) for x in nets[0].trainable_variables]
        for net, optimizer in zip(nets, (own, stock), strict=True):
            tensors = [tf.constant(x, "float32") for x in gradients]
            optimizer.apply(tensors, net.trainable_variables)
    for one, other in zip(*(net.get_weights() for net in nets), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_adamw_goes_through_its_configuration():
    optimizer = AdamW(0.02, 0.3, {"bias": 2.0}, beta_1=0.8, clipnorm=1.5)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(copy) is AdamW
    assert copy.get_config() == optimizer.get_config()
    assert (copy.decoupled, copy.rates, copy.beta_1) == (0.3, {"bias": 2.0}, 0.8)


def one_step(images, labels, mixup, replicas=1, **options):
    """Loss and gradient norm of a step of a net without BN and dropout."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    update = Update(
        toy.net(0, False), keras.optimizers.SGD(0.1), CrossEntropy(), 8, 0, mixup=mixup, **options
    )
    data = tf.data.Dataset.from_tensors((images, labels)).repeat()
    return update, update.take(iter(data), 5, 1)[0]


def test_mixup_is_that_of_zhang_et_al():
    """Images and losses of a batch and of its reverse, in the ratio of the step."""
    random = np.random.default_rng(0)
    images = random.normal(size=(8, 6, 6, 1)).astype("float32")
    labels = np.array([0, 1, 2, 0, 1, 2, 0, 0])
    update, result = one_step(images, labels, 1.0)
    ratio = float(update._mixing_ratio(tf.constant(5)))
    assert 0.01 < ratio < 0.99
    _, plain = one_step(ratio * images + (1 - ratio) * images[::-1], labels, None)
    _, others = one_step(ratio * images + (1 - ratio) * images[::-1], labels[::-1], None)
    for name in ("loss", "accuracy"):
        one, other = getattr(plain, name), getattr(others, name)
        assert getattr(result, name) == pytest.approx(ratio * one + (1 - ratio) * other, rel=1e-5)
    assert plain.loss != pytest.approx(others.loss, rel=1e-2)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_ratios_of_mixup_have_a_beta_distribution(alpha):
    update, _ = one_step(np.zeros((8, 6, 6, 1), "float32"), np.zeros(8, "int32"), alpha)
    draw = tf.function(lambda: tf.map_fn(update._mixing_ratio, tf.range(2000), tf.float32))
    ratios = draw().numpy()
    assert ratios.mean() == pytest.approx(0.5, abs=0.04)
    assert ratios.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)
    assert len(set(ratios.tolist())) > 1500
    assert float(update._mixing_ratio(tf.constant(7))) == ratios[7]


def test_a_training_with_all_of_them_is_resumed_exactly(tmp_path):
    keras.utils.set_random_seed(3)
    model = toy.net()
    model.get_layer("conv1").trainable = model.get_layer("bn1").trainable = False
    optimizer = AdamW(WarmUp(cosine(0.1, 12), 3), 0.1, beta_1=0.9, beta_2=0.99)
    loss = CrossEntropy(class_weights=(0.5, 1.0, 3.0))
    update = Update(model, optimizer, loss, toy.BATCH, 0, average=0.9, mixup=0.4, accumulate=2)
    first = toy.values_of(update)
    frozen = {x: y for x, y in first.items() if x.startswith(("model/conv1", "model/bn1"))}
    assert len(frozen) == 6
    ends = []
    for directory, stop_after in ((None, None), (tmp_path, 3), (tmp_path, 7), (tmp_path, None)):
        stop = StopRequest()
        toy.set_values(update, first)
        trainer = toy.trainer_of(update, 12, directory, [StopAt(stop, stop_after)], stop=stop)
        try:
            trainer.train()
        except Stopped:
            continue
        ends.append(toy.state_hash(update))
    assert ends[0] == ends[1]
    after = toy.values_of(update)
    assert all((after[name] == value).all() for name, value in frozen.items())
    assert (after["model/predictions/kernel"] != first["model/predictions/kernel"]).any()
