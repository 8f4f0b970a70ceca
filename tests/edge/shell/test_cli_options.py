from __future__ import annotations

import typer

from edge.shell import cli
from tests.test_docs import verbs


def test_every_verb_on_a_home_takes_home_and_json():
    """The verbs that work on a home can all be given one, and all print JSON where asked."""
    found = dict(verbs(typer.main.get_command(cli.app), "auricle"))
    options = {name: {o for p in verb.params for o in p.opts} for name, verb in found.items()}
    assert {name for name, given in options.items() if "--json" not in given} == {
        "auricle demo", "auricle run", "auricle top", "auricle keygen", "auricle command",
        "auricle bundle export",
    }  # fmt: skip
    without = {name for name, given in options.items() if "--home" not in given}
    assert without == {
        "auricle demo", "auricle init", "auricle simulate", "auricle encoder card",
        "auricle encoder calibrate", "auricle bridge monitor", "auricle forecast", "auricle keygen",
        "auricle train",
    }  # fmt: skip
