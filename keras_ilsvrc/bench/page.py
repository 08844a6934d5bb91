"""Page of benchmark results: the cases, a JSON file with their results, and Markdown tables."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from keras_ilsvrc.bench.machine import machine
from keras_ilsvrc.bench.peers import Case
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.utils.files import read, whole

NETS = ("alexnet_owt", "vgg16", "googlenet_bn", "inception_v3_tv", "resnet18", "resnet50_v1_5")
# Rows of (work, number format, package to compare with, batch sizes).
# fmt: off
SERIES: tuple[tuple[str, Any, str, tuple[int, ...]], ...] = (
    ("training",  "float32",  "torchvision", (8, 32)),
    ("training",  "float32",  "keras",       (8, 32)),
    ("training",  "bfloat16", "torchvision", (8, 32)),
    ("training",  "bfloat16", "float32",     (8, 32)),
    ("inference", "float32",  "torchvision", (1, 8)),
    ("inference", "float32",  "keras",       (1, 8)),
    ("inference", "bfloat16", "torchvision", (1, 8)),
)
# fmt: on
CASES = tuple(
    Case(net, peer, work == "inference", batch, dtype)
    for work, dtype, peer, batches in SERIES
    for batch, net in product(batches, NETS)
)
WORKS = ("training", "inference")
QUICK_NETS, QUICK_STEPS = ("alexnet_owt", "googlenet_bn", "resnet50_v1_5"), 3
EAGER_STEPS = 5
COLUMNS = "| net | batch | format | s/step | against | form | s/step | ratio (quartiles) | n | |"
HEAD = f"{COLUMNS}\n|---|---:|---|---:|---|---|---:|---|---:|---|"
PLAIN = "# Benchmarks\n\n<!-- machine -->\n\n<!-- training -->\n\n<!-- inference -->\n"


def chosen(
    only: str | None = None, batch: int | None = None, quick: bool = False, eager: bool = False
) -> list[Case]:
    """Return the cases to measure.

    Args:
        only: "training" or "inference"; None for both.
        batch: Batch size; None for all.
        quick: Whether to select few nets, with few steps at batch 8, without `torch.compile`.
        eager: Whether to time all nets with few steps, without `torch.compile`.
    """
    cases = [x for x in CASES if only in (None, x.work) and batch in (None, x.batch)]
    if quick:
        cases = [case for case in cases if case.batch == 8 and case.net in QUICK_NETS]
    elif not eager:
        return cases
    steps = QUICK_STEPS if quick else EAGER_STEPS
    return [replace(case, steps=steps, compiled=False) for case in cases]


class Kept:
    """Benchmark results in a JSON file, all from one machine. The file need not exist yet.

    Raises:
        InputError: If the file cannot be read or does not contain benchmark results.
    """

    def __init__(self, path: Path):
        self.path, self.machine = path, machine()
        self.rows: dict[str, dict[str, Any]] = {}
        content = read(path) if path.exists() else None
        try:
            if content is not None:
                found = json.loads(content)
                self.rows, self.machine = dict(found["rows"]), dict(found["machine"])
        except (ValueError, KeyError, TypeError):
            raise InputError(
                f"{path}: expected results of `bench page`; move or remove the file"
            ) from None

    def begin(self, again: bool) -> None:
        """Check that the results are from this machine and from the installed package versions.

        If they are not, and `again` is True, discard them.

        Raises:
            InputError: If the machine or a version differs, and `again` is False.
        """
        here = machine()
        for name, value in here.items():
            if self.machine.get(name) != value and not again:
                raise InputError(
                    f"{self.path}: measured with {name} {self.machine.get(name)}, but {name} is "
                    f"{value} here; pass --again to measure again"
                )
        if self.machine != here:
            self.machine, self.rows = here, {}

    def missing(self, case: Case) -> bool:
        """Return whether a case must be measured.

        This is so if it has no result, or one with fewer steps or without `torch.compile`.
        """
        row = self.rows.get(_key(case), {})
        return "result" not in row or row["steps"] < case.steps or row["compiled"] < case.compiled

    def add(self, case: Case) -> str:
        """Measure a case in a new process, save its row, and return the ratio or error as text."""
        done = subprocess.run(
            [sys.executable, "-m", "keras_ilsvrc", *command(case)], capture_output=True, text=True
        )
        row: dict[str, Any] = {"steps": case.steps, "compiled": case.compiled}
        if done.returncode == 0:
            row["result"] = json.loads(done.stdout)
        else:
            lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
            row["error"] = (lines or [f"error: exit status {done.returncode}"])[-1][7:]
        self.rows[_key(case)] = row
        with whole(self.path) as part:
            part.write_text(json.dumps({"machine": self.machine, "rows": self.rows}, indent=1))
        return row.get("error") or f"{row['result']['ratio']['median']:.3f}"

    def page(self, template: str) -> str:
        """Fill in a template: replace its comments with the machine and the tables.

        Raises:
            InputError: If the template lacks one of the comments, such as `<!-- training -->`.
        """
        blocks = {"machine": ", ".join(f"{name} {value}" for name, value in self.machine.items())}
        for work in WORKS:
            cases = [case for case in CASES if case.work == work and _key(case) in self.rows]
            lines = [_line(case, self.rows[_key(case)]) for case in cases]
            blocks[work] = "\n".join([HEAD, *lines]) if lines else "(not measured)"
        for name, block in blocks.items():
            mark = f"<!-- {name} -->"
            if mark not in template:
                raise InputError(f"the template of the page has no line {mark}; add it")
            template = template.replace(mark, block)
        return template


def command(case: Case) -> list[str]:
    """Return the arguments of the command that measures a case."""
    words = ["bench", "net", case.net, "--against", str(case.against), "--dtype", case.dtype]
    words += ["--batch", str(case.batch), "--steps", str(case.steps), "--json"]
    words += ["--inference"] if case.inference else []
    return words + ([] if case.compiled else ["--no-compile"])


def _key(case: Case) -> str:
    return f"{case.work} {case.net} {case.dtype} batch {case.batch} against {case.against}"


def _line(case: Case, row: dict[str, Any]) -> str:
    """Return a table row. It notes that our net is slower, or why a measurement is missing."""
    cells = [f"`{case.net}`", case.batch, case.dtype]
    if "error" in row:
        cells += ["", case.against, "", "", "", "", f"not measured: {row['error']}"]
    else:
        ours, peer, ratio = (row["result"][key] for key in ("ours", "peer", "ratio"))
        tried = row["compiled"] or case.against != "torchvision"
        form = peer["form"] + ("" if tried else "*")
        spread = "{median:.3f} ({lower_quartile:.3f}-{upper_quartile:.3f})".format(**ratio)
        cells += [f"{ours['seconds']:.3f}", peer["net"], form, f"{peer['seconds']:.3f}", spread]
        cells += [row["steps"], "slower" if ratio["median"] < 1 else ""]
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
