"""Tests of the tables that papers print: compared with the built networks."""

import re

import pytest
from methods import differences, take
from papers import FIGURES

from keras_ilsvrc.cli.accounts import accounted, agree, computed
from keras_ilsvrc.nets import NETS
from keras_ilsvrc.nets.table import PRINTED

TABLES = FIGURES["printed"]
REASONS = {key: x for table in TABLES.values() for key, x in table.get("reasons", {}).items()}


def lines_of_papers():
    """The printed cells by net: its source, and (printed, verdict) by (layer, quantity)."""
    nets = {}
    for source, table in TABLES.items():
        columns, rows, net, _ = take(table, "columns rows", "net reasons")
        for row in rows.strip().splitlines():
            first, *cells = map(str.strip, row.split("|"))
            _, lines = nets.setdefault(net or first, (source, {}))
            for column, cell in zip(columns.split("|"), cells):
                cell = re.sub(r"(\S+) x(\d)", lambda m: " ".join([m[1]] * int(m[2])), cell)
                if not cell:
                    continue
                text, _, verdict = cell.partition(" > ")
                key = (first, column.strip()) if net else tuple(column.split())
                lines[key] = text, verdict or "equal"
    return nets


PAPERS = lines_of_papers()


def test_the_tables_are_those_of_the_papers():
    """Every net with a table is here, its source is the title, and all cells are the paper's."""
    assert not PAPERS.keys() ^ PRINTED.keys()
    failures = []
    for name, (source, said) in PAPERS.items():
        table = PRINTED[name]
        found = {(line.layers or "net", line.quantity): line.printed for line in table.lines()}
        said = {key: text for key, (text, _) in said.items()} | {"lines": len(said)}
        title = {"title": f"{NETS[name].paper}, {table.title}", "lines": len(table.lines())}
        lines = differences(source, said | {"title": source}, found | title)
        failures += [f"{name}: {line}" for line in lines]
    assert not failures, "\n".join(failures)


def test_nets_compare_with_the_tables_as_is_written_there(told):
    failures = []
    for name, (source, said) in PAPERS.items():
        if NETS[name].arguments.get("depth", 0) > 1000:
            continue  # a net that takes 10 seconds; others have the same sizes
        table = PRINTED[name]
        cells = any(quantity == "cells" for _, quantity in said)
        model, account = accounted(name) if cells else (None, told(name, opened=True))
        found = {}
        for line in table.lines():
            value = computed(model, account, line.quantity, line.layers)
            equal, shown = agree(line.printed, value, table.thousand)
            exact = shown == line.printed or shown.startswith(f"{line.printed}x")
            verdict = ("equal" if exact else "cut") if equal else line.why
            words = [key for key, reason in REASONS.items() if reason in verdict]
            found[line.layers or "net", line.quantity] = (line.printed, *(words or [verdict]))
        failures += [f"{name}: {line}" for line in differences(source, said, found)]
    assert not failures, "\n".join(failures)


def test_a_line_of_a_layer_that_does_not_exist_is_an_error(told):
    with pytest.raises(ValueError, match=r"^a Line of PRINTED names 'c9', but the account has no"):
        computed(None, told("lenet5", opened=True), "size", "c9")
