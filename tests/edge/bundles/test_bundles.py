"""Bundles: signed, for one card, never backwards; tried, then kept or taken back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.bundles.bundle_file import HEAD, BundleHead, read_bundle
from edge.bundles.exchange import export_bundle, import_bundle, record_bundle
from edge.config.fleet import BundleSettings
from edge.core.adaptors.head import transform_shapes
from edge.core.adaptors.record import AdaptorRecord
from edge.core.errors import EdgeError, StateError
from edge.core.events import Enrol, FitGeometry, ForgetRequest, Label, Observation, StoreAdaptor
from edge.core.facts import Selector
from edge.core.receipt import Receipt
from edge.daemon.homeassistant import OWN_KNOWLEDGE, installed_bundle
from edge.home.actions import verify_home
from edge.home.bundle_trial import TrialHealth
from edge.home.home import Home
from edge.mqtt.homeassistant.device import InstalledBundle
from edge.mqtt.messages import BundleTrialReport
from edge.signing.keys import load_key, make_key
from edge.signing.signed_file import sign_file
from edge.storage.bundle_trials import BundleTrial, BundleTrials
from edge.storage.publications import BundleVersion
from nas import Blueprint
from tests.aggregates import as_sum
from tests.homes import new_home
from tests.worlds import WIDTH, clouds, fact

NOW = 2_000_000_000 * 10**9
SHARED = tuple(sorted(f"s{n}" for n in range(16)))


class Pair:
    """A home that publishes, and one that trusts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key_file = folder / "maker.key"
        public = make_key(self.key_file)
        self.key = load_key(self.key_file)
        for name in ("maker", "user"):
            path = new_home(folder / name) / "auricle.toml"
            more = f'[device]\nname = "{name}"\n[bundles]\nobservations_min = 4\n'
            more += f'[bundles.keys]\nmaker = "{public}"\n' if name == "user" else ""
            path.write_text(path.read_text("utf-8") + "\n" + more, "utf-8")
        (folder / "user/bundles").mkdir()
        self.maker, self.user = Home(folder / "maker"), Home(folder / "user")

    def teach(self) -> None:
        """Let the maker know a hall, the user a home, and grow an adaptor for a shared domain."""
        rows = clouds((1, 2), 40)
        facts = [
            replace(fact(f"m{n}", "ab"[n // 40], "hall", n), features=row.tobytes())
            for n, row in enumerate(rows)
        ]
        shared = tuple(fact(f"s{n}", "cd"[n % 2], "shared", n, seed=n) for n in range(16))
        self.maker.feed(Enrol((*facts, *shared)))
        self.maker.feed(FitGeometry())
        self.grow(Blueprint(kind="linear", taps=(0,), width=4))
        own = tuple(fact(f"u{n}", "cd"[n % 2], "shared", n) for n in range(8))
        self.user.feed(Enrol(own))

    def grow(self, blueprint: Blueprint, facts: tuple[str, ...] = SHARED) -> None:
        """Let an adaptor that these facts shaped serve the maker's shared domain."""
        known = transform_shapes(blueprint, ((0, WIDTH),)) if blueprint.taps == (0,) else {}
        arrays = {name: np.full(shape, 0.5, np.float32) for name, shape in known.items()}
        made = AdaptorRecord(
            domain="shared",
            version=1,
            blueprint=blueprint,
            arrays=arrays,
            facts=facts,
            own=16,
            seed=1,
            accuracy=0.9,
            incumbent=0.8,
        )
        self.maker.store.apply(StoreAdaptor(made))

    def write(self, name: str = "one", counter: int = 1) -> bytes:
        """Export a bundle into the user's folder."""
        made = export_bundle(self.maker, self.key, "maker", counter, NOW)
        record_bundle(self.maker, made.record)
        raw = made.body
        (self.folder / "user/bundles" / name).write_bytes(raw)
        return raw

    def crash(self) -> None:
        """Close the user's home as it is, and open it again."""
        self.user.close()
        self.user = Home(self.folder / "user")

    def state(self) -> tuple[object, ...]:
        """All that a trial may change."""
        store = self.user.store
        versions = {name: [one.version for one in rows] for name, rows in store.adaptors().items()}
        held = {name: one.revision for name, one in store.contributions().items()}
        return self.user.runtime.digest(), versions, held, store.trials.current() is None


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Two homes with one card and some facts."""
    made = Pair(tmp_path)
    made.teach()
    yield made
    made.maker.close()
    made.user.close()


def test_a_bundle_brings_geometry_sums_and_adaptors(pair: Pair):
    """An imported bundle is on trial; the user predicts the maker's domain, also after a
    restart."""
    pair.write()
    report = import_bundle(pair.user, "one", NOW)
    assert report == BundleTrialReport(bundle="one", state="on trial", reason="")
    known = pair.user.runtime.knowledge
    assert known.geometry.fingerprint == pair.maker.runtime.knowledge.geometry.fingerprint
    assert known.domains == ("hall", "shared")
    assert known.answer("hall", clouds((1,), 1)[0]) == "a"
    assert [one.version for one in pair.user.store.adaptors()["shared"]] == [1]
    before = pair.state()
    pair.crash()
    assert pair.state() == before
    assert pair.user.confirm_trial().state == "confirmed"
    pair.crash()
    assert pair.state()[:3] == before[:3]
    assert pair.user.trial is None


def test_sums_that_a_fleet_holds_already_are_not_added(pair: Pair):
    """The aggregate's sum has the maker's facts in it: the bundle brings all but its sums, and its
    report says why."""
    pair.write()
    import_bundle(pair.user, "one", NOW)
    pair.user.confirm_trial()
    name = pair.maker.settings.device.known_as
    own = pair.maker.runtime.contribute(name, 1).contribution
    (held,) = pair.user.store.contributions().values()
    pair.user.feed(replace(held.without_sums, revision=held.revision + 1))
    pair.user.feed(as_sum(own, [name, "y"], "root"))
    assert pair.user.runtime.knowledge.contributing == ("root",)
    pair.write("two", 2)
    report = import_bundle(pair.user, "two", NOW)
    assert report.state == "on trial"
    assert "its sums are not used: it holds a device that is in the sums of root" in report.reason
    assert pair.user.runtime.knowledge.contributing == ("root",)
    assert pair.user.confirm_trial().state == "confirmed"


def test_reverting_restores_the_previous_state(pair: Pair):
    """Geometry, contributions and adaptors are bit-identical, also if an earlier contribution was
    replaced."""
    before = pair.state()
    pair.write()
    import_bundle(pair.user, "one", NOW)
    assert pair.state() != before
    assert pair.user.end_trial("why not").reason == "why not"
    assert pair.state() == before
    pair.write("two", 2)
    import_bundle(pair.user, "two", NOW)
    pair.user.confirm_trial()
    held = pair.state()
    pair.maker.feed(Enrol(tuple(fact(f"n{n}", "b", "hall", 900 + n) for n in range(8))))
    pair.write("three", 3)
    import_bundle(pair.user, "three", NOW)
    assert pair.state()[0] != held[0]
    pair.user.end_trial("no")
    assert pair.state() == held


def test_the_version_that_was_kept_last_is_known(pair: Pair):
    """Home Assistant shows it next to the one on trial; a reverted bundle does not become it, and
    it survives a restart."""
    assert installed_bundle(pair.user) == InstalledBundle(
        installed=OWN_KNOWLEDGE, latest=OWN_KNOWLEDGE
    )
    pair.write()
    import_bundle(pair.user, "one", NOW)
    shown = installed_bundle(pair.user)
    assert shown is not None
    assert (shown.installed, shown.latest, shown.title) == (OWN_KNOWLEDGE, "maker 1", "one")
    assert "0 decisions" in shown.summary
    pair.user.confirm_trial()
    pair.write("two", 2)
    import_bundle(pair.user, "two", NOW)
    pair.user.end_trial("no")
    pair.crash()
    assert installed_bundle(pair.user) == InstalledBundle(installed="maker 1", latest="maker 1")
    assert installed_bundle(pair.maker) is None


def test_verify_accepts_the_changes_of_a_bundle(pair: Pair):
    """`auricle verify` compares only stamps of the same geometry and contributions, before, during
    and after a trial."""
    pair.user.stamp()
    pair.write()
    import_bundle(pair.user, "one", NOW)
    assert verify_home(pair.user).complaints == ()
    pair.user.end_trial("for the test")
    assert verify_home(pair.user).complaints == ()
    assert verify_home(pair.user).stamped["knowledge"] == verify_home(pair.user).knowledge_digest


@pytest.mark.parametrize("step", ["begin", "confirm", "revert"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_power_cut_leaves_the_state_before_or_after_a_step(
    pair: Pair, monkeypatch, step: str, moment: str
):
    """The file holds the state before or after the step, and the trial continues or can start."""
    before = pair.state()
    pair.write()
    if step != "begin":
        import_bundle(pair.user, "one", NOW)
    trying = pair.state()
    act: dict[str, Callable[[], object]] = {
        "begin": lambda: import_bundle(pair.user, "one", NOW),
        "confirm": pair.user.confirm_trial,
        "revert": lambda: pair.user.end_trial("cut"),
    }
    usual = getattr(BundleTrials, step)

    def cut(self: BundleTrials, *given: object) -> None:
        if moment == "after":
            usual(self, *given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(BundleTrials, step, cut)
        with pytest.raises(KeyboardInterrupt):
            act[step]()
    pair.crash()
    found = pair.state()
    if moment == "before":
        assert found == (before if step == "begin" else trying)
    elif step == "begin":
        assert not found[3]
        pair.user.end_trial("enough")
        assert pair.state() == before
    else:
        assert found == ((*trying[:3], True) if step == "confirm" else before)


def test_a_full_disk_changes_nothing(pair: Pair, monkeypatch):
    """A step that fails halfway is rolled back as a whole."""
    before = pair.state()
    pair.write()

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("edge.storage.tables.insert_adaptor", full)
    with pytest.raises(StateError, match="full"):
        import_bundle(pair.user, "one", NOW)
    assert pair.state() == before


@pytest.mark.parametrize(
    "blueprint", [Blueprint(kind="linear", taps=(0, 5)), Blueprint(kind="linear", taps=(0,))]
)
def test_an_adaptor_that_cannot_be_used_is_refused_with_its_bundle(pair: Pair, blueprint):
    """An adaptor with unknown taps or without a width refuses the bundle."""
    before = pair.state()
    pair.grow(blueprint)
    pair.write()
    assert "importing one: the adaptor of shared: " in refusal(pair, "one")
    assert pair.state() == before


def test_an_invalid_bundle_is_refused(pair: Pair):
    """An old, repeated, forged, changed, foreign or misplaced bundle is refused, and any during a
    trial."""
    before = pair.state()
    raw = pair.write("one", 5)
    import_bundle(pair.user, "one", NOW)
    assert "is on trial" in refusal(pair, "one")
    pair.user.end_trial("")
    assert "its counter 5 is not above 5" in refusal(pair, "one")
    pair.write("old", 4)
    assert "its counter 4 is not above 5" in refusal(pair, "old")
    pair.crash()
    assert "its counter 4 is not above 5" in refusal(pair, "old")
    place = pair.folder / "user/bundles"
    stranger = export_bundle(pair.maker, Ed25519PrivateKey.generate(), "maker", 9, NOW).body
    for name, body, why in (
        ("forged", stranger, "its signature is not that of maker"),
        ("changed", raw[:-1] + bytes([raw[-1] ^ 1]), "its body does not match"),
        ("renamed", raw.replace(b'"maker"', b'"taker"', 1), "no key of 'taker'"),
        ("empty", b"", "does not begin"),
    ):
        (place / name).write_bytes(body)
        assert why in refusal(pair, name)
    head = BundleHead(
        publisher="maker",
        counter=9,
        made_at_ns=0,
        card="f" * 64,
        geometry="g",
        seed=1,
        device="maker",
        revision=1,
        samples=0,
    )
    (place / "bare").write_bytes(sign_file(HEAD, head, b"", pair.key))
    assert "reading the bundle" in refusal(pair, "bare")
    assert "bare file name" in refusal(pair, "../auricle.toml")
    assert "No such file" in refusal(pair, "nothing")
    assert pair.state() == before


def refusal(pair: Pair, name: str) -> str:
    """The reason for a refused bundle."""
    with pytest.raises(EdgeError) as caught:
        import_bundle(pair.user, name, NOW)
    return caught.value.message


def test_without_a_trusted_publisher_no_bundle_is_imported(pair: Pair):
    """Bundles must always be signed."""
    with pytest.raises(EdgeError, match="no publisher is trusted"):
        read_bundle(pair.write(), {})


def observe(home: Home, number: int, row: np.ndarray) -> None:
    """Feed one observation."""
    home.feed(
        Observation(
            stream="s", sequence=number, captured_at_ns=number, payload=row, id=f"o{number}"
        )
    )


def test_novel_decisions_revert_a_bundle(pair: Pair):
    """More novel decisions than allowed, among enough of them, revert the bundle."""
    before = pair.state()
    pair.write()
    import_bundle(pair.user, "one", NOW)
    strange = clouds((7, 8, 9), 2, spread=100)
    for number, row in enumerate(strange[:3]):
        observe(pair.user, number, row)
    assert pair.user.check_trial() == ()
    observe(pair.user, 3, strange[3])
    (report,) = pair.user.check_trial()
    assert (report.state, report.decided) == ("reverted", 4)
    assert "were novel or abstained" in report.reason
    assert pair.state() == before


def test_labels_that_disagree_revert_a_bundle(pair: Pair):
    """Labels that agree do not revert the bundle."""
    trial = BundleTrial(bundle="b", publisher="maker", counter=1, started_at_ns=NOW)
    for name, reason in (("right", ""), ("wrong", "0 of 4 labels agreed")):
        health = TrialHealth(trial, BundleSettings(observations_min=4, unknown_share_max=1.0), 0.0)
        for number in range(4):
            seen = Observation(
                stream="s",
                sequence=number,
                captured_at_ns=1,
                payload=clouds((1,), 1)[0],
                id=f"{name}{number}",
            )
            published = pair.user.feed(seen)
            health.count(seen, published)
            guess = published[0].guess  # type: ignore[union-attr]
            event = Label(f"{name}{number}", guess if name == "right" else "z", "shared")
            health.count(event, pair.user.feed(event))
        assert health.problem(NOW, 0.0) == reason


def test_an_unconfirmed_trial_ends(pair: Pair):
    """The trial ends by the wall clock or, if it is not set, by the time since the start."""
    health = TrialHealth(
        BundleTrial(bundle="b", publisher="maker", counter=1, started_at_ns=NOW),
        BundleSettings(trial_s=60.0),
        100.0,
    )
    assert health.problem(NOW + 59 * 10**9, 159.0) == ""
    assert "not confirmed within 60 s" in health.problem(NOW + 60 * 10**9, 100.0)
    assert "not confirmed within 60 s" in health.problem(0, 160.0)


def test_a_revert_does_not_restore_forgotten_facts(pair: Pair):
    """A fit of the geometry during the trial stays: the previous geometry was derived from the
    forgotten facts too."""
    pair.user.feed(FitGeometry())
    pair.write()
    import_bundle(pair.user, "one", NOW)
    pair.user.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"u1"}))))
    surveyed = pair.user.runtime.knowledge.geometry.fingerprint
    pair.user.end_trial("no")
    assert pair.user.runtime.knowledge.geometry.fingerprint == surveyed
    assert pair.user.store.contributions() == {}


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_bytes_raise_anything_else(data: st.DataObject):
    """Flipped, truncated and random bytes raise EdgeError only."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    head = BundleHead(
        publisher="m",
        counter=1,
        made_at_ns=0,
        card="c",
        geometry="g",
        seed=1,
        device="d",
        revision=1,
        samples=0,
    )
    raw = bytearray(sign_file(HEAD, head, data.draw(st.binary(max_size=64)), key))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
        raw = raw or bytearray(b"x")
    with pytest.raises(EdgeError):
        read_bundle(bytes(raw), {"m": key.public_key()})


def test_a_bundle_of_other_columns_is_refused(pair: Pair):
    """Columns in another order are refused with both lists; names on one side only give a
    warning."""
    names = [f"x{number}" for number in range(WIDTH)]
    card = pair.maker.model.card
    pair.maker.store.name_columns(names, card)
    pair.user.store.name_columns(names[::-1], card)
    pair.write()
    assert "its columns are in another order" in refusal(pair, "one")
    assert pair.user.trial is None
    pair.user.store.name_columns(names, card)
    assert import_bundle(pair.user, "one", NOW).reason == ""
    pair.user.end_trial("next")
    with pair.maker.store._transaction("dropping names") as db:  # noqa: SLF001 - an earlier version
        db.execute("DELETE FROM meta WHERE name = 'columns'")
    pair.maker.store._columns = None  # noqa: SLF001
    pair.write("two", 2)
    assert "no column names" in import_bundle(pair.user, "two", NOW).reason


def forget(pair: Pair, name: str, chosen: str) -> Receipt:
    """Let the maker forget a fact."""
    request = ForgetRequest(
        request_id=name, selector=Selector(ids=frozenset({chosen})), refit_geometry=False
    )
    return next(one for one in pair.maker.feed(request) if isinstance(one, Receipt))


def test_the_receipt_names_a_bundle_that_the_fact_has_shaped(pair: Pair):
    """A fact of an exported adaptor, of the geometry or of the sums names the bundle, with an order
    for whoever imported it; a fact learned later names none, and a bundle is recalled once."""
    pair.write("one", 1)
    pair.maker.feed(Enrol((fact("late", "a", "hall", 990, seed=990),)))
    assert forget(pair, "r0", "late").devices == ()
    (order,) = forget(pair, "r1", "s3").devices
    assert order.device == "any other device that imported bundle 1 of maker"
    assert (order.holds, order.sent) == ("bundle", False)
    assert forget(pair, "r2", "s4").devices == ()
    recalled = pair.maker.store.publications.recalled()
    assert recalled == [(order.order_id, BundleVersion("maker", 1))]


def test_a_removed_bundle_leaves_nothing_but_the_geometry(pair: Pair):
    """Removing a bundle that was kept takes its adaptors, sums and file; during the trial it
    reverts; a bundle that is not there is refused with a hint."""
    pair.write()
    import_bundle(pair.user, "one", NOW)
    pair.user.confirm_trial()
    pair.crash()
    assert pair.user.store.adaptors()["shared"]
    assert pair.user.remove_bundle("maker", 1).state == "removed"
    pair.crash()
    _, versions, held, _ = pair.state()
    assert (versions, held) == ({}, {})
    assert pair.user.runtime.knowledge.domains == ("shared",)
    assert not (pair.folder / "user/bundles/one").exists()
    before = pair.state()
    pair.write("two", 2)
    import_bundle(pair.user, "two", NOW)
    pair.user.remove_bundle("maker", 2)
    assert pair.state() == before
    with pytest.raises(StateError, match="it is not imported here"):
        pair.user.remove_bundle("maker", 2)


def test_bundles_give_no_fact_away(pair: Pair):
    """An adaptor or a geometry that differs from an exported one by fewer than eight new facts does
    not leave the device; the same one may again, and so may one with eight new facts."""
    pair.write("one", 1)
    assert exported(pair, 2) == ("shared",)
    shaped = tuple(sorted(f"s{n}" for n in range(15)))
    pair.grow(Blueprint(kind="linear", taps=(0,), width=4), facts=shaped)
    assert exported(pair, 3) == ()
    pair.maker.feed(
        Enrol(tuple(fact(f"t{n}", "c", "shared", 50 + n, seed=50 + n) for n in range(8)))
    )
    more = (*shaped, *(f"t{n}" for n in range(8)))
    pair.grow(Blueprint(kind="linear", taps=(0,), width=4), facts=more)
    assert exported(pair, 4) == ("shared",)
    pair.maker.feed(FitGeometry())
    assert exported(pair, 5) == ("shared",)
    forget(pair, "r", "m3")
    pair.maker.feed(FitGeometry())
    with pytest.raises(EdgeError, match="its geometry would differ") as caught:
        exported(pair, 6)
    assert "auricle fit-geometry" in caught.value.hint


def exported(pair: Pair, counter: int) -> tuple[str, ...]:
    """The domains whose adaptor is in the next bundle."""
    made = export_bundle(pair.maker, pair.key, "maker", counter, NOW)
    record_bundle(pair.maker, made.record)
    return made.adaptors


def test_a_bundle_made_before_a_forget_does_not_leave_the_device(pair: Pair):
    """If facts are forgotten or something else leaves while a bundle is made, it is refused."""
    made = export_bundle(pair.maker, pair.key, "maker", 1, NOW)
    forget(pair, "r", "m3")
    with pytest.raises(StateError, match="facts were forgotten"):
        record_bundle(pair.maker, made.record)
    pair.maker.feed(FitGeometry())
    made = export_bundle(pair.maker, pair.key, "maker", 2, NOW)
    record_bundle(pair.maker, made.record)
    with pytest.raises(StateError, match="sums were published"):
        record_bundle(pair.maker, made.record)
