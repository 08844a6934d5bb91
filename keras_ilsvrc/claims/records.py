"""What is kept of the runs of claims: `runs.json`, which stays when run directories are removed."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from keras_ilsvrc import files
from keras_ilsvrc.runs.schema import parsed

RECORDS = "runs.json"
Curve = list[list[float | None]]


@dataclass
class Record:
    """Results of a run.

    Attributes:
        net: Name of the network.
        version: Version of the package that trained it.
        seconds: Seconds of training and testing.
        diverged: Why training ended, if it diverged; else empty.
        curve: Rows of [step, training error, validation error].
        measures: Value of each measure that was needed, by name, level and protocol.
    """

    net: str
    version: str
    seconds: float = 0.0
    diverged: str = ""
    curve: Curve = field(default_factory=list)
    measures: dict[str, float | None] = field(default_factory=dict)


def read(home: Path) -> dict[str, Record]:
    """Return the records in a folder by the names of their runs; none if there is no file.

    Raises:
        InputError: If the file is damaged.
    """
    path = home / RECORDS
    if not path.exists():
        return {}
    content = files.read(path)
    advice = "restore it from a copy, or remove it; then runs without directories are trained again"

    def records() -> dict[str, Record]:
        table = json.loads(content)
        if not isinstance(table, dict):
            raise ValueError("not a table of runs")
        return {key: Record(**record) for key, record in table.items()}

    return parsed(path, advice, records)


def write(home: Path, records: dict[str, Record]) -> None:
    """Write the records to a folder, one line each."""
    lines = [f"{json.dumps(key)}:{_line(records[key])}" for key in sorted(records)]
    with files.whole(home / RECORDS) as part:
        part.write_text("{" + ",\n".join(lines) + "}\n")


def _line(record: Record) -> str:
    return json.dumps(asdict(record), separators=(",", ":"))
