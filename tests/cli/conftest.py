"""What the tests of commands share."""

from devices import without_gpus  # noqa: F401
