"""Tests of learning rates by step: compared with formulas; and of the plateau schedule."""

import keras
import numpy as np
import pytest

from keras_ilsvrc.training.optimizers import RMSprop
from keras_ilsvrc.training.schedules import Plateau, WarmUp, exponential, polynomial, steps

STEPS = [0, 1, 3, 4, 5, 9, 10, 11, 200]


def rates(schedule):
    return [float(schedule(step)) for step in STEPS]


@pytest.mark.parametrize("then", [0.1, polynomial(0.4, 100, 2.0), steps([[0, 0.1], [9, 0.01]])])
def test_warm_up_rises_to_what_follows(then):
    value = (lambda step: float(then(step))) if callable(then) else lambda step: then
    expected = [0.02 + (value(5) - 0.02) * step / 5 if step < 5 else value(step) for step in STEPS]
    np.testing.assert_allclose(rates(WarmUp(then, 5, 0.02)), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "schedule",
    [
        polynomial(0.4, 10, 2.0),
        exponential(0.1, 0.5, 3),
        WarmUp(0.1, 5),
        WarmUp(polynomial(0.4, 10), 5, 0.01),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_schedules_go_through_their_configuration(schedule):
    optimizer = keras.optimizers.SGD(schedule)
    copy = keras.optimizers.SGD.from_config(optimizer.get_config())
    for step in STEPS:
        optimizer.iterations.assign(step)
        copy.iterations.assign(step)
        assert float(copy.learning_rate) == float(optimizer.learning_rate)


def test_a_plateau_lowers_the_rate_so_often_and_no_more(small_net):
    model = small_net()
    model.optimizer = keras.optimizers.SGD(1.0)
    plateau = Plateau(0.1, patience=2, times=2)
    plateau.set_model(model)
    found = []
    for error in [50, 40, 40, 41, 39, 39, 39, 39, 39]:
        plateau.on_epoch_end(0, {"validation_error": error})
        found.append(float(model.optimizer.learning_rate))
        again = Plateau(0.1, patience=2, times=2)  # a training that is taken up after every epoch
        again.set_model(model)
        again.set_state(plateau.get_state())
        plateau = again
    np.testing.assert_allclose(found, [1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01], rtol=1e-6)


def test_rmsprop_is_that_of_szegedy_et_al(small_net):
    """In float64, with epsilon under the root, a bias at twice the rate."""
    rho, momentum, epsilon, l2 = 0.9, 0.9, 1.0, 0.01
    optimizer = RMSprop(0.045, rho, momentum, epsilon, l2, {"bias": 2.0})
    variables = small_net().trainable_variables
    weights = [variable.numpy().astype("float64") for variable in variables]
    squares = [np.zeros_like(x) for x in weights]
    speeds = [np.zeros_like(x) for x in weights]
    random = np.random.default_rng(0)
    for _ in range(5):
        gradients = [random.normal(size=x.shape) for x in weights]
        optimizer.apply([keras.ops.convert_to_tensor(x, "float32") for x in gradients], variables)
        for index, (variable, gradient) in enumerate(zip(variables, gradients, strict=True)):
            kernel, bias = variable.name == "kernel", variable.name == "bias"
            gradient = gradient + (l2 * weights[index] if kernel else 0)
            squares[index] = rho * squares[index] + (1 - rho) * gradient**2
            rate = 0.045 * (2 if bias else 1)
            step = rate * gradient / np.sqrt(squares[index] + epsilon)
            speeds[index] = momentum * speeds[index] + step
            weights[index] = weights[index] - speeds[index]
            np.testing.assert_allclose(variable.numpy(), weights[index], rtol=1e-4, atol=1e-5)


def test_rmsprop_round_trips_through_its_config():
    optimizer = RMSprop(0.02, 0.8, 0.7, 0.5, 1e-4, {"bias": 2.0}, clipnorm=1.5)
    copy = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(copy) is RMSprop
    assert copy.get_config() == optimizer.get_config()
    assert (copy.l2, copy.rates, copy.epsilon) == (1e-4, {"bias": 2.0}, 0.5)
