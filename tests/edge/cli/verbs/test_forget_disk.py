"""`auricle forget` on a disk that is full or cannot be written: real file systems."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.core.events import Enrol, FitGeometry
from edge.home.home import Home
from tests.disks import PAGE, Disk, small_disk
from tests.homes import command, learned_home, new_home, run, run_json
from tests.worlds import fact

FACTS = 80
GONE = 40


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with more facts of a subject than leave at once, in a domain of its name."""
    folder = new_home(tmp_path_factory.mktemp("made") / "home")
    names = ["Zaphod"] * GONE + ["Ford"] * (FACTS - GONE)
    with Home(folder) as home:
        rows = (
            fact(f"f{n}", "ab"[n % 2], ("hall", "gallery-of-Zaphod")[n % 2], n + 1, subject=name)
            for n, name in enumerate(names)
        )
        home.feed(Enrol(tuple(rows)))
        home.feed(FitGeometry())
        home.stamp()
    return folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small disk."""
    with small_disk(tmp_path / "disk") as mounted:
        yield mounted


def facts(home: Path) -> int:
    """The number of facts in the file, read without finishing anything."""
    return sum(int(one["facts"]) for one in run_json("inspect", "--home", home)["concepts"])


def traces(home: Path) -> list[str]:
    """The files of the home that hold the subject's name."""
    return [one.name for one in home.glob("knowledge.db*") if b"Zaphod" in one.read_bytes()]


def test_wherever_the_disk_fills_nothing_is_lost_and_a_repeat_succeeds(made: Path, disk: Disk):
    """With room for one part of a request or another, the answer says that nothing was changed, or
    that the request is recorded; once there is room the same command succeeds, and no trace of the
    facts is left, and all others are."""
    seen = set()
    words = ("forget", "--subject", "Zaphod", "--yes", "--home")
    for pages in (0, 16, 42, 60, 80):
        home = Path(shutil.copytree(made, disk.folder / "home"))
        disk.fill(pages * PAGE)
        refused = run(*words, home)
        assert refused.exit_code == 1, pages
        assert re.search("full|No space left|free space on the disk", refused.stderr)
        recorded = "the request is recorded, and it is not complete" in refused.stderr
        seen.add(recorded)
        disk.free()
        assert recorded == bool(run_json("inspect", "--home", home)["pending_forgets"])
        assert recorded or facts(home) == FACTS
        again = run(*words, home)
        assert again.exit_code == 0, again.output
        assert f"facts forgotten   {GONE}" in again.stdout
        assert run("verify", "--home", home).exit_code == 0
        assert facts(home) == FACTS - GONE
        assert traces(home) == []
        shutil.rmtree(home)
    assert seen == {True, False}


def test_a_home_that_is_only_read_answers_without_the_facts_of_a_cut_off_request(
    made: Path, disk: Disk
):
    """While the disk stays full, a home that is opened for reading counts none of the facts,
    `inspect` lists the request, and `verify` says that it is not complete."""
    home = Path(shutil.copytree(made, disk.folder / "home"))
    disk.fill(60 * PAGE)
    assert run("forget", "--subject", "Zaphod", "--yes", "--home", home).exit_code == 1
    assert "facts excluded; to come: erasing them" in run("inspect", "--home", home).stdout
    checked = run("verify", "--home", home)
    assert checked.exit_code == 1
    assert "their facts no longer count" in checked.stdout
    with Home(home, writable=False) as opened:
        counted = sum(opened.runtime.knowledge.own.counts.values())
    assert counted == FACTS - GONE


def test_a_disk_for_reading_only_refuses_and_keeps_everything(disk: Disk):
    """On a disk that is mounted for reading the error names the file and the reason; mounted for
    writing again, the same command succeeds."""
    home = learned_home(disk.folder / "home")
    disk.remount("ro")
    try:
        refused = run("forget", "--home", home, "--label", "a", "--yes")
        assert refused.exit_code == 1
        assert f"{home / 'knowledge.db'}: Read-only file system" in refused.stderr
        assert "writable" in refused.stderr
    finally:
        disk.remount("rw")
    assert facts(home) == 24
    assert run_json("forget", "--home", home, "--label", "a", "--yes")["facts_forgotten"] == 12


def test_a_home_without_the_right_to_write_refuses_and_keeps_everything(tmp_path: Path):
    """A person who may read the home but not write it is refused with the reason, loses nothing,
    and succeeds once they may."""
    powerless: list[str] = []
    if os.getuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everything, and there is no program `setpriv`")
        powerless = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    home = learned_home(tmp_path / "home")
    words = [*powerless, *command("forget", "--home", home, "--label", "a", "--yes")]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])}
    modes = {one: stat.S_IMODE(one.stat().st_mode) for one in (*home.iterdir(), home)}
    for one in modes:
        one.chmod(0o555 if one.is_dir() else 0o444)
    found = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    for one, mode in modes.items():
        one.chmod(mode)
    assert found.returncode == 1, found.stderr
    assert "Permission denied" in found.stderr
    assert "writable" in found.stderr
    assert facts(home) == 24
    found = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
    assert found.returncode == 0, found.stderr
    assert facts(home) == 12
