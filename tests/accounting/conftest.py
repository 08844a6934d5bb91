"""Fixtures for the tests of accounts."""

import functools

import pytest


@pytest.fixture(scope="session")
def told():
    """The account of a net by its name, built once and without allocating the weights."""
    import keras

    from keras_ilsvrc import build
    from keras_ilsvrc.accounting import account

    @functools.cache  # of accounts, not of models: Keras collects garbage before every test
    def both(name, **arguments):
        with keras.StatelessScope(initialize_variables=False):
            model = build(name, **arguments)
        return account(model), account(model, opened=True)

    return lambda name, opened=False, **arguments: both(name, **arguments)[opened]
