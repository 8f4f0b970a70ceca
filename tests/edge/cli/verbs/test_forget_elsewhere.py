"""Forgetting facts that came from another device: by a bundle's sums, and by a merge."""

from __future__ import annotations

from pathlib import Path

from edge.core.events import Enrol
from edge.home.home import Home
from tests.homes import learned_home, new_home, run, run_json
from tests.worlds import fact


def named_home(folder: Path, subject: str) -> Path:
    """A home with 32 facts of a subject, named like its folder as a device."""
    new_home(folder)
    with Home(folder) as home:
        rows = (
            fact(f"{folder.name}-{n}", "ab"[n % 2], at=n + 1, seed=n, subject=subject)
            for n in range(32)
        )
        home.feed(Enrol(tuple(rows)))
    with (folder / "auricle.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[device]\nname = "{folder.name}"\n')
    return folder


def counted(home: Path) -> int:
    """The number of facts in a home."""
    return sum(int(one["facts"]) for one in run_json("inspect", "--home", home)["concepts"])


def test_facts_inside_the_sums_of_another_device_are_forgotten_there(tmp_path: Path) -> None:
    """A subject that only a bundle's sums know: the answer names the device to ask.  A selection
    that matches own facts, too: they are forgotten here, and the receipt names the device."""
    maker, user = named_home(tmp_path / "maker", "Zaphod"), learned_home(tmp_path / "user")
    public = run("keygen", tmp_path / "fab.key").stdout.split('"')[1]
    with (user / "auricle.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[bundles.keys]\nfab = "{public}"\n')
    words = ("--counter", 1, "--key", tmp_path / "fab.key", "--home", maker)
    assert run("bundle", "export", tmp_path / "b1", *words).exit_code == 0
    assert run_json("bundle", "import", tmp_path / "b1", "--home", user)["state"] == "on trial"
    assert run_json("bundle", "confirm", "--home", user)["state"] == "confirmed"
    refused = run("forget", "--subject", "Zaphod", "--home", user, "--yes")
    assert refused.exit_code == 1
    assert "no fact matches subject Zaphod" in refused.stderr
    assert "only these devices can forget what is in them: maker" in refused.stderr
    assert counted(user) == 24
    receipt = run_json("forget", "--label", "a", "--home", user, "--yes")
    assert receipt["facts_forgotten"] == 12
    (line,) = [one for one in receipt["not_covered"] if "sums of other devices" in one]
    assert line.endswith("maker; send the request to each of them")
    assert run_json("forget", "--subject", "Zaphod", "--home", maker, "--yes")["facts_forgotten"]


def test_merged_facts_are_forgotten_here_and_stay_with_their_home(tmp_path: Path) -> None:
    """Facts of a merged ledger are forgotten like own ones, the receipt says that the other home
    keeps them, and merging it again does not bring them back."""
    other, here = named_home(tmp_path / "other", "Zaphod"), learned_home(tmp_path / "here")
    assert not [one for one in forget_one(here)["not_covered"] if "merged" in one]
    assert run("merge", other / "knowledge.db", "--home", here).exit_code == 0
    assert counted(here) == 55
    receipt = run_json("forget", "--subject", "Zaphod", "--home", here, "--yes")
    assert receipt["facts_forgotten"] == 32
    assert [one for one in receipt["not_covered"] if "merged into this one" in one]
    assert counted(other) == 32
    assert run("merge", other / "knowledge.db", "--home", here).exit_code == 0
    assert counted(here) == 23


def forget_one(home: Path) -> dict[str, list[str]]:
    """Forget one fact of a home; the receipt."""
    with Home(home, writable=False) as opened:
        key = opened.store.sample(1).ids[0]
    return dict(run_json("forget", "--id", key, "--home", home, "--yes"))
