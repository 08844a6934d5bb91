"""The numbers in tests/paper."""

import tomllib
from pathlib import Path

# The table of every net, by its name.
PAPER = {
    name: table
    for path in sorted((Path(__file__).parent / "paper").glob("*.toml"))
    for name, table in tomllib.loads(path.read_text(encoding="utf-8")).items()
}
