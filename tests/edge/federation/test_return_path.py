"""A training's result as a bundle on trial, and a member that leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

pytest.importorskip("torch")

from edge.bundles.exchange import import_bundle
from edge.core.errors import EdgeError
from edge.core.events import Enrol
from edge.federation import InProcessFleet, TrainedFleet, open_home_device, train_fleet
from edge.federation.return_path import export_trained, leave_fleet
from edge.federation.trained_file import LeaveReceipt, read_trained, write_trained
from edge.home.home import Home
from edge.signing.keys import load_key, make_key
from edge.storage.publications import BundleVersion
from tests.federations import DOMAIN, ORDER, SUBJECT, forget, teach_homes
from tests.homes import new_home
from tests.worlds import clouds, fact

NOW = 2_000_000_000 * 10**9


def train_here(paths, order) -> TrainedFleet:
    """Train in this process instead of Flower's engine: the bits are the same."""
    return train_fleet(InProcessFleet([open_home_device(path, SUBJECT) for path in paths]), order)


class TrainedHomes:
    """Three homes with a training over them, a receiver, and a publisher's key."""

    def __init__(self, folder: Path) -> None:
        self.paths = teach_homes(folder)
        self.named = dict(zip(("north", "south", "west"), self.paths, strict=True))
        self.folder, self.out = folder, folder / "out"
        write_trained(self.out, train_here(self.paths, ORDER), self.named)
        public = make_key(folder / "maker.key")
        self.key = load_key(folder / "maker.key")
        self.user = new_home(folder / "user")
        settings = self.user / "auricle.toml"
        text = settings.read_text("utf-8")
        text += f'\n[device]\nname = "user"\n[bundles.keys]\nmaker = "{public}"\n'
        settings.write_text(text, "utf-8")
        (self.user / "bundles").mkdir()
        rows = clouds((1, 2), 6)
        facts = (
            replace(fact(f"u{n}", "ab"[n // 6], DOMAIN, n), features=row.tobytes())
            for n, row in enumerate(rows)
        )
        with Home(self.user) as home:
            home.feed(Enrol(tuple(facts)))

    def export(self, counter: int = 1, folder: Path | None = None) -> str:
        """Export the training into the receiver's folder; return the file's name."""
        version = BundleVersion("maker", counter)
        made = export_trained(folder or self.out, self.paths[0], self.key, version, NOW)
        (self.user / "bundles" / f"fleet-{counter}").write_bytes(made.body)
        return f"fleet-{counter}"

    def leave(self, member: str, out: Path) -> LeaveReceipt:
        """Train again without a member."""
        return leave_fleet(self.out, member, out, NOW, train_here)


@pytest.fixture
def trained(tmp_path: Path) -> TrainedHomes:
    """A small fleet."""
    return TrainedHomes(tmp_path)


def test_the_result_serves_on_trial_and_is_confirmed(trained: TrainedHomes):
    """The adaptor of the bundle is the one that was trained; the receiver's own facts solve its
    head; forgetting on a member names the bundle."""
    name = trained.export()
    manifest, arrays = read_trained(trained.out)
    with Home(trained.user) as home:
        assert import_bundle(home, name, NOW).state == "on trial"
        (record,) = home.store.adaptors()[DOMAIN]
        assert record.blueprint == SUBJECT.blueprint
        assert record.facts == ()
        assert np.array_equal(record.arrays["U0"], arrays["U0"])
        assert np.array_equal(record.arrays["centre"], arrays["standard/centre"])
        assert "top" not in record.arrays
        assert home.confirm_trial().state == "confirmed"
        rows = clouds((1, 2), 6)
        answers = [home.runtime.knowledge.answer(DOMAIN, row) for row in rows]
        assert answers == ["a"] * 6 + ["b"] * 6
    assert manifest.digest == read_trained(trained.out)[0].digest
    with Home(trained.paths[1]) as home:
        (order,) = forget(home, "south-3").devices
        assert order.device == "any other device that imported bundle 1 of maker"


def test_a_member_that_left_was_never_there(trained: TrainedHomes):
    """Training again without it gives the bits of a fleet that never had it; the receipt names the
    bundle that still holds its influence."""
    trained.export(7)
    fresh = trained.folder / "fresh"
    receipt = trained.leave("west", fresh)
    never = train_here(trained.paths[:2], ORDER)
    manifest, _ = read_trained(fresh)
    assert manifest.digest == receipt.digest_after == never.digest
    assert receipt.digest_before == read_trained(trained.out)[0].digest != never.digest
    assert (receipt.facts, receipt.bundles) == (24, (BundleVersion("maker", 7),))
    assert set(manifest.members) == {"north", "south"}
    assert (fresh / "receipt.json").is_file()
    with Home(trained.user) as home:
        import_bundle(home, "fleet-7", NOW)
        home.confirm_trial()
    name = trained.export(8, fresh)
    with Home(trained.user) as home:
        home.remove_bundle("maker", 7)
        assert DOMAIN not in home.store.adaptors()
        assert import_bundle(home, name, NOW).state == "on trial"
        (record,) = home.store.adaptors()[DOMAIN]
        assert np.array_equal(record.arrays["U0"], never.model["U0"])


def _never(_paths: object, _order: object) -> TrainedFleet:
    raise AssertionError("a folder that exists is found before the training, which takes minutes")


def test_wrong_members_and_folders_are_refused(trained: TrainedHomes):
    """An unknown member, the last member, a folder that exists, damaged arrays."""
    with pytest.raises(EdgeError, match="expected one of north, south, west"):
        trained.leave("east", trained.folder / "x")
    with pytest.raises(EdgeError, match="exists"):
        trained.leave("west", trained.out)
    with pytest.raises(EdgeError, match="exists"):
        leave_fleet(trained.out, "west", trained.out, NOW, _never)
    alone = trained.folder / "alone"
    write_trained(alone, train_here(trained.paths[:1], ORDER), {"north": trained.paths[0]})
    with pytest.raises(EdgeError, match="no other member"):
        leave_fleet(alone, "north", trained.folder / "y", NOW, train_here)
    raw = bytearray((alone / "model.safetensors").read_bytes())
    raw[-1] ^= 1
    (alone / "model.safetensors").write_bytes(bytes(raw))
    with pytest.raises(EdgeError, match="not those of its manifest"):
        read_trained(alone)
    with pytest.raises(EdgeError, match=r"auricle fleet train"):
        read_trained(trained.folder)
