"""The console's side of the analysis process: questions that do not hold up other requests."""

import asyncio
from typing import Any, Final, Literal

from ..analysis import ask_analysis
from ..core import EdgeError
from .client import AskError
from .console import Console

TIMEOUT_S: Final = 60.0
"""Seconds until a question is given up, as in edge/analysis/client.py."""


async def analyse(
    console: Console, what: Literal["suspicious", "prototypes", "enough"], home: str
) -> Any:
    """Ask the analysis process of the console's folder; raises AskError without an answer."""
    try:
        return await asyncio.to_thread(ask_analysis, console.folder, home, what, TIMEOUT_S)
    except EdgeError as error:
        raise AskError(error.message, error.hint) from error
