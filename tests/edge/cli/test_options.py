from __future__ import annotations

import pytest

from edge.cli import app as cli
from tests.homes import run
from tests.test_docs import verbs

VERBS = dict(verbs(cli.app, "auricle"))
COLUMNS = 80
"""The usual width of a terminal."""


def test_every_verb_on_a_home_takes_home_and_json():
    """All verbs that work on a home take --home, and all take --json but the listed ones."""
    options = {name: {o for p in verb.params for o in p.opts} for name, verb in VERBS.items()}
    assert {name for name, given in options.items() if "--json" not in given} == {
        "auricle demo",
        "auricle run",
        "auricle top",
        "auricle keygen",
        "auricle command",
        "auricle fleet aggregate",
        "auricle bundle export",
        "auricle web",
        "auricle web link",
    }
    without = {name for name, given in options.items() if "--home" not in given}
    assert without == {
        "auricle demo",
        "auricle init",
        "auricle fleet train",
        "auricle fleet leave",
        "auricle fleet simulate",
        "auricle simulate",
        "auricle encoder card",
        "auricle encoder calibrate",
        "auricle encoder vary",
        "auricle bridge monitor",
        "auricle forecast",
        "auricle keygen",
        "auricle train",
    }


@pytest.mark.parametrize("words", VERBS)
def test_every_option_and_argument_is_explained(words):
    """The help of a verb explains each parameter and fits 80 columns."""
    unexplained = [one.name for one in VERBS[words].params if not one.help]
    assert unexplained == []
    result = run(*words.split()[1:], "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: {words} ")
    assert [line for line in result.output.splitlines() if len(line) > COLUMNS] == []


def test_a_folder_in_place_of_a_verb_is_answered(tmp_path):
    """`auricle web FOLDER` names the option that takes the folder."""
    result = run("web", tmp_path)
    assert result.exit_code == 2
    assert f"--home {tmp_path}" in " ".join(result.stderr.split())
