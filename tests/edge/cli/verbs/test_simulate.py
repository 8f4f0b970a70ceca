from __future__ import annotations

from shutil import copytree

import numpy as np
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


@pytest.mark.parametrize("what", ["--unlearn", "--curriculum"])
@pytest.mark.parametrize("option", [("--jobs", "2"), ("--backend", "ray")])
def test_runs_that_follow_one_another_refuse_to_run_in_parallel(tmp_path, what, option):
    """An option without effect is an error that says why, not silence."""
    result = run("simulate", tmp_path / "x.toml", what, *option)
    assert result.exit_code == 1
    assert "their runs follow one another" in result.stderr
    assert "leave out --jobs and --backend" in result.stderr


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


def test_protocols_that_do_not_fit_a_scenario_are_named(tmp_path):
    """With one domain, the table shows the protocols that can run, and what the others need."""
    scenario = write_scenario(tmp_path, protocol='["iid", "runs", "left out iid", "same iid"]')
    text = scenario.read_text("utf-8")
    scenario.write_text(text[: text.index("[domains.second]")], "utf-8")
    out = tmp_path / "report"
    result = run("simulate", scenario, "--out", out)
    assert result.exit_code == 0
    assert ": 1 stream without labels" in result.stdout
    assert "no stream for iid, runs: needs a second domain" in result.stdout
    assert "no stream for left out iid: needs three domains" in result.stdout
    assert "No stream for iid, runs" in (out / "report.html").read_text("utf-8")


def test_a_misspelt_key_of_a_scenario_of_policies_names_the_key(tmp_path):
    """`polcy` beside `protocol` is an error about `polcy`, not about `protocol`."""
    scenario = write_scenario(tmp_path)
    scenario.write_text(scenario.read_text("utf-8").replace("policy =", "polcy ="), "utf-8")
    result = run("simulate", scenario, "--out", tmp_path / "report")
    assert result.exit_code == 1
    assert "unknown field `polcy`" in result.stderr
    assert "did you mean 'policy'?" in result.stderr


def test_a_scenario_on_an_empty_folder_says_what_belongs_there(tmp_path):
    """A folder without pictures is an error that names the folder and its layout."""
    (tmp_path / "camera").mkdir()
    scenario = tmp_path / "own.toml"
    text = 'title = "Own"\npolicy = "mean"\n[domains.camera]\nsource = "camera"\n'
    scenario.write_text(text, "utf-8")
    result = run("simulate", scenario, "--out", tmp_path / "report")
    assert result.exit_code == 1
    assert "camera: expected samples, found none" in " ".join(result.stderr.split())
    assert "a folder for each class" in " ".join(result.stderr.split())


def test_a_damaged_picture_and_a_rare_class_are_named(tmp_path, monkeypatch):
    """A class with few pictures is left out, and the output says so; a file that is no picture is
    an error with its path."""
    image_file = pytest.importorskip("PIL.Image")
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    for label, count in (("bright", 12), ("dark", 12), ("rare", 3)):
        (tmp_path / "camera" / label).mkdir(parents=True)
        for number in range(count):
            level = 200 if label == "bright" else 20
            pixels = random.integers(level, level + 40, (32, 32, 3), dtype=np.uint8)
            image_file.fromarray(pixels).save(tmp_path / "camera" / label / f"{number}.png")
    scenario = tmp_path / "own.toml"
    text = (
        'title = "Own"\npolicy = "mean"\nprotocol = "same iid"\n[domains.camera]\nsource = "{}"\n'
    )
    scenario.write_text(text.format("camera"), "utf-8")
    result = run("simulate", scenario, "--out", tmp_path / "report")
    assert result.exit_code == 0, result.stderr
    assert "left out, too few samples in a domain: rare" in result.stdout
    copytree(tmp_path / "camera", tmp_path / "copied")
    damaged = tmp_path / "copied" / "dark" / "damaged.jpg"
    damaged.write_bytes(b"no picture")
    scenario.write_text(text.format("copied"), "utf-8")
    refused = run("simulate", scenario, "--out", tmp_path / "report")
    assert refused.exit_code == 1
    assert f"reading {damaged}" in refused.stderr.replace("\n", "")


def test_a_scenario_of_policies_is_no_scenario_of_unlearning(tmp_path):
    """With --unlearn it is refused, with a way out."""
    result = run("simulate", write_scenario(tmp_path), "--unlearn", "--out", tmp_path / "report")
    assert result.exit_code == 1
    assert "run without a device" in result.stderr
