from __future__ import annotations

import pytest

from edge.cli.verbs import simulate as cli_sim
from edge.extras import install_command
from tests.edge.sim.adaptation.adaptation_worlds import write_scenario
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


def test_a_scenario_of_policies_shows_a_table_over_the_seeds(tmp_path):
    """Each policy has a row with mean ± sd, gains over the source, and a page is written."""
    scenario = write_scenario(tmp_path)
    out = tmp_path / "report"
    result = run("simulate", scenario, "--seed", "1", "--seed", "2", "--out", out)
    assert result.exit_code == 0
    rows = [line for line in result.stdout.splitlines() if line.strip().startswith("tent")]
    assert len(rows) == 2
    assert "±" in rows[0]
    assert "streams that lose" in result.stdout
    assert (out / "report.html").is_file()
    assert (out / "adaptation.json").is_file()


def test_a_scenario_of_policies_is_no_scenario_of_unlearning(tmp_path):
    """With --unlearn it is refused, with a way out."""
    result = run("simulate", write_scenario(tmp_path), "--unlearn", "--out", tmp_path / "report")
    assert result.exit_code == 1
    assert "run without a device" in result.stderr
