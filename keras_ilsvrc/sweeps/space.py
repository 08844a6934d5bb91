"""Search spaces: the hyperparameters that a search can vary, and the values that it tries.

Keras and keras-tuner are not imported here, so that `info --space` is fast.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_ilsvrc.nets import chosen, info, siblings
from keras_ilsvrc.nets.variations import Choice, Number, Variation
from keras_ilsvrc.utils.errors import InputError, nearest

if TYPE_CHECKING:
    import keras_tuner

Range = list[Any] | tuple[float, float]  # list of values, or minimum and maximum


class Hyperparameter(NamedTuple):
    """Hyperparameter: a variation of the net, a choice between nets, or a setting of the training.

    Attributes:
        accepted: All valid values.
        searched: Values that a search tries; empty if it does not vary the hyperparameter.
        source: "variation", "networks" for nets that differ only in this value, or "training".
        log: Whether numbers of an interval are drawn on a logarithmic scale.
    """

    accepted: Variation
    searched: Range
    source: str = "training"
    log: bool = False

    @property
    def default(self) -> Any:
        """Published value; if a search does not try it, the nearest limit or the first value."""
        own, searched = self.accepted.default, self.searched
        if isinstance(searched, tuple):
            return searched[0] if own is None else min(max(own, searched[0]), searched[1])
        return own if own in searched or not searched else searched[0]


# Hyperparameters of the training of any network. The intervals are our choice. `augmentation` 1 is
# the augmentation of He et al. for CIFAR-10 (arXiv:1512.03385, section 4.2), and `auxiliary_weight`
# 0.3 the weight in GoogLeNet.
TRAINING = {
    "learning_rate": Hyperparameter(Number(0.1, least=1e-9), (1e-4, 1.0), log=True),
    "momentum": Hyperparameter(Number(0.9, least=0, below=1), (0.5, 0.99)),
    "l2": Hyperparameter(Number(1e-4, least=0), (1e-6, 1e-2), log=True),
    "optimizer": Hyperparameter(
        Choice(("sgd", "rmsprop", "adamw", "adam")),
        ["sgd", "rmsprop", "adamw"],  # not "adam", since `l2` has no effect on it
    ),
    "schedule": Hyperparameter(
        Choice(("constant", "cosine", "steps")), ["constant", "cosine", "steps"]
    ),
    "initial": Hyperparameter(Choice(("he", "glorot")), ["he", "glorot"]),
    "augmentation": Hyperparameter(Number(0.0, least=0, below=2), (0.0, 1.0)),
    "batch_size": Hyperparameter(Number(32, least=1, whole=True), [16, 32, 64, 128, 256]),
    "auxiliary_weight": Hyperparameter(Number(0.3, least=0), (0.0, 1.0)),
}
OF_TOP = ("dropout", "head")  # variations that affect only the classifier


def known(name: str, arguments: Mapping[str, Any]) -> dict[str, Hyperparameter]:
    """Return all hyperparameters of a net that `arguments` of `build` do not fix, by name.

    `searched` is empty for hyperparameters that are not searched by default.

    Raises:
        InputError: If the net, or the value of a variation, is unknown.
    """
    variations = info(name).variations
    net = info(name, **{key: arguments[key] for key in variations if key in arguments})
    top, loaded = arguments.get("include_top", True), arguments.get("weights") is not None
    fixed = {*chosen(name, arguments), *(() if top else OF_TOP)}
    found = {}
    for key in dict.fromkeys((*net.space, *variations)):
        others = {} if key in variations else siblings(name, key)
        if key in variations and key not in fixed and not loaded:
            values = net.space.get(key, [])
            found[key] = Hyperparameter(variations[key], values, "variation")
        elif len(others) > 1:
            own = net.arguments[key]
            values = [value for value in others if value in net.space[key] or value == own]
            all_of = Choice(tuple(others)).with_default(own)
            found[key] = Hyperparameter(all_of, values if len(values) > 1 else [], "networks")
    left_out = {"initial"} if loaded else set()
    left_out |= set() if net.arguments.get("auxiliary") else {"auxiliary_weight"}
    for key, row in TRAINING.items() if top else ():
        values = net.space.get(key, row.searched)
        accepted = Choice(tuple(values)) if key in net.space else row.accepted
        if key not in left_out:
            found[key] = row._replace(accepted=accepted, searched=values)
    return found


def narrowed(name: str, rows: Mapping[str, Hyperparameter], space: Any) -> dict[str, Any]:
    """Return the hyperparameters that a search varies, by name.

    Args:
        name: Name of the net, for error messages.
        rows: All hyperparameters of the net, from `known`.
        space: None to search the default hyperparameters, or an iterable of names to search only
            these, or a dict that changes the defaults. The dict maps a name to a list of values, a
            tuple (minimum, maximum) of numbers, or one value.

    Raises:
        InputError: If a name is unknown, or a value is not valid.
    """
    found = {key: row for key, row in rows.items() if row.searched}
    if space is None:
        return found
    if isinstance(space, str) or not isinstance(space, Iterable):
        raise InputError(
            f"space is {space!r}; expected names in a list, or a dict from names to values"
        )
    for key in space:
        if key not in rows:
            hint = nearest(str(key), rows) or f"`keras-ilsvrc info {name} --space` shows all"
            raise InputError(f"space: {name} has no free hyperparameter {key!r}; {hint}")
    if isinstance(space, Mapping):
        return {**found, **{key: _narrow(key, rows[key], space[key]) for key in space}}
    return {key: _searchable(key, rows[key]) for key in space}


def _searchable(key: str, row: Hyperparameter) -> Hyperparameter:
    """Return a hyperparameter with values to search: the default ones, or else all its values."""
    if row.searched:
        return row
    if isinstance(row.accepted, Number):
        raise InputError(f"space: {key} needs values to search; pass {{{key!r}: [...]}}")
    return row._replace(searched=list(row.accepted.values))


def _narrow(key: str, row: Hyperparameter, given: Any) -> Hyperparameter:
    """Return a hyperparameter whose search is restricted to the values that the user gave."""
    accepted, ends = row.accepted, isinstance(given, tuple)
    values = list(given) if isinstance(given, list | tuple) else [given]
    if not values or (ends and (len(values) != 2 or not _numbers(values))):
        raise InputError(
            f"space: {key} is {given!r}; expected a list of values, or a tuple (minimum, maximum) "
            "of numbers"
        )
    if ends and isinstance(accepted, Choice):  # for example, all depths from 20 to 56
        known = [x for x in accepted.values if _numbers([values[0], x, values[1]])]
        values, ends = known or values, False
    for value in values:
        if value not in accepted:
            raise InputError(f"space: {key} is {value!r}; expected {accepted}")
    if isinstance(accepted, Number) and not accepted.whole:
        values = [float(value) for value in values]
    return row._replace(searched=(values[0], values[1]) if ends else list(dict.fromkeys(values)))


def _numbers(values: list[Any]) -> bool:
    """Return whether values are numbers in rising order."""
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in values)
    return numbers and values == sorted(values)


def value_of(hp: "keras_tuner.HyperParameters", name: str, row: Hyperparameter) -> Any:
    """Declare a hyperparameter to keras-tuner, and return the value that it chose for a trial."""
    values, default = row.searched, row.default
    if isinstance(values, tuple):
        whole = isinstance(row.accepted, Number) and row.accepted.whole
        sampling = "log" if row.log and values[0] > 0 else "linear"
        draw = hp.Int if whole else hp.Float
        return draw(name, *values, sampling=sampling, default=default)
    if len(values) == 1:
        return hp.Fixed(name, values[0])
    if isinstance(default, bool):
        return hp.Boolean(name, default)
    return hp.Choice(name, values, default=default)
