"""Records of the runs of claims in `runs.json`, which remain when run directories are deleted."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from keras_ilsvrc.runs.schema import parsed
from keras_ilsvrc.utils import files

RECORDS = "runs.json"
Curve = list[list[float | None]]


@dataclass
class Record:
    """Results of a run.

    Attributes:
        net: Name of the net.
        version: Version of the package that trained it.
        seconds: Seconds of training and testing.
        diverged: Reason why the run diverged; empty if it did not.
        curve: Rows of [step, training error in %, validation error in %], one for each epoch.
        measures: Values of measures by their keys (see `Job.recorded`); None if not finite.
    """

    net: str
    version: str
    seconds: float = 0.0
    diverged: str = ""
    curve: Curve = field(default_factory=list)
    measures: dict[str, float | None] = field(default_factory=dict)


def read(home: Path) -> dict[str, Record]:
    """Read `runs.json` in a folder as {name of run: record}; {} if there is no such file.

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
    """Write records to `runs.json` in a folder, one line for each run."""
    lines = [f"{json.dumps(key)}:{_line(records[key])}" for key in sorted(records)]
    with files.whole(home / RECORDS) as part:
        part.write_text("{" + ",\n".join(lines) + "}\n")


def _line(record: Record) -> str:
    return json.dumps(asdict(record), separators=(",", ":"))
