"""Fixtures for the tests of commands."""

from devices import without_gpus  # noqa: F401
