"""The command that installs an extra is right for where the installation came from."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from edge import extras

COMMIT = "4" * 40


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        ({"url": "file:///opt/my%20auricle", "dir_info": {}}, "/opt/my auricle[grow]"),
        (
            {"url": "file:///opt/auricle-0.1.0-py3-none-any.whl", "archive_info": {}},
            "/opt/auricle-0.1.0-py3-none-any.whl[grow]",
        ),
        (
            {"url": "https://git.example/a.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}},
            f"auricle[grow] @ git+https://git.example/a.git@{COMMIT}",
        ),
        (
            {"url": "https://example.org/auricle-0.1.0-py3-none-any.whl", "archive_info": {}},
            "auricle[grow] @ https://example.org/auricle-0.1.0-py3-none-any.whl",
        ),
        ({}, "auricle[grow]"),
        ([], "auricle[grow]"),
    ],
)
def test_the_command_names_the_origin(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, origin: object, requirement: str
) -> None:
    """A folder, a wheel and a repository are named again; only a distribution from an index goes by
    its name alone."""
    home = tmp_path / "auricle-0.1.0.dist-info"
    home.mkdir()
    (home / "METADATA").write_text("Metadata-Version: 2.1\nName: auricle\nVersion: 0.1.0\n")
    if origin != {}:
        (home / "direct_url.json").write_text(json.dumps(origin))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert shlex.split(extras.install_command("grow")) == [
        sys.executable,
        *("-m", "pip", "install", requirement),
    ]


def test_the_command_names_a_place_that_exists() -> None:
    """For the installation that runs the tests, the command names the folder or the wheel that it
    came from, and pip takes the wheel."""
    command = shlex.split(extras.install_command("grow"))
    place = Path(command[-1].removesuffix("[grow]"))
    if not place.is_absolute():
        pytest.skip("needs an installation from a folder or a wheel")
    if place.is_dir():
        assert 'name = "auricle"' in (place / "pyproject.toml").read_text(encoding="utf-8")
        return
    trial = [*command, "--dry-run", "--no-deps", "--no-index", "--quiet"]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
