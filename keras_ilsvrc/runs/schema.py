"""Schemas of the JSON files in a run directory, and comparisons of two runs or recipes."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from keras_ilsvrc.recipe.ops import Table
from keras_ilsvrc.utils.errors import InputError, reason

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Percent = Annotated[float, Field(ge=0, le=100)]
Interval = Annotated[list[Percent], Field(min_length=2, max_length=2)]
Number = Annotated[int, Field(ge=0, lt=2**53)]
Content = TypeVar("Content")


class Images(Table):
    """Fingerprint of the images of a split: their number and two SHA-256 digests.

    Attributes:
        number: Number of images.
        digest: SHA-256 of the name, size in bytes and label of each image, in order.
        stamp: SHA-256 of the modification times of the files, or of the pixels if these are kept in
            memory.
    """

    number: Number
    digest: Sha256
    stamp: Sha256


class Identity(Table):
    """Content of `run.json`, which identifies a run.

    Attributes:
        version: Version of the package that wrote the run.
        recipe: SHA-256 of `recipe.toml`.
        seed: Seed of the recipe.
        classes: Names of the classes, in the order of the labels.
        eval_ops: Preprocessing ops for validation and test images.
        splits: Fingerprint of each split: train, validation, test.
        files: SHA-256 of each file that is completely written, as {name: digest}.
        kind: What was trained: "classifier" or "detector".
    """

    version: str
    recipe: Sha256
    seed: Number
    classes: list[str]
    eval_ops: list[dict[str, Any]]
    splits: dict[str, Images]
    files: dict[str, Sha256] = Field(default_factory=dict)
    kind: Literal["classifier", "detector"] = "classifier"

    @property
    def owner(self) -> dict[str, Any]:
        """Seed, recipe digest and image digest of the run. Every checkpoint contains a copy."""
        data = json.dumps([self.classes, [self.splits[x].digest for x in sorted(self.splits)]])
        digest = hashlib.sha256(data.encode()).hexdigest()
        return {"recipe": self.recipe, "seed": self.seed, "data": digest}

    def changes(self, now: "Identity", splits: Sequence[str]) -> list[str]:
        """Describe all differences in classes and splits between this run and the dataset `now`."""
        found = []
        if now.classes != self.classes:
            pairs = enumerate(zip_longest(self.classes, now.classes))
            label, (old, new) = next(pair for pair in pairs if pair[1][0] != pair[1][1])
            counts = f"{len(self.classes)} classes in the run, {len(now.classes)} in the dataset"
            found.append(f"{counts}; class {label} was {old!r} and is now {new!r}")
        for name in splits:
            if name not in self.splits or name not in now.splits:
                continue
            old_count, new_count = self.splits[name].number, now.splits[name].number
            if old_count != new_count:
                found.append(f"{name} had {old_count:,} images and now has {new_count:,}")
            elif self.splits[name].digest != now.splits[name].digest:
                found.append(f"{name} has images with other names, sizes or labels")
        return found

    def touched(self, now: "Identity") -> list[str]:
        """Return the names of splits whose files were rewritten: only their `stamp` differs."""
        both = self.splits.keys() & now.splits.keys()
        changed = [x for x in both if self.splits[x].stamp != now.splits[x].stamp]
        return sorted(x for x in changed if self.splits[x].digest == now.splits[x].digest)


class Expected(Table):
    """Expected test errors in %, with which the errors of a run are compared.

    Attributes:
        by: Origin of the errors, for example "published".
        top1_error: Top-1 error; None if unknown.
        top5_error: Top-5 error; None if unknown.
    """

    by: str
    top1_error: Percent | None = None
    top5_error: Percent | None = None


class Baseline(Table):
    """Name and top-1 test error in % of a classifier that is not a network, on the same images."""

    name: str
    top1_error: Percent


class Result(BaseModel):
    """Content of `result.json`: test errors of a finished run, and how they were measured."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)

    net: str
    top1_error: Percent
    top1_interval: Interval
    top5_error: Percent | None = None
    top5_interval: Interval | None = None
    protocol: str
    views: Number
    images: Number
    replicas: Number
    seconds: Annotated[float, Field(ge=0)]
    versions: dict[str, str]
    expected: Expected | None = None
    baseline: Baseline | None = None
    kept_epoch: Number | None = None
    finished: str = ""
    stopped_epoch: Number | None = None
    left_out: list[str] = Field(default_factory=list)
    overrides: list[str] = Field(default_factory=list)


def parsed(path: Path, advice: str, parse: Callable[[], Content]) -> Content:
    """Return the result of `parse`, a function that reads the content of a file.

    Raises:
        InputError: If `parse` fails. The message says that the file `path` is damaged, and ends
            with `advice`.
    """
    try:
        return parse()
    except InputError:
        raise
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"])) or "content"
        found = f"{first['input']!r:.40}"
        raise InputError(
            f"{path}: damaged: {key} is {found}: {first['msg'].lower()}; {advice}"
        ) from error
    except (ValueError, KeyError, TypeError, EOFError, RecursionError, OSError) as error:
        raise InputError(f"{path}: damaged: {reason(error)}; {advice}") from error


def check_version(path: Path, table: Mapping[str, Any]) -> None:
    """Check that a run was not written by a newer version of the package.

    Raises:
        InputError: If a newer version wrote the run; the message gives both versions.
    """
    own = version("keras_ilsvrc")
    try:
        newer = Version(str(table.get("version"))) > Version(own)
    except InvalidVersion:
        return
    if newer:
        raise InputError(
            f"{path}: written by keras_ilsvrc {table['version']}, but this is {own}; update "
            "the package"
        )


def differences(old: Any, new: Any, key: str = "") -> list[str]:
    """List the differences between two recipes, for example `schedule.steps 100 -> 200`."""
    if old == new:
        return []
    if not isinstance(old, dict) or not isinstance(new, dict):
        shown = ["none" if value is None else repr(value) for value in (old, new)]
        return [f"{key} {shown[0]} -> {shown[1]}"]
    found = []
    for name in [*old, *(x for x in new if x not in old)]:
        found += differences(old.get(name), new.get(name), f"{key}.{name}".strip("."))
    return found
