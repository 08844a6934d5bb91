"""Rules that translate another framework's tensor and layer names into ours."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

# {regular expression of a whole name: our name, as a template or function for `re.sub`}
Rules = Mapping[str, str | Callable[[re.Match[str]], str]]


def translate(name: str, rules: Rules) -> str | None:
    """Translate another framework's name by the first rule that matches; None if none matches."""
    for pattern, ours in rules.items():
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(ours) if isinstance(ours, str) else ours(match)
    return None


def layers_of(paths: Iterable[str]) -> list[str]:
    """Return the names of the layers in a list of weight paths, in order and without repetition."""
    return list(dict.fromkeys(path.rpartition("/")[0] for path in paths))


def in_order(
    layers: Iterable[str], chains: Mapping[str, Sequence[str]], own: Sequence[str]
) -> dict[str, str]:
    """Return {their layer name: our layer name} for layers that are matched by their order.

    Args:
        layers: Layer names of the other framework.
        chains: {regular expression: our names}. Layers that match the same expression are sorted
            by the numbers in their names, and get our names in this order. An empty sequence
            means all layers in `own` that are in no other chain.
        own: Layer names of our model, in the model's order.
    """
    layers = list(layers)
    found: dict[str, str] = {}
    listed = {name for names in chains.values() for name in names}
    for pattern, names in chains.items():
        theirs = sorted((name for name in layers if re.fullmatch(pattern, name)), key=_numbers)
        found.update(zip(theirs, names or [name for name in own if name not in listed]))
    return found


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", name)]
