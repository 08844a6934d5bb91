"""The `evaluate` command, which measures the test errors of finished runs again."""

import json
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from keras_ilsvrc.cli.options import Data, Json, Replicas, check_replicas, complete_runs
from keras_ilsvrc.evaluation.protocols import PROTOCOLS, passes_of
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.utils.bars import bar
from keras_ilsvrc.utils.errors import InputError
from keras_ilsvrc.utils.streams import quiet_tensorflow


def evaluate(
    run: Annotated[
        list[Path],
        typer.Argument(
            help="Directory of a finished run. Several runs are tested as one ensemble.",
            autocompletion=complete_runs,
        ),
    ],
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Test protocol, e.g. ten_crop (default: the recipe's).",
            autocompletion=lambda: list(PROTOCOLS),
        ),
    ] = None,
    scales: Annotated[
        str | None,
        typer.Option(
            help="Image sizes to test at, as lengths of the shorter side in pixels, for example "
            "256,384 (default: the protocol's sizes)."
        ),
    ] = None,
    data: Data = None,
    replicas: Replicas = None,
    as_json: Json = False,
) -> None:
    """Test the network of a run, or an ensemble of several runs, on the recipe's test images."""
    check_replicas(replicas)
    if protocol is not None:
        passes_of(protocol)
    sides = _sides(scales)
    for path in run:
        RunFiles(path).check_finished()
    quiet_tensorflow()
    from keras_ilsvrc.runs.evaluate import errors_of, restore

    with bar("testing") as progress:
        restored = [restore(path, replicas, dataset=data) for path in run]
        result = errors_of(restored, protocol, sides, progress)
    del result["probabilities"]
    if as_json:
        print(json.dumps(result, indent=2))
    else:
        print_errors(result)


def _sides(scales: str | None) -> list[int] | None:
    """Parse `--scales`: positive whole numbers separated by commas."""
    if scales is None:
        return None
    words = scales.split(",")
    if not all(re.fullmatch(r" *0*[1-9][0-9]{0,4} *", word) for word in words):
        raise InputError(
            f"--scales is {scales!r:.60}; expected sizes of 1 to 99999 pixels, e.g. 256,384"
        )
    return [int(word) for word in words]


def print_errors(result: dict[str, Any]) -> None:
    what = "views of each" if result["views"] > 1 else "view of each"
    print(f"{result['images']:,} images, {result['protocol']}: {result['views']} {what}")
    expected = result["expected"] or {}
    for key, name in (("top1_error", "test error"), ("top5_error", "top-5 error")):
        error, ends = result[key], result[key.replace("error", "interval")]
        if error is None:
            continue
        line = f"{name:<12}{error:.2f} %  95 % interval {ends[0]:.2f} to {ends[1]:.2f}"
        if expected.get(key) is not None:
            line += f"; expected {expected[key]:.2f} ({expected['by']})"
        print(line)
