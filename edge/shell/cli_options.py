"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="AURICLE_HOME", help="Folder made by `auricle init`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one value a line.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
IdsOption = Annotated[list[str] | None, typer.Option("--id", help="A fact's id; repeat.")]
RateOption = Annotated[
    int, typer.Option("--rate-hz", min=1_000, max=384_000, help="Samples a second of WAV files.")
]
HERE = Path()
