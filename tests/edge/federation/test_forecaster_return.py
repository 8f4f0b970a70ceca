"""A forecaster that a fleet trained: as a signed bundle on trial, and a member that leaves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch")

from edge.bundles.bundle_file import HEAD, BundleHead
from edge.bundles.exchange import import_bundle
from edge.core.errors import EdgeError
from edge.core.events import Enrol, FitGeometry, Observation, SeriesForecast
from edge.federation import InProcessFleet, TrainedFleet, TrainingSubject, train_fleet
from edge.federation.devices import open_recording_device
from edge.federation.return_path import export_trained, leave_fleet
from edge.federation.trained_file import write_trained
from edge.home.home import Home
from edge.signing.keys import load_key, make_key
from edge.signing.signed_file import sign_file
from edge.storage.network_weights import shipped_weights
from edge.storage.publications import BundleVersion
from edge.storage.serialization import pack_arrays
from tests.federations import ORDER
from tests.homes import distinct_facts, new_home

NOW = 2_000_000_000 * 10**9
NETWORKS = msgspec.structs.replace(ORDER, subject=TrainingSubject(forecaster="cfc"), rounds=2)


def train_here(paths, order) -> TrainedFleet:
    """Train in this process instead of Flower's engine: the bits are the same."""
    return train_fleet(InProcessFleet([open_recording_device(path) for path in paths]), order)


class Recordings:
    """Three recordings with a training over them, a publisher, and a home that trusts it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        times = np.arange(120)
        self.paths = {}
        for number, name in enumerate(("press", "pump", "fan")):
            path = folder / f"{name}.csv"
            values = np.sin(times / (5.0 + number)) * 10
            rows = (f"{n * 300},{value:.3f}" for n, value in zip(times, values, strict=True))
            path.write_text("time,a\n" + "\n".join(rows))
            self.paths[name] = path
        self.trained = train_here(list(self.paths.values()), NETWORKS)
        write_trained(self.out, self.trained, self.paths)
        self.public = make_key(folder / "maker.key")
        self.key = load_key(folder / "maker.key")
        self.maker = new_home(folder / "maker")
        self.home = self.user("user")

    def user(self, name: str) -> Path:
        """A home that trusts the publisher, with facts under its own geometry."""
        made = new_home(self.folder / name)
        settings = made / "auricle.toml"
        text = f'\n[device]\nname = "{name}"\n[bundles.keys]\nmaker = "{self.public}"\n'
        settings.write_text(settings.read_text("utf-8") + text, "utf-8")
        (made / "bundles").mkdir()
        with Home(made) as home:
            home.feed(Enrol(tuple(distinct_facts(20))))
            home.feed(FitGeometry())
        return made

    def export(self, counter: int, folder: Path | None = None) -> str:
        """Export the training into the user's folder; return the file's name."""
        version = BundleVersion("maker", counter)
        made = export_trained(folder or self.out, self.maker, self.key, version, NOW)
        (self.home / "bundles" / f"net-{counter}").write_bytes(made.body)
        return f"net-{counter}"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    """One training for all tests; each takes a home of its own."""
    return Recordings(tmp_path_factory.mktemp("recordings"))


@pytest.fixture
def user(fleet: Recordings, request: pytest.FixtureRequest) -> Path:
    """A home of this test's own."""
    fleet.home = fleet.user(request.node.name)
    return fleet.home


def serving(home: Home) -> Mapping[str, Any]:
    """The network that the home's series use."""
    return dict(home.runtime.series._weights or {})  # noqa: SLF001 - what serves shows nowhere else


