"""The `bench page` command."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from keras_ilsvrc.bench import page as pages
from keras_ilsvrc.errors import InputError
from keras_ilsvrc.files import read, whole


def page(
    out: Annotated[Path, typer.Option(help="Page to write; a JSON file beside it keeps the rows.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="Few nets at batch 8, three steps, no torch.compile.")
    ] = False,
    only: Annotated[
        Literal["training", "inference"] | None,
        typer.Option(help="Work to measure; default: both."),
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Batch size to measure; default: all.")] = None,
    eager: Annotated[
        bool, typer.Option("--eager", help="All nets, five steps, no torch.compile.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Measure all rows again; drop those of another machine.")
    ] = False,
    render: Annotated[
        bool, typer.Option("--render", help="Measure nothing; write the page from the kept rows.")
    ] = False,
) -> None:
    """Measure nets against other libraries, and write the tables into a page.

    The text comes from a template beside the page: benchmarks.in.md for benchmarks.md.
    """
    if out.suffix != ".md":
        raise InputError(f"--out is {out}; expected a file with the suffix .md")
    if not out.parent.is_dir():
        raise InputError(f"--out is {out}; the folder {out.parent} does not exist; make it")
    source = out.with_suffix(".in.md")
    template = read(source).decode() if source.exists() else pages.PLAIN
    kept = pages.Kept(out.with_suffix(".json"))
    kept.page(template)  # raises an error before any measurement if a comment is missing
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
