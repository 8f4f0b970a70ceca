"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

from .serving import HERE

__all__ = ["HERE", "HomeOption", "IdsOption", "JsonOption", "YesOption"]

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="AURICLE_HOME", help="Folder made by `auricle init`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, one value a line.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
IdsOption = Annotated[list[str] | None, typer.Option("--id", help="A fact's id; repeat.")]
