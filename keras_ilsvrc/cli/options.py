"""Options that several commands have."""

from typing import Annotated

import typer

BAD_INPUT, STOPPED, DIVERGED = 2, 75, 76  # exit statuses; 75 is EX_TEMPFAIL of sysexits.h

Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
