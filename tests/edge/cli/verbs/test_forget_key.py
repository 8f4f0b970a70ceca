"""Forgetting with a key file of the home that is wrong, damaged, unreadable or missing."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.homes import learned_home, run, run_json


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that has learned two labels and has forgotten a fact."""
    made = learned_home(tmp_path / "home")
    (made / "table.csv").unlink()
    receipt = run_json("forget", "--home", made, "--subject", "person-2", "--yes")
    assert receipt["facts_forgotten"] == 8
    return made


def facts(home: Path) -> int:
    """The number of facts in a home."""
    return sum(int(one["facts"]) for one in run_json("inspect", "--home", home)["concepts"])


def replaced(key: Path) -> None:
    """Another key in place of it."""
    key.write_bytes(secrets.token_bytes(32))


def truncated(key: Path) -> None:
    """A part of it."""
    key.write_bytes(key.read_bytes()[:7])


def unreadable(key: Path) -> None:
    """A directory in place of the key file: no user can read it as a file, root included."""
    key.unlink()
    key.mkdir()


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (replaced, "expected the key that earlier receipts were stated under, found another one"),
        (truncated, "expected 32 bytes, found 7"),
        (unreadable, "Is a directory"),
    ],
)
def test_a_wrong_key_forgets_nothing_until_it_is_restored(
    home: Path, damage: Callable[[Path], None], found: str
) -> None:
    """The error names the file, what was expected and found; nothing is lost, predictions go on,
    `verify` complains, and with the restored key the same request succeeds."""
    key = home / "knowledge.db.key"
    secret = key.read_bytes()
    damage(key)
    words = ("forget", "--home", home, "--label", "a", "--yes")
    refused = run(*words)
    assert refused.exit_code == 1
    assert f"reading {key}" in refused.stderr
    assert found in refused.stderr
    assert facts(home) == 16
    checked = run("verify", "--home", home)
    assert checked.exit_code == 1
    assert "no receipt can be checked" in checked.stdout
    if key.is_dir():
        key.rmdir()
    key.write_bytes(secret)
    assert run(*words).exit_code == 0
    assert facts(home) == 8
    (receipt,) = run_json("verify", "--home", home)["receipts"]
    assert receipt.startswith("cli-")


def test_a_lost_key_is_replaced_and_verify_says_what_that_costs(home: Path) -> None:
    """Without its key file a home goes on under a new key: forgetting succeeds, its receipt can be
    checked, and `verify` says how many earlier ones cannot."""
    (home / "knowledge.db.key").unlink()
    receipt = run_json("forget", "--home", home, "--label", "a", "--yes")
    assert receipt["facts_forgotten"] == 8
    checked = run_json("verify", "--home", home)
    assert checked["complaints"] == []
    assert checked["receipts"] == [receipt["request_id"]]
    assert checked["unchecked_receipts"] == 1
    shown = run("verify", "--home", home).stdout
    assert "1 receipts, of a key of the home that was lost" in shown


def test_a_wrong_key_that_is_removed_is_replaced(home: Path) -> None:
    """What the error advises works: the file is removed, and the same request succeeds."""
    key = home / "knowledge.db.key"
    replaced(key)
    words = ("forget", "--home", home, "--label", "a", "--yes")
    refused = run(*words)
    assert "if it is lost, remove it" in refused.stderr
    key.unlink()
    assert run(*words).exit_code == 0
    assert facts(home) == 8


def test_a_backup_counts_under_the_key_of_the_home_that_it_is_restored_to(
    home: Path, tmp_path: Path
) -> None:
    """A backup of another home is restored: the key there stays, and forgetting works."""
    assert run("backup", tmp_path / "copy.db", "--home", home).exit_code == 0
    other = learned_home(tmp_path / "other")
    assert run("forget", "--home", other, "--subject", "person-0", "--yes").exit_code == 0
    secret = (other / "knowledge.db.key").read_bytes()
    assert run("restore", tmp_path / "copy.db", "--home", other).exit_code == 0
    assert run("forget", "--home", other, "--label", "a", "--yes").exit_code == 0
    assert (other / "knowledge.db.key").read_bytes() == secret
    assert run_json("verify", "--home", other)["unchecked_receipts"] >= 1
