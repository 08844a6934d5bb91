"""Reader for the numbers in tests/paper."""

import tomllib
from pathlib import Path

# The file of a paper has a table for each of its nets, and begins with its `departures`: how each
# begins in the registry, and what of it can be seen in a net. `instead`: what the paper says and
# what stands in the net, as patterns. `seen`: cells of the net. `held`: the test that holds it.
# `unseen`: why no net shows it. Other keys replace the paper's; `source` is where what it departs
# from, or has instead, is written.
# `printed` are the tables with sizes or counts that the paper prints, by source, and how the built
# nets compare: equal, unless a verdict follows `>`. "cut": equal if the value is rounded down, as
# printed. Others are keys of `reasons`, with words of the reason. One `net`: a row is a layer, a
# column a quantity. Many nets: a row is a net, a column a layer and a quantity. Cells may be empty.
# `conv3-256 x2` is short for `conv3-256 conv3-256`.
_TABLES = {"departures": [], "printed": {}}
for _path in sorted((Path(__file__).parent / "paper").glob("*.toml")):
    for _name, _table in tomllib.loads(_path.read_text(encoding="utf-8")).items():
        if _name == "departures":
            _table = _TABLES[_name] + _table
        elif _name == "printed":
            _table = _TABLES[_name] | _table
        _TABLES[_name] = _table
_NETS = {name: table for name, table in _TABLES.items() if "parameters" in table}
# What papers say of more than one net: figures and rules, by name.
FIGURES = {name: table for name, table in _TABLES.items() if name not in _NETS}
# What a net has like the net it is `like`, unless its own table says otherwise.
_SHARED = ("input", "sizes", "parameters_of", "sizes_of_auxiliary", "units", "weight_layers")


def said_of(name):
    """A net's table, with everything that the net it is `like` has and it has not."""
    own = _NETS[name]
    return {**said_of(own["like"]), **own} if "like" in own else own


# The table of every net, by its name.
PAPER = {
    name: {key: value for key, value in said_of(name).items() if key in _SHARED} | own
    for name, own in _NETS.items()
}
