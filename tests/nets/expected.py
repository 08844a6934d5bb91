"""Cells that a net has according to its table in tests/paper.

The key `layers` is in the papers' notation: conv7/2-64 is a convolution with a 7x7 kernel, stride 2
and 64 maps; g2 means two groups. The padding is half the kernel in convolutions and zero in pools,
unless a word follows: `valid`, `p1` (one row of zeros on every side) or `ceil` (Caffe's last
window). `uncounted` zeros do not count in an average. `(a | b)` are parallel branches. A line that
begins with `x` is a residual unit; the key `units` gives the number of these units. The layers in
`follows` come after each convolution or fc layer and are not written; `linear` means none of them.
"""

import re

from papers import FIGURES, said_of

from keras_ilsvrc import info

FOLLOWING = {"bn", "relu", "tanh", "scaled_tanh", "softmax", "linear"}


def departures_of(name):
    """The departures in tests/paper that the registry lists for a net, in order."""
    listed = info(name).departures
    return [x for text in listed for x in FIGURES["departures"] if text.startswith(x["says"])]


def table_of(name, *changes):
    """A net's table with its departures and other changes, and the patterns that were not found."""
    table = said_of(name)
    texts = {"predictions": table["layers"], **table.get("auxiliary", {})}
    table = {**table, "unmatched": [], "texts": texts}
    for change in (table, *departures_of(name), *changes):
        for theirs, ours in change.get("instead", []):
            found = any(re.search(theirs, text) for text in texts.values())
            table["unmatched"] += [] if found else [theirs]
            texts |= {key: re.sub(theirs, ours, text) for key, text in texts.items()}
        own = ("texts", "unmatched", *(["source"] if {"seen", "unseen"} & change.keys() else []))
        table |= {key: x for key, x in change.items() if key not in own}
    return table


def cells_by_paper(table):
    """For each output, the cells that `cells_of` finds in the net."""
    return {name: _cells(text, table) for name, text in table["texts"].items()}


def _cells(text, table):
    cells, stages = [], 0
    for line in text.strip().split("\n"):
        if line.startswith("x "):  # as many units as the stage has, behind an activated stem or not
            ready = not stages and "relu" in cells
            cells += _stage(line[2:].split(", "), table["units"][stages], cells, ready, table)
            stages += 1
            continue
        for part in re.findall(r"[(|)]|[^,(|)]+", line):
            cells += _cell(part.strip(), table) if part.strip() else []
    return cells


def _cell(text, table):
    """A cell and what follows it: what is written behind it, or what always follows."""
    if text in "(|)":
        return [text]
    words = text.split()
    if words[0] == "lrn":
        return [" ".join(["lrn", *(f"{x:g}" for x in table["lrn"]), *words[1:]])]
    own = [word for word in words[1:] if word in FOLLOWING]
    cell = " ".join([words[0], *(word for word in words[1:] if word not in FOLLOWING)])
    kind = re.match("[a-z]+", cell)[0]
    follows = own or table["follows"].get(kind, "").split()
    return [cell, *(word for word in follows if word != "linear")]


def _stage(convolutions, count, before, ready, table):
    """The units of a stage: its first, or its last, has the stride."""
    cells, strided = [], count - 1 if table.get("strided") == "last" else 0
    maps = [_maps(cell) for cell in before if cell.startswith("conv")][-1]
    for number in range(count):
        own = [x if number == strided else x.replace("/2", "") for x in convolutions]
        cells += _unit(own, maps, ready and number == 0, table)
        maps = _maps(convolutions[-1])
    return cells


def _maps(cell):
    return int(cell.rpartition("-")[2])


def _unit(convolutions, maps, ready, table):
    """One unit: `( shortcut | F )` between what is shared and what follows the addition."""
    order, shortcut = table["unit"]["order"], table["unit"]["shortcut"]
    f, _, after = FIGURES["orders"][order].partition("+")
    before, between, behind = (part.split() for part in f.split("W"))
    target = _maps(convolutions[-1])
    stride = "/2" if any("/2" in cell for cell in convolutions) else ""
    factors = FIGURES["scaled"].get(shortcut, ["1", "1"])
    new, pixels = target != maps, stride and shortcut != "keras"
    first = [] if ready else before
    shared, first = (first, []) if new or pixels else ([], first)
    inner = [x for cell in convolutions[:-1] for x in (cell, *between)]
    y = [*first, *inner, convolutions[-1], *behind]
    if shortcut == "none":
        return [*shared, *y, *after.split()]
    if {"B": new or stride, "C": True, "keras": new}.get(shortcut, False):
        h = [f"conv1{stride}-{target}"] + (["bn"] if "bn" not in before else [])
    else:
        h = ["every 2nd"] * bool(stride) + [f"+{target - maps} maps"] * new
    gate = [f"conv1{stride}-{target}", "sigmoid"]
    h, y = (_scaled(x, factor, gate) for x, factor in zip((h, y), factors))
    return [*shared, "(", *h, "|", *y, ")", *after.split()]


def _scaled(cells, factor, gate):
    """Some cells and their factor in table 1 of arXiv:1603.05027."""
    if factor == "1":
        return cells
    if factor.endswith("g"):
        closed = ["times -1 + 1"] if factor == "1 - g" else []
        return ["(", *cells, "|", *gate, *closed, ")"]
    return [*cells, factor if "dropout" in factor else f"times {factor}"]
