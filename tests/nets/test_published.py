"""Tests of every net, cell by cell, and of every constant: compared with tests/paper."""

import importlib
import math
import re
from itertools import zip_longest
from pathlib import Path

import keras
import numpy as np
import pytest
from expected import cells_by_paper, departures_of, table_of
from papers import FIGURES, PAPER

from keras_ilsvrc import available, info
from keras_ilsvrc.layers import parts, scaled_tanh
from keras_ilsvrc.layers.residual import FIGURE_4, PUBLISHED_GATE
from keras_ilsvrc.layers.shortcuts import SHORTCUTS, TABLE_1
from keras_ilsvrc.nets.lenet import C3, CODES
from keras_ilsvrc.training.initial import RULES, set_initial_values

END = ("its end", "nothing")
DEEPEST = ("resnet1202_cifar", "resnet1001_v2_cifar")  # ten seconds each
PUBLISHED = [name for name in available() if info(name).parameters]
BUILT = [name for name in PUBLISHED if name not in DEEPEST]
TESTS = "".join(path.read_text("utf-8") for path in Path(__file__).parents[1].rglob("*.py"))


def differences(name, found, expected, source):
    """One line if two values differ."""
    same = found == expected
    return [] if same else [f"{name}: {source} says {expected!r}, the code has {found!r}"]


def first_difference(name, found, expected, source):
    """One line for the first of the (layer, cell) that is not the expected cell."""
    for (layer, cell), other in zip_longest(found, expected, fillvalue=END):
        if cell != other:
            return differences(f"{name}, {layer}", cell, other, source)
    return []


def check(lines):
    lines = list(lines)
    assert not lines, "\n".join(lines)


def wrong_cells(name, facts, **change):
    table, given = table_of(name, change), change.get("given", {})
    if "auxiliary" in info(name).variations:
        given = {"auxiliary": True, **given}
    found, expected = facts(name, **given).cells, cells_by_paper(table)
    assert found.keys() == expected.keys(), name
    for output, cells in expected.items():
        yield from first_difference(name, found[output], cells, table["source"])


def test_cells_of_every_net_are_the_papers(facts):
    check(x for name in BUILT for x in wrong_cells(name, facts))


def test_variations_change_what_the_papers_changed(facts):
    for change in FIGURES["variations"]:
        check(wrong_cells(change["net"], facts, **change))


@pytest.mark.slow
def test_cells_of_the_deepest_nets_are_the_papers(facts):
    check(x for name in DEEPEST for x in wrong_cells(name, facts))


def wrong_gate():
    gate, variation = FIGURES["gate_bias"], info("resnet20_cifar").variations["gate_bias"]
    for where, found in (("layer", PUBLISHED_GATE), ("default", variation.default)):
        check(differences(f"{where}'s gate_bias", found, gate["published"], gate["source"]))
    found = (variation.least, gate["most"] in variation)
    return differences("range of gate_bias", found, (gate["least"], True), gate["source"])


def test_orders_and_shortcuts_are_those_of_figure_4_and_table_1(facts):
    orders, scaled = (dict(FIGURES[key]) for key in ("orders", "scaled"))
    source, table = orders.pop("source"), scaled.pop("source")
    units = [(order, "A", source) for order in orders]
    units += [("original", x, table) for x in (*scaled, "A", "B", "C", "none")]
    lines = wrong_gate()
    for order, shortcut, place in units:
        last = orders[order].partition("W")[0].split()  # also before the average (appendix)
        change = {"instead": [["average", ", ".join([*last, "average"])]]}
        change |= {"unit": {"order": order, "shortcut": shortcut}}
        said = table_of("resnet20_cifar", change)
        found = facts("resnet20_cifar", order=order, shortcut=shortcut).cells["predictions"]
        expected = cells_by_paper(said)["predictions"]
        lines += first_difference(f"{order}, {shortcut}", found, expected, place)
    check(lines)
    lines += differences("FIGURE_4", set(FIGURE_4), set(orders), source)
    lines += differences("TABLE_1", set(TABLE_1), set(scaled), table)
    check(lines)
    assert set(SHORTCUTS) == {*scaled, "A", "B", "C", "none", "keras"}


def test_constants_of_batch_norm_are_the_papers(facts):
    lines = []
    for name in BUILT:
        table = table_of(name)
        expected = {tuple(table["batch_norm"])} if "batch_norm" in table else set()
        lines += differences(name, facts(name).norms, expected, table["source"])
    check(lines)


def test_departures_of_the_registry_can_be_seen(facts):
    lines, seen, unmatched = [], [], {}
    for name in PUBLISHED:
        departures = departures_of(name)
        seen += [departure["says"] for departure in departures]
        listed = info(name).departures
        lines += [f"{name}: no entry says {listed}"] * (len(departures) != len(listed))
        if name in DEEPEST:
            continue
        for pattern in table_of(name)["unmatched"]:
            unmatched.setdefault(pattern, []).append(name)
        cells = facts(name).cells["predictions"]
        cells = ", ".join(cell for _, cell in cells)
        for departure in departures:
            if departure.get("seen", "") not in cells:
                lines.append(f"{name}: {departure['says']!r}, but not {departure['seen']!r}")
    for departure in FIGURES["departures"]:
        if departure["says"] not in seen:
            place = departure.get("source", "a paper")
            lines.append(f"no net of the registry departs from {place}: {departure['says']}")
        assert f"def {departure.get('held', 'test_')}" in TESTS
        assert len({"unseen", "seen", "instead"} & departure.keys()) < 2, departure
        for theirs, _ in departure.get("instead", []):
            nets = [x for x in BUILT if departure in departures_of(x)]
            if set(nets) <= set(unmatched.get(theirs, [])):
                lines.append(f"{departure['says']!r}: no paper says {theirs!r}")
    check(lines)


