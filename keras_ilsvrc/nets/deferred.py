"""Scope for building a model without initial values, since its weights are loaded immediately."""

from typing import Any

import keras


class Deferred(keras.StatelessScope):
    """Scope that postpones the initial values of new variables until its end.

    At the end of the scope, each variable gets the value that was last assigned to it in the scope.
    If no value was assigned, the variable gets the value of its initializer. So no time and memory
    are spent on random values that would be replaced immediately.
    """

    def add_update(self, update: tuple[Any, Any]) -> None:
        """Record the value that is assigned to a variable as the initial value of the variable.

        Raises:
            ValueError: If the variable was created before the scope.
        """
        variable, value = update
        if variable._initializer is None:
            raise ValueError(f"{variable.path} already has a value; assign it outside the scope")
        variable._initializer = lambda *_, **__: value
        super().add_update(update)
