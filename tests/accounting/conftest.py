"""What the tests of accounts share."""

import functools

import pytest


@pytest.fixture(scope="session")
def told():
    """The account of a net by its name, built once and without allocating the weights."""
    import keras

    from keras_ilsvrc import build
    from keras_ilsvrc.accounting import account

    @functools.cache
    def model(name, **arguments):
        with keras.StatelessScope(initialize_variables=False):
            return build(name, **arguments)

    @functools.cache
    def of(name, opened=False, **arguments):
        return account(model(name, **arguments), opened)

    return of
