"""Building of models without initial values, for weights that are loaded right afterwards."""

from typing import Any

import keras


class Deferred(keras.StatelessScope):
    """Scope that postpones the initial values of new variables until its end.

    At the end of the scope, each variable gets the value that was last assigned to it in the scope.
    If no value was assigned, the variable gets the value of its initializer. So no time and memory
    are spent on random values that would be replaced at once.
    """

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Make a value that was assigned to a variable the variable's initial value.

        Raises:
            ValueError: If the variable was created before the scope.
        """
        variable, value = update
        if variable._initializer is None:
            raise ValueError(f"{variable.path} has a value already")
        variable._initializer = lambda *_, **__: value
        super().add_update(update)
