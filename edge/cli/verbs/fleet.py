"""The group `auricle fleet`."""

import click

from ..options import VerbGroup


@click.group(cls=VerbGroup)
def fleet() -> None:
    """Sum the knowledge of many devices: aggregate, look, drop a member, simulate."""
