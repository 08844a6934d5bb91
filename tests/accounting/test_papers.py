"""Tests of the accounting of every net: compared with the numbers in tests/paper."""

import pytest

# Key of a table in tests/paper, and what the account calls it.
COLUMNS = {"macs": "macs", "neurons": "units", "connections": "connections", "fixed": "statistics"}


def by_part(rows, number, parts):
    """The sums of a number by the part of the net that rows belong to: the longest that fits."""
    sums = dict.fromkeys(parts, 0)
    for row in rows:
        if getattr(row, number):
            fits = [part for part in parts if f"{row.name}_".startswith(f"{part}_")]
            sums[max(fits, key=len)] += getattr(row, number)
    return sums


@pytest.mark.parametrize("column", COLUMNS)
def test_totals_are_the_papers(column, paper, told):
    totals = {name: table[column] for name, table in paper.items() if column in table}
    assert totals
    assert {name: getattr(told(name), COLUMNS[column]) for name in totals} == totals


@pytest.mark.parametrize("column", ["macs", "neurons", "connections"])
def test_parts_are_the_papers(column, paper, told):
    tables = {
        name: table[f"{column}_of"] for name, table in paper.items() if f"{column}_of" in table
    }
    assert tables
    for name, parts in tables.items():
        assert by_part(told(name).rows, COLUMNS[column], parts) == parts
        assert sum(parts.values()) == paper[name][column]


@pytest.mark.parametrize("option", ["A", "B"])
@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_macs_of_shortcut_options_are_the_papers(name, option, paper, told):
    published = paper[name]["shortcut"]["B"] == paper[name]["parameters"]
    arguments = {} if published and option == "B" else {"shortcut": option}
    assert told(name, **arguments).macs == paper[name]["shortcut_macs"][option]


@pytest.mark.parametrize(
    "name", ["lenet5", "zfnet", "nin", "googlenet", "inception_v3", "resnet20_v2_cifar"]
)
def test_nothing_of_a_net_is_unknown(name, told):
    rows = told(name, opened=True)
    assert rows.macs
    assert None not in [row.field for row in rows.rows]