def test_initial_values_are_the_papers():
    lines = []
    for name in PUBLISHED:
        table = table_of(name)
        module = importlib.import_module(f"keras_ilsvrc.nets.{info(name).builder.split(':')[0]}")
        found = getattr(module, "INITIAL", None)
        expected = None
        if "kernels" in table:
            expected = {"kernel": tuple(table["kernels"]), "bias": table["biases"]}
            lines += differences(name, {}, table.get("kernels_of", {}), table["source"])
        lines += differences(name, found, expected, table["source"])
    check(lines)


def test_rules_draw_what_their_papers_say(facts):
    """Of a normal distribution some of 55,296 values are more than 3.7 deviations away."""
    starts = {x: f"{name}, {y}" for name in BUILT for x, y in facts(name).starts.items()}
    drawn = {"he": RULES["he"], "glorot": RULES["glorot"]}
    drawn |= {key: {"kernel": (key, 0.7), "bias": {}} for key in ("normal", "fan_in")}
    shape, lines = (3, 3, 32, 192), []
    for name, rule in FIGURES["rules"].items():
        layer = keras.layers.Conv2D(shape[-1], 3, kernel_initializer=parts.KERNEL_INITIALIZER)
        model = keras.Sequential([keras.Input((3, 3, shape[2])), layer])
        if name != "build":
            set_initial_values(model, drawn.pop(name), seed=0)
        kernel = np.asarray(layer.kernel)
        numbers = {"fan_in": 9 * 32, "fan_out": 9 * 192, "number": 0.7, "sqrt": math.sqrt}
        normal = "normal" in rule
        size = eval(rule["normal" if normal else "uniform"], numbers)
        deviation, most = kernel.std() * (1 if normal else 3**0.5), abs(kernel).max() / size
        close = abs(deviation / size - 1) < 0.02
        inside = 3.7 < most < 6 if normal else 0.99 < most <= 1
        told = f"deviation {kernel.std():.4f}, largest {abs(kernel).max():.4f}"
        lines += [f"{name}: {rule} ({size:.4f}), drawn {told}"] * (not (close and inside))
    assert drawn == {}
    start = f"VarianceScaling {keras.initializers.get(parts.KERNEL_INITIALIZER).get_config()}"
    expected = {f"kernel {start}", f"coefficient {start}", "bias Zeros {'seed': None}"}
    source = FIGURES["rules"]["build"]["source"]
    for start, where in starts.items():
        lines += differences(where, start, start if start in expected else sorted(expected), source)
    check(lines)


def test_lenet_is_table_1_and_figure_3_and_its_sigmoid():
    table = PAPER["lenet5"]
    codes = [
        [int("".join("01"[x > 0] for x in code[row : row + 7]), 2) for row in range(0, 84, 7)]
        for code in CODES
    ]
    found = {"map {} of C3, table I": C3, "digit {}, figure 3": codes}
    above = float(scaled_tanh(np.float32(99)))
    slope = float(np.arctanh(scaled_tanh(np.float32(1)) / above))
    lines = differences(
        "scaled_tanh",
        [round(above, 4), round(slope, 4)],
        [round(x, 4) for x in table["scaled_tanh"]],
        "LeCun et al. 1998, eq. 6",
    )
    for (key, rows), said in zip(found.items(), (table["table_1"], table["figure_3"])):
        for number, (row, other) in enumerate(zip_longest(rows, said)):
            lines += differences(key.format(number), row, other, "LeCun et al. 1998")
    check(lines)


def test_published_errors_years_and_places_are_the_papers():
    lines = []
    for name in PUBLISHED:
        row, own, table = info(name), PAPER[name], table_of(name)
        errors, accuracy = own.get("errors", {}), own.get("accuracy", {})
        told = errors or accuracy
        rates = [
            errors.get(key) or (accuracy.get(key) and round(100 - accuracy[key], 3))
            for key in ("top1", "top5")
        ]
        source = f"{table['source']}, {told.get('source')}"
        found = (row.top1_error, row.top5_error, row.protocol)
        lines += differences(name, found, (*rates, told.get("protocol")), source)
        lines += differences(name, row.year, table["year"], table["source"])
        words = set(re.findall(r"\d[\d.]+|first|second|(?:four|six|seven)\b", row.place))
        lines += differences(f"{name}, place", words, set(table["place"].split()), source)
        lines += differences(name, list(row.input_shape), table["input"], table["source"])
    check(lines)


def test_every_key_of_a_table_is_read_by_a_test():
    tables = [*PAPER.values(), *FIGURES["departures"], *FIGURES["variations"]]
    tables += [table.get(key, {}) for table in tables for key in ("errors", "accuracy", "unit")]
    keys = {key for table in tables for key in table}
    keys |= FIGURES.keys()
    unread = {key for key in keys if f'"{key}"' not in TESTS}
    assert unread <= {f"{key}_of" for key in keys}, unread  # read as f"{column}_of"
