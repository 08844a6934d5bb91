"""Building of models that get weights at once, without initial values first."""

from typing import Any

import keras


class Deferred(keras.StatelessScope):
    """Scope in which the variables of new models get no values before its end.

    At its end, each variable starts with the value that was last assigned to it in the scope, or
    with that of its initializer if there is none. Random values that would be replaced are neither
    computed nor in memory.
    """

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Make an assigned value the initial value of its variable."""
        variable, value = update
        variable._initializer = lambda *_, **__: value
        super().add_update(update)
