"""Schema of `challenge.toml`, and the recipes of its entries. Does not import Keras."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from keras_ilsvrc.claims.arms import OF_ARM, RATE, UNTRAINED
from keras_ilsvrc.claims.schema import Changes, Row
from keras_ilsvrc.nets import NETS
from keras_ilsvrc.nets.build import check_build
from keras_ilsvrc.recipe import Recipe, changed, load, published, scaled, value_of
from keras_ilsvrc.recipe.ops import Count, Percent, Positive, Table
from keras_ilsvrc.recipe.schema import Departure
from keras_ilsvrc.recipe.tables import read_table
from keras_ilsvrc.utils.errors import InputError, nearest

By = Literal["era", "today"]  # recipe of the era (2012 to 2015), or recipe of today
FormName = Literal["small", "full", "quick"]
RECIPES: tuple[By, By] = ("era", "today")
STEP = 16  # pixels; image sizes above the size of the form are multiples of this
OPS = ("data.train_ops", "data.eval_ops")


class Form(Table):
    """Form of the challenge: its two recipes, its image size, epochs and seeds.

    `size` is the height and width of the images in pixels, unless a net needs larger images.
    `entries` contains further changes to the recipes of some entries, by dotted key.
    """

    era: str
    today: str
    size: Count
    epochs: Positive
    seeds: Count
    entries: Annotated[dict[str, Changes], Field(default_factory=dict)]


class Entry(Table):
    """Entry of the challenge: a net and its training settings.

    Attributes:
        net: Name of the net.
        rates: Initial learning rate for each recipe with which the entry is trained.
        why: Reason for these learning rates.
        competes: Whether the entry is one of the ten nets that are compared.
        least: Smallest image height and width in pixels, if larger than the net's minimum.
        set: Changes to both recipes, by dotted key.
        era: Changes to the recipe of the era only, by dotted key.
        start: Entry whose trained weights initialise this one, with the same recipe and seed;
            None if there is none.
        layers: Layers whose weights are copied from `start`.
        departs: Further difference from the paper, besides those common to all entries.
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
            raise ValueError("only one of start and layers is given; set both or neither")
        return self


class Order(Table):
    """Pair of entries, of which `higher` has the higher published error.

    `published` gives the published errors, if those in the registry of nets do not show this order.
    """

    higher: str
    lower: str
    published: str = ""

    @property
    def row(self) -> Row:
        """Comparison of the two entries in the form of a claim file."""
        return Row(higher=self.higher, lower=self.lower)


class OtherResult(Table):
    """Accuracy in % that others published for the same images, and how their work differs."""

    what: str
    accuracy: Percent
    source: str
    differs: str


class Challenge(Table):
    """Content of `challenge.toml`.

    `gap` names two entries. The first of them is also trained with the recipe of today.
    """

    title: str
    gap: Annotated[list[str], Field(min_length=2, max_length=2)]
    forms: dict[FormName, Form]
    entries: Annotated[dict[str, Entry], Field(min_length=1)]
    orders: list[Order]
    beside: list[OtherResult]

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
    """Challenge in one form, with the recipes of all its entries.

    Args:
        form: Name of the form.
        dataset: Data source that replaces the one in the recipes; None to keep that one.
        seeds: Number of seeds; None for the number in the form.
        only: Names of the entries to train; empty for all entries.
        path: Path of the challenge file; None for the file in this package.

    Attributes:
        challenge: Content of the challenge file.
        form: Settings of the form.
        only: Names of the entries to train, in the order of the file.
        recipes: {(entry, recipe name): recipe with the first seed}, for all entries.

    Raises:
        InputError: If an entry is unknown, or the challenge file or a recipe is invalid.
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
        """Return the recipe of one run of an entry; `seed` is added to the recipe's seed."""
        recipe = self.recipes[name, by]
        return changed(recipe, {"seed": recipe.seed + seed}, str(self.path))

    def size(self, name: str) -> int:
        """Return the height and width of an entry's images, in pixels."""
        entry = self.entries[name]
        needed = max(NETS[entry.net].minimum, entry.least or 0)
        return self.form.size if needed <= self.form.size else -(-needed // STEP) * STEP

    def departures(self) -> dict[str, list[str]]:
        """Return the differences from the papers: under "all" for all entries, and by entry."""
        size, rows = self.form.size, [x for by in RECIPES for x in self._departs(by)]
        images = f"images of {size}x{size} pixels, {self.form.epochs:g} epochs"
        found = {"all": [images, *dict.fromkeys(f"{x.what}: {x.why}" for x in rows)]}
        for name, entry in self.entries.items():
            lines = [entry.departs] if entry.departs else []
            if (size := self.size(name)) != self.form.size:
                least = max(NETS[entry.net].minimum, entry.least or 0)
                lines.insert(0, f"{size}x{size} pixels, because the net needs at least {least}")
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
    """Return the differences from the papers as Markdown lists."""
    lines = ["Differences from the papers, for all entries:", ""]
    lines += [f"- {line}" for line in departures["all"]]
    own = {name: rows for name, rows in departures.items() if name != "all"}
    if own:
        lines += ["", "Further differences, by entry:", ""]
        lines += [f"- {name}: {'; '.join(rows)}" for name, rows in own.items()]
    return "\n".join(lines) + "\n"


def folder() -> Path:
    """Return the folder that contains `challenge.toml` and its recipes."""
    return next(iter(published().values())).parent / "challenge"


def read_challenge(path: Path) -> Challenge:
    """Read a challenge file and check its schema; the errors are those of `read_table`."""
    return read_table(Challenge, path)


def _longer(recipe: Recipe, factor: float) -> Changes:
    """Return the recipe changes that multiply all epochs in the schedule by a factor."""
    schedule = recipe.schedule.model_dump(exclude_none=True)
    changes: Changes = {"schedule.epochs": schedule["epochs"] * factor}
    if isinstance(rows := schedule["learning_rate"], list):
        changes[RATE] = [[_digits(start * factor), rate] for start, rate in rows]
    if "warm_up" in schedule:
        length, first = schedule["warm_up"]
        changes["schedule.warm_up"] = [_digits(length * factor), first]
    return changes


def _resized(recipe: Recipe, size: int) -> Changes:
    """Return the recipe changes for another image size; the sizes in ops change in proportion."""
    assert recipe.build.input_shape is not None
    own, _, channels = recipe.build.input_shape
    changes: Changes = {"build.input_shape": [size, size, channels]}
    for key in OPS:
        for place, op in enumerate(value_of(recipe, key)):
            if "size" in op:
                changes[f"{key}.{place}.size"] = round(op["size"] * size / own)
    return changes


def _digits(value: Any) -> Any:
    """Round a number, or each number in nested lists, to six significant digits."""
    return [_digits(x) for x in value] if isinstance(value, list) else float(f"{value:.6g}")
