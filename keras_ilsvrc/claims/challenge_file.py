"""The challenge run again: its file, and the recipe of each entry. Needs no Keras."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from keras_ilsvrc.claims.arms import OF_ARM, RATE, UNTRAINED
from keras_ilsvrc.claims.schema import Changes, Row
from keras_ilsvrc.errors import InputError, nearest
from keras_ilsvrc.nets import NETS
from keras_ilsvrc.nets.build import check_build
from keras_ilsvrc.recipe import Recipe, changed, load, published, scaled, value_of
from keras_ilsvrc.recipe.ops import Count, Percent, Positive, Table
from keras_ilsvrc.recipe.schema import Departure
from keras_ilsvrc.recipe.tables import read_table

By = Literal["era", "today"]  # the recipe of the challenge's years, or one of today
FormName = Literal["small", "full", "quick"]
RECIPES: tuple[By, By] = ("era", "today")
STEP = 16  # pixels: sizes above that of the form are multiples of it
OPS = ("data.train_ops", "data.eval_ops")


class Form(Table):
    """What one form of the challenge trains: recipes, sizes, epochs, seeds.

    `size` is the height and width of the images, unless a net needs more. `entries` are changes to
    the recipes of some entries.
    """

    era: str
    today: str
    size: Count
    epochs: Positive
    seeds: Count
    entries: Annotated[dict[str, Changes], Field(default_factory=dict)]


class Entry(Table):
    """An entry: a net, and how it is trained.

    Attributes:
        net: Name of the net.
        rates: First learning rate by recipe. An entry is trained by these recipes only.
        why: Reason for the rates.
        competes: Whether the entry is one of the nets of the challenge.
        least: Smallest height and width, if it is more than the minimum of the net.
        set: Changes to both recipes, by dotted key.
        era: Changes to the recipe of the challenge's years.
        start: Entry from whose weights this one starts, by the same recipe.
        layers: Layers that are copied from `start`.
        departs: What differs from the paper, in addition to what all entries have in common.
    """

    net: str
    rates: Annotated[dict[By, Positive], Field(min_length=1)]
    why: str
    competes: bool = True
    least: Count | None = None
    set: Annotated[Changes, Field(default_factory=dict)]
    era: Annotated[Changes, Field(default_factory=dict)]
    start: str | None = None
    layers: Annotated[list[str], Field(default_factory=list)]
    departs: str = ""

    @model_validator(mode="after")
    def of_the_registry(self) -> "Entry":
        if self.net not in NETS:
            raise ValueError(f"net {self.net!r} is unknown; {nearest(self.net, NETS)}")
        if (self.start is None) != (not self.layers):
            raise ValueError("start and layers need each other; set both, or neither")
        return self


class Order(Table):
    """Two entries of which the first has the higher published error.

    `published` are the published errors, if those of the registry do not show the order.
    """

    higher: str
    lower: str
    published: str = ""

    @property
    def row(self) -> Row:
        """Return the order as a comparison of a claim."""
        return Row(higher=self.higher, lower=self.lower)


class Beside(Table):
    """What others measured on the same images: the accuracy in %, and what differs from ours."""

    what: str
    accuracy: Percent
    source: str
    differs: str


class Challenge(Table):
    """Content of the file of the challenge.

    `gap` names two entries, the first of which is also trained by the recipe of today.
    """

    title: str
    gap: Annotated[list[str], Field(min_length=2, max_length=2)]
    forms: dict[FormName, Form]
    entries: Annotated[dict[str, Entry], Field(min_length=1)]
    orders: list[Order]
    beside: list[Beside]

    @model_validator(mode="after")
    def known(self) -> "Challenge":
        named = [*self.gap, *(x.start for x in self.entries.values() if x.start)]
        named += [x for order in self.orders for x in (order.higher, order.lower)]
        named += [x for form in self.forms.values() for x in form.entries]
        for name in named:
            if name not in self.entries:
                raise ValueError(f"entry {name!r} is unknown; {nearest(name, self.entries)}")
        return self


class Contest:
    """The challenge in one form: the recipe of every run.

    Args:
        form: Name of the form.
        dataset: Data source to use instead of the recipes'.
        seeds: Number of seeds; None for that of the form.
        only: Names of the entries to train; empty for all.
        path: File of the challenge; None for that of this package.

    Attributes:
        challenge: Content of the file.
        form: The form.
        only: Names of the entries to train, in the order of the file.

    Raises:
        InputError: If an entry is unknown, or the file or a recipe is wrong.
    """

    def __init__(
        self,
        form: FormName = "small",
        dataset: str | None = None,
        seeds: int | None = None,
        only: Collection[str] = (),
        path: Path | None = None,
    ):
        self.path = path or folder() / "challenge.toml"
        self.name, self.challenge = form, read_challenge(self.path)
        self.entries, self.form = self.challenge.entries, self.challenge.forms[form]
        self.seeds = seeds or self.form.seeds
        by_lower = {name.lower(): name for name in self.entries}
        for name in only:
            if name.lower() not in by_lower:
                raise InputError(f"--only {name[:200]}: no such entry; {nearest(name, by_lower)}")
        wanted = {by_lower[name.lower()] for name in only} or set(self.entries)
        self.only = [name for name in self.entries if name in wanted]
        self.bases = {by: self._base(by, dataset) for by in RECIPES}
        self.recipes = {
            (name, by): self._recipe(name, by)
            for name, entry in self.entries.items()
            for by in RECIPES
            if by in entry.rates
        }

    def recipe(self, name: str, by: By, seed: int) -> Recipe:
        """Return the recipe of a run: of an entry by a recipe, with the number of its seed."""
        recipe = self.recipes[name, by]
        return changed(recipe, {"seed": recipe.seed + seed}, str(self.path))

    def size(self, name: str) -> int:
        """Return the height and width of an entry's images, in pixels."""
        entry = self.entries[name]
        needed = max(NETS[entry.net].minimum, entry.least or 0)
        return self.form.size if needed <= self.form.size else -(-needed // STEP) * STEP

    def departures(self) -> dict[str, list[str]]:
        """Return what differs from the papers: for all entries under "all", then by entry."""
        size, rows = self.form.size, [x for by in RECIPES for x in self._departs(by)]
        images = f"images of {size}x{size} pixels, {self.form.epochs:g} epochs"
        found = {"all": [images, *dict.fromkeys(f"{x.what}: {x.why}" for x in rows)]}
        for name, entry in self.entries.items():
            lines = [entry.departs] if entry.departs else []
            if (size := self.size(name)) != self.form.size:
                least = max(NETS[entry.net].minimum, entry.least or 0)
                lines.insert(0, f"{size}x{size} pixels, because it needs at least {least}")
            for key, value in self.form.entries.get(name, {}).items():
                lines.append(f"{key} is {value}")
            found |= {name: lines} if lines else {}
        return found

    def _departs(self, by: By) -> list[Departure]:
        return load(self.path.parent / getattr(self.form, by)).departs

    def _base(self, by: By, dataset: str | None) -> Recipe:
        recipe = load(self.path.parent / getattr(self.form, by))
        changes: Changes = {**dict.fromkeys(UNTRAINED), "departs": []}
        if dataset is not None:
            changes["data.dataset"] = dataset
        factor = self.form.epochs / (recipe.schedule.epochs or self.form.epochs)
        return changed(recipe, changes | _longer(recipe, factor), f"{self.path}: forms.{self.name}")

    def _recipe(self, name: str, by: By) -> Recipe:
        """Return the recipe of an entry with the first seed."""
        base, entry, label = self.bases[by], self.entries[name], f"{self.path}: entries.{name}"
        changes: Changes = {"net": entry.net, **_resized(base, self.size(name)), **entry.set}
        changes |= entry.era if by == "era" else {}
        changes |= self.form.entries.get(name, {})
        if entry.start:
            changes["initial"] = {"weights": f"{OF_ARM}{entry.start}", "layers": entry.layers}
        rate = value_of(base, RATE)
        first = rate[0][1] if isinstance(rate, list) else rate
        changes[RATE] = _digits(scaled(rate, entry.rates[by] / first, label))
        recipe = changed(base, changes, label)
        try:
            check_build(recipe.net, **recipe.build.model_dump(exclude_none=True))
        except InputError as error:
            raise InputError(f"{label}: {error}") from error
        return recipe


def departures_of(departures: dict[str, list[str]]) -> str:
    """Return what differs from the papers as Markdown lists."""
    lines = ["What differs from the papers, for all entries:", ""]
    lines += [f"- {line}" for line in departures["all"]]
    own = {name: rows for name, rows in departures.items() if name != "all"}
    if own:
        lines += ["", "And for some:", ""]
        lines += [f"- {name}: {'; '.join(rows)}" for name, rows in own.items()]
    return "\n".join(lines) + "\n"


def folder() -> Path:
    """Return the folder of recipes that contains the file of the challenge."""
    return next(iter(published().values())).parent / "challenge"


def read_challenge(path: Path) -> Challenge:
    """Read the file of the challenge and check its schema, as `read_table` does."""
    return read_table(Challenge, path)


def _longer(recipe: Recipe, factor: float) -> Changes:
    """Return the changes that make all lengths of a recipe's schedule `factor` times as long."""
    schedule = recipe.schedule.model_dump(exclude_none=True)
    changes: Changes = {"schedule.epochs": schedule["epochs"] * factor}
    if isinstance(rows := schedule["learning_rate"], list):
        changes[RATE] = [[_digits(start * factor), rate] for start, rate in rows]
    if "warm_up" in schedule:
        length, first = schedule["warm_up"]
        changes["schedule.warm_up"] = [_digits(length * factor), first]
    return changes


def _resized(recipe: Recipe, size: int) -> Changes:
    """Return the changes that give a recipe's images, and all its ops, another size."""
    assert recipe.build.input_shape is not None
    own, _, channels = recipe.build.input_shape
    changes: Changes = {"build.input_shape": [size, size, channels]}
    for key in OPS:
        for place, op in enumerate(value_of(recipe, key)):
            if "size" in op:
                changes[f"{key}.{place}.size"] = round(op["size"] * size / own)
    return changes


def _digits(value: Any) -> Any:
    """Round numbers, also those in lists, to six digits."""
    return [_digits(x) for x in value] if isinstance(value, list) else float(f"{value:.6g}")
