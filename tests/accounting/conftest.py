"""Fixtures for the tests of accounts."""

import pytest


@pytest.fixture(scope="session")
def told(shared):
    """The account of a net by its name, built once and without allocating the weights."""
    from counted import counted

    return lambda name, opened=False, **arguments: counted(
        shared, "opened" if opened else "account", name, **arguments
    )
