"""The `bench page` command, which writes a page of benchmark tables."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from keras_ilsvrc.bench import page as pages
from keras_ilsvrc.cli.options import check_file
from keras_ilsvrc.utils.files import read, whole


def page(
    out: Annotated[
        Path,
        typer.Option(
            help="Page to write (.md). All rows are kept in a .json file of the same name."
        ),
    ],
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Measure few nets at batch 8, three steps, no torch.compile."),
    ] = False,
    only: Annotated[
        Literal["training", "inference"] | None,
        typer.Option(help="Work to measure (default: both)."),
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Batch size to measure (default: all).")] = None,
    eager: Annotated[
        bool, typer.Option("--eager", help="Measure all nets, five steps, no torch.compile.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="Measure all rows again, and drop rows of other machines."),
    ] = False,
    render: Annotated[
        bool, typer.Option("--render", help="Only write the page from the rows in the .json file.")
    ] = False,
) -> None:
    """Compare the speed of nets with other libraries, and write the tables into a page.

    The rest of the page comes from a template in the same folder, for example benchmarks.in.md for
    benchmarks.md.
    """
    check_file("--out", out, ".md")
    source = out.with_suffix(".in.md")
    template = read(source).decode() if source.exists() else pages.PLAIN
    kept = pages.Kept(out.with_suffix(".json"))
    kept.page(template)  # check the template before the measurements
    cases = []
    if not render:
        kept.begin(again)
        cases = [
            case for case in pages.chosen(only, batch, quick, eager) if again or kept.missing(case)
        ]
    for number, case in enumerate(cases, 1):
        print(f"{number}/{len(cases)} {' '.join(pages.command(case))}: ", end="", file=sys.stderr)
        sys.stderr.flush()
        print(kept.add(case), file=sys.stderr)
        _write(out, kept.page(template))
    _write(out, kept.page(template))


def _write(out: Path, text: str) -> None:
    with whole(out) as part:
        part.write_text(text)
