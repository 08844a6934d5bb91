"""HTML page about a finished sweep."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from keras_ilsvrc.report.page import Section, picture, render
from keras_ilsvrc.runs.pictures import WIDE
from keras_ilsvrc.sweeps.board import error_of, short
from keras_ilsvrc.sweeps.outcome import FINAL, TEST, Row
from keras_ilsvrc.utils import files
from keras_ilsvrc.visualize.figures import BLUE, GREY, RED, plain

if TYPE_CHECKING:
    from keras_ilsvrc.sweeps.tune import Finished

PAGE = "sweep.html"
COLUMNS = 3  # number of plots per row
LEAST = 6  # minimum number of completed trials to estimate the importance of the keys
TREES = 200  # number of trees in the random forest
LOG = ("log", "log_int", "scale")  # kinds of ranges that are drawn on a log axis


def write_page(sweep: "Finished") -> Path:
    """Write `sweep.html` in the directory of a finished sweep, and return its path."""
    done = [row for row in sweep.rows if row.status == "completed"]
    sections = [_verdict(sweep), _over_time(sweep, done), _by_key(sweep, done)]
    if len(done) >= LEAST and len(sweep.sweep.ranges) > 1:
        sections += [_importance(sweep, done)]
    sections += [_parallel(sweep, done), _trials(sweep)]
    title = f"Sweep {sweep.sweep.path.stem}"
    html = render("page", kind="Sweep", title=title, sections=sections)
    out = sweep.home / PAGE
    with files.whole(out) as part:
        part.write_bytes(html.encode("utf-8", "backslashreplace"))
    return out


def _verdict(sweep: "Finished") -> Section:
    objective, found, best = sweep.sweep.table.objective, sweep.comparison, sweep.best
    found = None if found and found.failure else found  # the verdict gives the reason
    own = next((x for x in sweep.rows if int(x.number) == 0 and x.status == "completed"), None)
    html = render(
        "winner",
        objective=_words(sweep),
        error=error_of(best, objective),
        number=best.number,
        own=error_of(own, objective) if own else "none, because its run failed",
        verdict=_sentence(sweep.verdict),
        seeds=_listed(found.seeds) if found else "",
        recipe=_listed(found.recipe) if found else "",
        winner=_listed(found.winner) if found else "",
        test=short(sweep.result["top1_error"]),
        images=f"{sweep.result['images']:,}",
    )
    return Section("Result", "result", html)


def _over_time(sweep: "Finished", done: list[Row]) -> Section:
    """Plot the objective of each trial, and the smallest objective so far."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    axes, values = figure.subplots(), _objectives(sweep, done)
    numbers = [int(row.number) for row in done]
    axes.plot(numbers, values, "o", color=BLUE, label="trial")
    axes.step(numbers, np.minimum.accumulate(values), where="post", color=RED, label="best so far")
    axes.set(xlabel="trial", ylabel=_words(sweep))
    _set_scale(axes, values)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    return Section("Trials", "over-time", picture(figure, "objective of each trial"))