def same(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    """Bit for bit."""
    return left.keys() == right.keys() and all(np.array_equal(left[n], right[n]) for n in left)


def sample(number: int) -> Observation:
    """A sample of a series."""
    return Observation(
        id=f"s{number}",
        stream="flow",
        kind="series",
        sequence=number,
        payload=[float(np.sin(number / 5))],
        captured_at_ns=NOW + number * 300 * 10**9,
    )


def forecasts(home: Home, numbers: range) -> list[SeriesForecast]:
    """The forecasts for some samples."""
    found = [one for n in numbers for one in home.feed(sample(n))]
    return [one for one in found if isinstance(one, SeriesForecast)]


def test_the_network_serves_on_trial_and_goes_with_it(fleet: Recordings, user: Path):
    """Signed, on trial, over a restart; a revert brings the one before back, facts and geometry
    stay, and the series start again with each."""
    name = fleet.export(1)
    with Home(user) as home:
        before, digest = serving(home), home.runtime.digest()
        assert same(before, shipped_weights())
        assert forecasts(home, range(30))
        assert import_bundle(home, name, NOW).state == "on trial"
        assert same(serving(home), fleet.trained.model)
        assert home.runtime.digest() == digest
        assert home.runtime.series.samples == 0
        assert forecasts(home, range(30, 40))
    with Home(user) as home:
        assert home.trial is not None
        assert same(serving(home), fleet.trained.model)
        assert home.end_trial("test").state == "reverted"
        assert same(serving(home), before)
    with Home(user) as home:
        assert same(serving(home), before)
        assert home.store.trials.imported() == []
        with pytest.raises(EdgeError, match="its counter 1 is not above 1"):
            import_bundle(home, name, NOW)


def test_a_confirmed_network_is_removed_by_its_name(fleet: Recordings, user: Path):
    """A second one replaces it, and its revert brings the first back; removing it ends with the
    shipped one.  The file of the home keeps no trace of it."""
    with Home(user) as home:
        import_bundle(home, fleet.export(1), NOW)
        assert home.confirm_trial().state == "confirmed"
        other = fleet.folder / "other"
        if not other.exists():
            order = msgspec.structs.replace(NETWORKS, rounds=1)
            write_trained(other, train_here(list(fleet.paths.values()), order), fleet.paths)
        import_bundle(home, fleet.export(2, other), NOW)
        assert not same(serving(home), fleet.trained.model)
        home.remove_bundle("maker", 1)
        home.end_trial("test")
        assert same(serving(home), shipped_weights())
        import_bundle(home, fleet.export(3), NOW)
        home.confirm_trial()
        assert home.remove_bundle("maker", 3).state == "removed"
        assert same(serving(home), shipped_weights())
        path = home.store.path
    body = fleet.trained.model["ff1.weight"].tobytes()
    assert body not in path.read_bytes()


def test_a_member_that_left_was_never_there(fleet: Recordings):
    """The receipt names the bundle with its influence, and the new network is that of a fleet that
    never had the member."""
    fleet.export(7)
    receipt = leave_fleet(fleet.out, "pump", fleet.folder / "fresh", NOW, train_here)
    never = train_here([fleet.paths["press"], fleet.paths["fan"]], NETWORKS)
    assert receipt.digest_after == never.digest != receipt.digest_before
    assert BundleVersion("maker", 7) in receipt.bundles


def refusal(fleet: Recordings, home: Home, arrays: Mapping[str, Any], **changes: Any) -> str:
    """The reason for a bundle with these arrays, signed by the publisher."""
    usual: dict[str, Any] = {"publisher": "maker", "counter": 50, "made_at_ns": 0, "card": "x"}
    usual |= {"geometry": "x", "seed": 1, "device": "maker", "revision": 1, "samples": 0}
    head = BundleHead(**(usual | {"forecaster": "cfc"} | changes))
    (fleet.home / "bundles/bad").write_bytes(sign_file(HEAD, head, pack_arrays(arrays), fleet.key))
    with pytest.raises(EdgeError) as caught:
        import_bundle(home, "bad", NOW)
    return caught.value.message


def test_networks_that_cannot_serve_are_refused(fleet: Recordings, user: Path):
    """Numbers that are not finite, missing or further arrays, another kind."""
    good = {f"network/{name}": value for name, value in fleet.trained.model.items()}
    bad = {**good, "network/ff1.weight": np.full_like(good["network/ff1.weight"], np.nan)}
    few = {name: value for name, value in good.items() if "ff2" not in name}
    flat = {**good, "network/readout.weight": np.zeros((1, 1), np.float32)}
    with Home(user) as home:
        assert "not finite" in refusal(fleet, home, bad)
        assert "named ff2.weight, found none" in refusal(fleet, home, few)
        assert "readouts of shape" in refusal(fleet, home, flat)
        assert "than the gru of its manifest" in refusal(fleet, home, good, forecaster="gru")
        assert "reading the bundle" in refusal(fleet, home, good, forecaster="")
        more = {**good, "sums/counts": np.zeros(2, np.int64)}
        assert "not those of its manifest" in refusal(fleet, home, more)
        assert "not those of its manifest" in refusal(fleet, home, {})
        assert same(serving(home), shipped_weights())
        assert home.trial is None


def test_a_setting_that_names_weights_is_not_overruled(fleet: Recordings, user: Path):
    """Whoever chose a network in the settings keeps it."""
    settings = user / "auricle.toml"
    (user / "own.safetensors").write_bytes(pack_arrays(shipped_weights()))
    text = settings.read_text("utf-8") + '\n[forecast]\nweights = "own.safetensors"\n'
    settings.write_text(text, "utf-8")
    with Home(user) as home, pytest.raises(EdgeError, match="names another one"):
        import_bundle(home, fleet.export(9), NOW)
