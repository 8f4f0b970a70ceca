from __future__ import annotations

from pathlib import Path

import pytest

from tests.homes import learned_home, new_home, run, run_json


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that has learned two labels."""
    return learned_home(tmp_path / "home")


@pytest.mark.parametrize(("verb", "name"), [("backup", "b.db"), ("export", "e.npz")])
def test_existing_files_are_not_overwritten(tmp_path, home, verb, name):
    """An existing target is refused and not changed."""
    (tmp_path / name).write_text("mine", "utf-8")
    result = run(verb, tmp_path / name, "--home", home)
    assert result.exit_code == 1
    assert "exists already" in result.stderr
    assert (tmp_path / name).read_text("utf-8") == "mine"


@pytest.mark.parametrize("verb", ["backup", "export"])
def test_a_missing_folder_is_an_error(tmp_path, home, verb):
    """A target in a missing folder is refused with a hint."""
    result = run(verb, tmp_path / "no" / "x", "--home", home)
    assert result.exit_code == 1
    assert "folder" in result.stderr


def test_a_backup_goes_round(tmp_path, home):
    """After a backup, a change and a restore the digest is the original one."""
    before = run_json("verify", "--home", home)
    assert "wrote" in run("backup", tmp_path / "b.db", "--home", home).stdout
    run("relabel", "--home", home, "--label", "a", "--to-label", "z")
    result = run("restore", tmp_path / "b.db", "--home", home)
    assert "before-restore-1" in result.stdout
    assert run_json("verify", "--home", home) == before


def test_an_export_goes_round(tmp_path, home):
    """After an export and learning into a new home, facts and answers are the same."""
    run("export", tmp_path / "e.npz", "--home", home)
    other = new_home(tmp_path / "other")
    result = run("learn", tmp_path / "e.npz", "--home", other)
    assert "learned 24 facts" in result.stdout
    one, two = (run_json("verify", "--home", where) for where in (home, other))
    assert one["facts_digest"] == two["facts_digest"]
    assert one["knowledge_digest"] == two["knowledge_digest"]
    assert run("predict", tmp_path / "e.npz", "--home", other).exit_code == 0


def test_a_merge_reports_its_counts(tmp_path, home):
    """A merge reports the new, the known and the forgotten facts."""
    other = learned_home(tmp_path / "other")
    run("forget", "--home", other, "--label", "a", "--yes")
    result = run("merge", other / "knowledge.db", "--home", home)
    assert result.exit_code == 0
    assert "forgot 12 facts that the other file had forgotten" in result.stdout
    assert run_json("verify", "--home", home)["facts"] == 12
