"""Building of models without initial values, for weights that are loaded right afterwards."""

from typing import Any

import keras


class Deferred(keras.StatelessScope):
    """Scope that postpones the initial values of new variables until its end.

    At its end, each variable gets the value that was last assigned to it in the scope. A variable
    without such a value gets the value of its initializer. So no random values are
    computed or kept in memory only to be replaced.
    """

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Keep a value that was assigned to a variable as the variable's initial value.

        Raises:
            ValueError: If the variable was not made in the scope.
        """
        variable, value = update
        if variable._initializer is None:
            raise ValueError(f"{variable.path} has a value already")
        variable._initializer = lambda *_, **__: value
        super().add_update(update)
