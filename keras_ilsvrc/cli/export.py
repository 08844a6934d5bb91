"""The `export` command, which writes the network of a run for other runtimes."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from keras_ilsvrc.cli.options import check_file, complete_runs
from keras_ilsvrc.runs.reading import RunFiles
from keras_ilsvrc.utils.errors import printable
from keras_ilsvrc.utils.streams import quiet, quiet_tensorflow
from keras_ilsvrc.weights.export import FORMATS, check_format


def export(
    run: Annotated[
        Path, typer.Argument(help="Directory of a finished run.", autocompletion=complete_runs)
    ],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            help="Format: onnx, saved_model, litert or keras.",
            autocompletion=lambda: list(FORMATS),
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write, or folder for saved_model (default: in the run directory)."
        ),
    ] = None,
    preprocessing: Annotated[
        bool,
        typer.Option(
            "--preprocessing/--no-preprocessing",
            help="Whether the exported network preprocesses raw images itself.",
        ),
    ] = True,
) -> None:
    """Export the network of a finished run to another format, and check it on images."""
    form = check_format(format)
    name = RunFiles(run).check_finished().path.name
    path = out or run / f"{name}{form.suffix}"
    check_file("--out", path, form.suffix)
    check_format(format, path)
    quiet_tensorflow()
    with quiet(), Console(stderr=True).status(f"writing {printable(str(path))}"):
        from keras_ilsvrc.runs.exporting import export_run

        made = export_run(run, format, path, preprocessing)
    sides = zip(("images", "height", "width"), made.shape)
    shape = ", ".join(str(side or name) for name, side in sides)
    kind = "raw images of 0 to 255" if preprocessing else "preprocessed images"
    print(printable(str(path)))
    print(f"input: {kind}, ({shape}, {made.shape[-1]}), {made.dtype}")
    print(f"output: probabilities of {made.classes} classes, named in {printable(str(made.names))}")
    print(f"checked on {made.checked}: largest difference {made.difference:.1e}")
    print(f"\nRun it in Python:\n\n{made.code}")
