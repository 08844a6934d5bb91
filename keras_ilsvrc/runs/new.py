"""Generation of commented recipes for a user's own images."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w
from jinja2 import Environment, PackageLoader, StrictUndefined

from keras_ilsvrc.data.source import Shares, Source
from keras_ilsvrc.nets import info
from keras_ilsvrc.nets.pretrained import Found, find
from keras_ilsvrc.recipe import Recipe
from keras_ilsvrc.runs.choices import facts_of, plan_of
from keras_ilsvrc.utils.errors import InputError, printable

# Weight the classes if the largest has more than this many times as many images as the smallest.
IMBALANCE = 2


def compose(
    source: Source, net: str, hours: float | None, command: str, weights: Path | str | None = None
) -> tuple[str, str]:
    """Return the text of a new recipe for a user's images, and a one-line summary of it.

    Args:
        source: Opened source of the images.
        net: Name of the network.
        hours: Maximum hours of training on this machine; None for a default that depends on the
            number of images (see `choices.AMOUNTS`).
        command: Command that trains the recipe; it becomes the first line of the recipe.
        weights: Path of a weight file or name of published weights to fine-tune; None to train
            from random weights.

    Raises:
        InputError: If the images or the weights do not fit the network, or the preprocessing for
            the weights is unknown.
    """
    found = None if weights is None else find(info(net), weights)
    if found:
        _check_preprocessing(found, weights)
    facts = facts_of(source)
    plan = plan_of(net, facts, hours, found)
    environment = Environment(
        loader=PackageLoader("keras_ilsvrc.runs", "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # no HTML escapes, since the text is TOML
    )
    environment.filters |= {"toml": _toml, "inline": _inline}
    text = environment.get_template("new.toml.jinja").render(
        command=command,
        net=net,
        source=source,
        facts=facts,
        shares=Shares(),
        plan=plan,
        weights=weights,
        file=found and printable(found.path.name),
        channels=info(net).input_shape[-1],
        balanced=facts.imbalance > IMBALANCE,
    )
    Recipe.model_validate(tomllib.loads(text))
    longer = ""
    if hours is not None and plan.hours > hours:
        longer = f", more than --hours {hours:g}: a network needs at least {plan.steps:,} steps"
    return text, (
        f"{net} on {facts.train:,} images of {facts.classes} classes, at {plan.size} pixels, "
        f"{plan.epochs} epochs, about {plan.time} on this machine{longer}"
        + (f", from the {found.source.name} weights" if found and found.source else "")
    )


def _check_preprocessing(found: Found, weights: Path | str | None) -> None:
    """Raise an InputError if the preprocessing for the weights is unknown."""
    if found.source and found.source.preprocessing:
        return
    what = f"{found.source.name} weights" if found.source else "not published weights"
    advice = f"then set initial = {str(weights)!r} in it"
    if found.source:
        given = f"{{weights = {str(weights)!r}, skip = [the new layers]}}"
        advice = f"then set initial = {given} and the ops of the original net in it"
    raise InputError(
        f"{weights}: {what}, so their preprocessing is unknown; write a recipe without "
        f"--weights, {advice}"
    )


def _inline(row: Mapping[str, Any]) -> str:
    """Return a dict of strings, numbers and lists, for example an op, as a TOML inline table."""
    return f"{{{', '.join(f'{key} = {json.dumps(value)}' for key, value in row.items())}}}"


def _toml(value: str | dict[str, object]) -> str:
    """Return a string as a TOML string, or a dict as the lines of a TOML table.

    Raises:
        InputError: If a string is a file name that is not UTF-8, which TOML cannot contain.
    """
    if isinstance(value, dict):
        return tomli_w.dumps(value).rstrip()
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{value}: the name is not valid UTF-8; rename the folder") from error
    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")
