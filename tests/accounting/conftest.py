"""Fixtures for the tests of accounting."""

import pytest


@pytest.fixture(scope="session")
def told(shared):
    """The account of a net by its name, built once and without allocating the weights."""
    from counted import counted

    def told(name, opened=False, **arguments):
        return counted(shared, name, **arguments)[2 if opened else 1]

    return told
