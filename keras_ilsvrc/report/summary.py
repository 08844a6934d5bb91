"""Summary section of the HTML report: test errors, expected errors, and facts about the run."""

from dataclasses import dataclass
from typing import Any

from keras_ilsvrc.report.page import Section, render
from keras_ilsvrc.runs.finished import FinishedRun
from keras_ilsvrc.utils.errors import counted

# The report measures the test error again. It shows the new error only if it differs from the
# recorded error by at least this many percentage points.
AGREE = 0.005
SPLITS = {"train": "training", "validation": "validation", "test": "test"}
REPEATS_NOT = ". The run uses its net on other data, and does not repeat its training."


@dataclass(frozen=True)
class Mark:
    """Error rate that is marked on an axis of the report.

    Attributes:
        name: Label, for example `this run`.
        error: Error in %.
        ends: Lower and upper end of the confidence interval in %; None if there is none.
    """

    name: str
    error: float
    ends: tuple[float, float] | None = None


@dataclass(frozen=True)
class Scale:
    """Error axis of the report: the error of the run, and the errors to compare it with.

    Attributes:
        name: Name of the error, for example `Test error`.
        marks: Errors on the axis; the first is the error of the run.
        verdict: Sentence that compares the run with the expected error; empty if there is none.
    """

    name: str
    marks: tuple[Mark, ...]
    verdict: str

    @property
    def end(self) -> float:
        """Upper limit of the axis, in %."""
        return min(100.0, 1.1 * max(max(m.error, *(m.ends or (0.0,))) for m in self.marks)) or 1.0

    def place(self, error: float) -> float:
        """Return the position of an error on the axis, in % of the length of the axis."""
        return round(100 * error / self.end, 3)


def summary(run: FinishedRun) -> Section:
    """Return the summary section: test errors, the errors to compare them with, and run facts."""
    shown = render(
        "summary",
        result=run.result,
        scales=[scale for k in (1, 5) if (scale := scale_of(run.result, k))],
        facts=facts(run),
        departs=departures(run),
        left_out=run.result.get("left_out") or [],
        again=None if abs(run.error_now - run.result["top1_error"]) < AGREE else run.error_now,
        gone=not run.has_images,
    )
    return Section("Summary", "summary", shown)


def departures(run: FinishedRun) -> list[tuple[str, str]]:
    """Return the run's departures from the paper as (what, why) pairs; empty without a paper.

    If a recipe lists neither an expected error nor departures, it repeats no paper.
    """
    recipe = run.experiment.recipe
    if recipe.expect is None and not recipe.departs:
        return []
    own = [(each.what, each.why) for each in recipe.departs]
    return own + [(each, "in every run of this net") for each in run.experiment.net.departures]


def scale_of(result: dict[str, Any], k: int) -> Scale | None:
    """Return the axis of the top-k test error.

    Return None if the run has no top-k error, or if k is 5 and no top-5 error is expected.
    """
    key = f"top{k}_error"
    error, expected = result.get(key), result.get("expected") or {}
    compared = expected.get(key)
    if error is None or (k > 1 and compared is None):
        return None
    ends = tuple(result[f"top{k}_interval"])
    marks = [Mark("this run", error, ends)]
    verdict = ""
    if compared is not None:
        marks.append(Mark(f"expected, {expected['by']}", compared))
        verdict = verdict_of(compared, ends, expected["by"])
    baseline = result.get("baseline") or {}
    if baseline.get(key) is not None:
        marks.append(Mark(f"{baseline['name']}, on the same images", baseline[key]))
    return Scale("Test error" if k == 1 else f"Top-{k} error", tuple(marks), verdict)


def verdict_of(expected: float, ends: tuple[float, ...], by: str) -> str:
    """Return a sentence that says whether the expected error is in the confidence interval.

    Args:
        expected: Expected error in %.
        ends: Lower and upper end of the 95 % confidence interval in %.
        by: Source of the expected error, for example `published, 10 crops`.
    """
    low, high = ends
    start = f"The expected error, {expected:.2f} % ({by}),"
    if expected > high:
        return f"{start} is above the 95 % interval: the run is better."
    if expected < low:
        return f"{start} is below the 95 % interval: the run is worse."
    return f"{start} is in the 95 % interval: the run agrees with it."


def facts(run: FinishedRun) -> list[tuple[str, str]]:
    """Return the facts about a run as (name, value) pairs, without empty values."""
    experiment, result = run.experiment, run.result
    recipe, net = experiment.recipe, experiment.net
    splits = run.directory.identity.splits
    counts = [f"{splits[key].number:,} {name}" for key, name in SPLITS.items() if key in splits]
    repeats = recipe.expect is not None or recipe.departs
    label, epochs = experiment.source.label, len(run.history)
    length = counted(epochs, "epoch") if epochs else recipe.schedule.length
    top5, kept = result.get("top5_error"), result.get("kept_epoch")
    stopped = result.get("stopped_epoch")
    early = f"; stopped early after epoch {stopped}" if stopped else ""
    expect = recipe.expect
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    views = f"{result['views']} view{'s' * (result['views'] > 1)} of each image"
    size = "x".join(map(str, experiment.model.inputs[0].shape[1:]))
    found = [
        ("net", net.name),
        ("paper", f"{net.paper} ({net.year}){'' if repeats else REPEATS_NOT}"),
        ("variations", ", ".join(f"{key} = {value!r}" for key, value in net.varied.items())),
        ("data", f"{label}: {', '.join(counts)} images, {len(run.classes):,} classes"),
        ("images", f"{size}, batches of {recipe.data.batch_size}"),
        ("protocol", f"{result['protocol']}, {views}"),
        ("top-5 error", "" if top5 is None else f"{top5:.2f} %"),
        ("expected", expectation(expect) if expect and expect.errors else ""),
        ("trained for", f"{length}, seed {recipe.seed}{early}"),
        ("weights", f"of epoch {kept}, with the lowest validation error" if kept else ""),
        ("finished", result.get("finished", "")[:16].replace("T", " ")),
        ("duration", f"{duration(result['seconds'])}, including tests"),
        ("replicas", f"{result['replicas']}{', XLA' if result.get('xla') else ''}"),
        ("overrides", ", ".join(result.get("overrides") or [])),
        ("versions", versions),
    ]
    return [(name, value) for name, value in found if value]


def duration(seconds: float) -> str:
    """Return a duration as text, for example `1 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, left = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {left} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def expectation(expect: Any) -> str:
    """Return the expected errors, their protocol and their source as text."""
    errors = (("top-1", expect.top1_error), ("top-5", expect.top5_error))
    text = ", ".join(f"{name} {error:.2f} %" for name, error in errors if error is not None)
    source = f"earlier runs: {expect.measured}" if expect.measured else "published"
    return f"{text} with {expect.protocol}; {source}"
