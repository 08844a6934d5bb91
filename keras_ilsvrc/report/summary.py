"""The head of a page: what the run reached, beside what was expected, and how it was made."""

from dataclasses import dataclass
from typing import Any

from keras_ilsvrc.report.page import Section, render
from keras_ilsvrc.runs.finished import FinishedRun

AGREE = 0.005  # %; errors in result.json have four decimals


@dataclass(frozen=True)
class Mark:
    """An error on a scale, in %; with an interval, or alone.

    Attributes:
        name: Whose it is.
        error: In %.
        ends: Of its interval.
    """

    name: str
    error: float
    ends: tuple[float, float] | None = None

    @property
    def value(self) -> str:
        """In words."""
        ends = f" ({self.ends[0]:.2f} to {self.ends[1]:.2f})" if self.ends else ""
        return f"{self.error:.2f} %{ends}"


@dataclass(frozen=True)
class Scale:
    """Errors side by side: the run's, then what it is compared with.

    Attributes:
        name: What is compared.
        marks: The errors.
        verdict: How the run's compares with the expected one; nothing where none is expected.
    """

    name: str
    marks: tuple[Mark, ...]
    verdict: str

    @property
    def end(self) -> float:
        """Where the scale ends, in %."""
        return min(100.0, 1.1 * max(max(m.error, *(m.ends or (0.0,))) for m in self.marks)) or 1.0

    def place(self, error: float) -> float:
        """Of an error on the scale, in % of its length."""
        return round(100 * error / self.end, 3)


def summary(run: FinishedRun) -> Section:
    """The errors, their verdict and the facts."""
    shown = render(
        "summary",
        title=run.experiment.title,
        result=run.result,
        scales=[scale for k in (1, 5) if (scale := scale_of(run.result, k))],
        facts=facts(run),
        departs=run.experiment.recipe.departs,
        net=run.experiment.net,
        left_out=run.result.get("left_out") or [],
        again=None if abs(run.error_now - run.result["top1_error"]) < AGREE else run.error_now,
    )
    return Section("Summary", "summary", shown)


def scale_of(result: dict[str, Any], k: int) -> Scale | None:
    """The top-k error beside the expected one and the baseline's; of five, if one is expected."""
    key = f"top{k}_error"
    error, expected = result.get(key), result.get("expected") or {}
    compared = expected.get(key)
    if error is None or (k > 1 and compared is None):
        return None
    ends = tuple(result[f"top{k}_interval"])
    marks = [Mark("this run", error, ends)]
    verdict = ""
    if compared is not None:
        marks.append(Mark(f"{expected['by']}", compared))
        verdict = verdict_of(compared, ends, expected["by"])
    baseline = result.get("baseline") or {}
    if baseline.get(key) is not None:
        marks.append(Mark(f"{baseline['name']}, on the same images", baseline[key]))
    return Scale("Test error" if k == 1 else f"Top-{k} error", tuple(marks), verdict)


def verdict_of(expected: float, ends: tuple[float, ...], by: str) -> str:
    """Where an expected error stands to an interval."""
    low, high = ends
    said = f"The error expected, {expected:.2f} % ({by}),"
    if expected > high:
        return f"{said} is above the 95 % interval: the run is better."
    if expected < low:
        return f"{said} is below the 95 % interval: the run is worse."
    return f"{said} is in the 95 % interval: the run agrees with it."


def facts(run: FinishedRun) -> list[tuple[str, str]]:
    """Names and values, in order; those that say nothing are left out."""
    experiment, result = run.experiment, run.result
    recipe, net = experiment.recipe, experiment.net
    splits = (
        ("training", experiment.train),
        ("validation", experiment.validation),
        ("test", experiment.test),
    )
    images = ", ".join(f"{len(split):,} {name}" for name, split in splits if split is not None)
    top5 = result.get("top5_error")
    expect = recipe.expect
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    views = f"{result['views']} view{'s' * (result['views'] > 1)} of each image"
    size = "x".join(map(str, experiment.model.inputs[0].shape[1:]))
    found = [
        ("net", net.name),
        ("paper", f"{net.paper} ({net.year})"),
        ("varied", ", ".join(f"{key} = {value!r}" for key, value in net.varied.items())),
        ("data", f"{experiment.source.name}: {images} images, {len(run.classes):,} classes"),
        ("images", f"{size}, batches of {recipe.data.batch_size}"),
        ("tested by", f"{result['protocol']}, {views}"),
        ("top-5 error", "" if top5 is None else f"{top5:.2f} %"),
        ("expected", expectation(expect) if expect else ""),
        ("trained for", f"{recipe.schedule.steps:,} steps, seed {recipe.seed}"),
        ("time", f"{result['seconds']:,.0f} seconds, tests included"),
        ("replicas", f"{result['replicas']}{', XLA' if result.get('xla') else ''}"),
        ("changed by --set", ", ".join(result.get("overrides") or [])),
        ("versions", versions),
    ]
    return [(name, value) for name, value in found if value]


def expectation(expect: Any) -> str:
    """What the recipe expects, by which protocol, and where it was measured."""
    errors = (("top-1", expect.top1_error), ("top-5", expect.top5_error))
    said = ", ".join(f"{name} {error:.2f} %" for name, error in errors if error is not None)
    source = f"measured: {expect.measured}" if expect.measured else "published"
    return f"{said} by {expect.protocol}; {source}"
