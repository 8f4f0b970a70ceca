from __future__ import annotations

import pytest

from edge.cli.verbs import simulate as cli_sim
from edge.extras import install_command
from tests.homes import run


@pytest.mark.parametrize("words", [("simulate", "x.toml"), ("demo",)])
def test_a_missing_extra_is_named(words, monkeypatch):
    """Without the extra the verb names the package to install."""
    monkeypatch.setattr(cli_sim, "find_spec", lambda name: None if name == "joblib" else name)
    result = run(*words)
    assert result.exit_code == 1
    assert "joblib is not installed" in result.stderr
    assert install_command("sim") in result.stderr


def test_a_missing_scenario_is_an_error(tmp_path):
    """A missing scenario ends with status 1 and leaves no report."""
    result = run("simulate", tmp_path / "none.toml", "--out", tmp_path / "report")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert not (tmp_path / "report").exists()


def test_unknown_backends_are_refused(tmp_path):
    """Only existing backends are accepted."""
    result = run("simulate", tmp_path / "x.toml", "--backend", "dusk")
    assert result.exit_code == 2
    assert "loky" in result.output
