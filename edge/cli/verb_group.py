"""What all verbs share: an error becomes two lines and an exit status."""

from typing import Any

import click

from firmware_bridge import BridgeError

from ..core import EXPECTED_ERRORS
from .error_report import report_errors


class Verbs(click.Group):
    """A group that lists its verbs in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click passes it
        """Return the names of the verbs, in order."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; an error becomes two lines and exit status 1."""
        with report_errors((*EXPECTED_ERRORS, BridgeError)):
            return super().invoke(ctx)