def _by_key(sweep: "Finished", done: list[Row]) -> Section:
    """Plot the objective against the value of each key."""
    keys = list(sweep.sweep.ranges)
    lines = -(-len(keys) // COLUMNS)
    width = min(len(keys), COLUMNS)
    figure = Figure(figsize=(3.2 * width + 0.6, 3 * lines), layout="constrained")
    plots = figure.subplots(lines, width, squeeze=False, sharey=True).flat
    values = _objectives(sweep, done)
    for axes, key in zip(plots, keys):
        numbers, labels = _numbers(sweep, done, key)
        axes.plot(numbers, values, "o", color=BLUE)
        best = done.index(sweep.best)
        axes.plot(numbers[best], values[best], "o", color=RED)
        _set_axis(axes, key, labels, sweep.sweep.ranges[key].kind)
        _set_scale(axes, values)
    for axes in list(plots)[len(keys) :]:
        axes.remove()
    figure.supylabel(_words(sweep), size="medium")
    note = (
        "The objective of each completed trial against the value of one key. The best trial is red."
    )
    return Section("Keys", "keys", picture(figure, "objective against each key"), note)


def _importance(sweep: "Finished", done: list[Row]) -> Section:
    """Plot the permutation importance of each key, from a random forest fitted to the trials."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.inspection import permutation_importance

    keys = list(sweep.sweep.ranges)
    table = np.stack([_numbers(sweep, done, key)[0] for key in keys], 1)
    values = _objectives(sweep, done)
    forest = RandomForestRegressor(TREES, oob_score=True, random_state=0).fit(table, values)
    found = permutation_importance(forest, table, values, n_repeats=10, random_state=0)
    order = np.argsort(found.importances_mean)
    figure = Figure(figsize=(7, 0.4 * len(keys) + 0.9), layout="constrained")
    axes = figure.subplots()
    names = [plain(keys[index], 40) for index in order]
    axes.barh(names, found.importances_mean[order], xerr=found.importances_std[order], color=BLUE)
    axes.set(xlabel="importance")
    note = (
        "A random forest is fitted to the completed trials. The importance of a key is the decrease"
        " of the forest's explained variance (R2) when the values of this key are shuffled. "
        f"Out-of-bag R2: {forest.oob_score_:.2f}. If it is near or below 0, the importances mean "
        "nothing."
    )
    return Section("Importance", "importance", picture(figure, "importance of each key"), note)


def _parallel(sweep: "Finished", done: list[Row]) -> Section:
    """Plot each trial as a line across one axis per key; the best trials are red."""
    keys, values = list(sweep.sweep.ranges), _objectives(sweep, done)
    figure = Figure(figsize=(max(6, 2.2 * (len(keys) + 1)), 4), layout="constrained")
    axes = figure.subplots()
    columns, lowest, ranks = [], [], np.argsort(np.argsort(values))
    for key in keys:
        numbers, labels = _numbers(sweep, done, key)
        numbers = np.log(numbers) if sweep.sweep.ranges[key].kind in LOG else numbers
        columns.append(_unit(numbers))
        lowest.append(labels)
    columns.append(_unit(values))
    for rank, line in sorted(zip(ranks, np.stack(columns, 1).tolist()), reverse=True):
        best = rank < max(1, len(done) // 5)
        axes.plot(line, color=RED if best else GREY, alpha=0.9 if best else 0.35, linewidth=1.5)
    ends = [_ends(sweep, done, key) for key in keys]
    ends.append((short(float(min(values))), short(float(max(values)))))
    for place, (least, most) in enumerate(ends):
        axes.axvline(place, color=GREY, linewidth=0.8)
        axes.text(place, -0.04, plain(least, 18), ha="center", va="top")
        axes.text(place, 1.04, plain(most, 18), ha="center", va="bottom")
    axes.set_xticks(range(len(ends)), [plain(x, 24) for x in (*keys, sweep.sweep.table.objective)])
    axes.set(yticks=[], ylim=(-0.15, 1.15))
    axes.spines[:].set_visible(False)
    note = "Each line is a completed trial. The best fifth is red."
    return Section("All keys together", "parallel", picture(figure, "parallel coordinates"), note)


def _trials(sweep: "Finished") -> Section:
    """List all trials, the best first, with links to their pages."""
    objective = sweep.sweep.table.objective

    def place(row: Row) -> tuple[bool, float]:
        return row.status != "completed", row.measured.get(objective, np.inf)

    rows: list[dict[str, Any]] = []
    for row in sorted(sweep.rows, key=place):
        error = error_of(row, objective) if row.status == "completed" else ""
        rows.append(
            {
                "number": row.number,
                "status": row.status,
                "error": error,
                "cells": [short(value) for value in row.values.values()],
                "failure": row.failure,
                "best": row is sweep.best,
                "link": _link(sweep.home, f"trial_{row.number}"),
            }
        )
    html = render("trials", rows=rows, keys=list(sweep.sweep.ranges), objective=_words(sweep))
    link = _link(sweep.home, f"{FINAL}/trial_{sweep.best.number}", f"{TEST}/")
    final = Markup('<p><a href="{}">Page of the final run</a></p>').format(link) if link else ""
    return Section("All trials", "trials", html + final)


def _link(home: Path, folder: str, pattern: str = "seed-*/") -> str:
    """Return the relative URL of the first report in a folder; empty if there is none."""
    found = sorted(home.glob(f"{folder}/{pattern}report.html"))
    return str(found[0].relative_to(home)) if found else ""


def _objectives(sweep: "Finished", done: list[Row]) -> np.ndarray:
    return np.array([row.measured[sweep.sweep.table.objective] for row in done])


def _numbers(sweep: "Finished", done: list[Row], key: str) -> tuple[np.ndarray, list[str]]:
    """Return the values of a key as numbers. Other values become indices into returned labels."""
    values = [row.values[key] for row in done]
    if all(isinstance(x, int | float) and not isinstance(x, bool) for x in values):
        return np.array(values, float), []
    labels = list(dict.fromkeys(short(value) for value in values))
    return np.array([labels.index(short(value)) for value in values], float), labels


def _set_axis(axes: Axes, key: str, labels: list[str], kind: str) -> None:
    if labels:
        axes.set_xticks(range(len(labels)), [plain(x, 14) for x in labels])
        axes.margins(x=0.3)
    elif kind in LOG:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(plain(key, 30) + (" (factor)" if kind == "scale" else ""))


def _set_scale(axes: Axes, values: np.ndarray) -> None:
    """Use a log scale for objectives that differ by a large factor."""
    if 0 < values.min() * WIDE < values.max():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())


def _words(sweep: "Finished") -> str:
    """Return the objective in words, with its unit."""
    objective = sweep.sweep.table.objective
    return objective.replace("_", " ") + (" (%)" if objective.endswith("error") else "")


def _ends(sweep: "Finished", done: list[Row], key: str) -> tuple[str, str]:
    """Return the labels of the lowest and highest value of a key."""
    numbers, labels = _numbers(sweep, done, key)
    if labels:
        return labels[0], labels[-1]
    return short(float(numbers.min())), short(float(numbers.max()))


def _unit(values: np.ndarray) -> np.ndarray:
    """Scale values to the interval from 0 to 1; equal values become 0.5."""
    low, high = values.min(), values.max()
    return np.full(len(values), 0.5) if low == high else (values - low) / (high - low)


def _listed(values: Any) -> str:
    return ", ".join(short(value) for value in values)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
