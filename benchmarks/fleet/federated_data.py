"""PACS and digits spread over devices: by domain, and by label (Dirichlet)."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import encoder
from edge.federation import DeviceFacts
from edge.sim.adaptation import Change, digits_world

PACS_FILE = "pacs_efficientnet_lite0.npz"
CONCENTRATION = 0.3
"""Of the Dirichlet distribution of labels over devices: the value that papers on federated learning
call strongly non-iid (Hsu et al. 2019 measure .05 to 100)."""
DEVICES = 8
"""Devices of each fleet.  Two of each domain in PACS."""
DIGIT_CHANGES = ("gain", "noise", "shift")
"""Changes of the sensor that scans the digits; one device has the unchanged sensor."""
DEVICE_FACTS_MIN = 8
"""Fewest facts of a device: smaller ones take no part."""

Rows = NDArray[np.intp]


@dataclass(frozen=True, eq=False, kw_only=True)
class DividedFleet:
    """A data set over devices.  devices: facts by name.  held: facts that no device has."""

    name: str
    spans: tuple[tuple[int, int], ...]
    devices: dict[str, DeviceFacts]
    held: DeviceFacts = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of all facts, by device."""
        state = hashlib.sha256()
        for name, facts in (*sorted(self.devices.items()), ("", self.held)):
            state.update(f"{name} {facts.labels} {facts.domains}".encode())
            state.update(facts.features.tobytes())
        return state.hexdigest()


def divided_fleets(data: Path, seed: int, count: int = DEVICES) -> list[DividedFleet]:
    """Return both sets over so many devices, each by domain and by label."""
    made = []
    for name, features, labels, domains, held in (_pacs(data), _digits(seed)):
        spans = ((0, features.shape[1]),)
        train, test = np.flatnonzero(~held), np.flatnonzero(held)
        ways = {
            "domain": _by_domain(train, domains, seed, count),
            "label": _by_label(train, labels, seed, count),
        }
        names = np.array([f"domain-{one}" for one in domains])
        for way, parts in ways.items():
            devices = {
                f"device-{at}": _facts(features, labels, names, rows)
                for at, rows in enumerate(parts)
                if len(rows) >= DEVICE_FACTS_MIN
            }
            made.append(
                DividedFleet(
                    name=f"{name} by {way}",
                    spans=spans,
                    devices=devices,
                    held=_facts(features, labels, names, test),
                )
            )
    return made


def _facts(
    features: NDArray[np.uint8], labels: NDArray[np.str_], domains: NDArray[np.str_], rows: Rows
) -> DeviceFacts:
    return DeviceFacts(
        features=features[rows],
        labels=tuple(map(str, labels[rows])),
        domains=tuple(map(str, domains[rows])),
    )


Set = tuple[str, NDArray[np.uint8], NDArray[np.str_], NDArray[np.int64], NDArray[np.bool_]]


def _pacs(data: Path) -> Set:
    """PACS, its final features, with the official split."""
    held = np.load(data / PACS_FILE)
    values = held["features"].astype(np.float32)
    test = held["split"] == 1
    cuts = (slice(0, values.shape[1]),)
    quantiser = encoder.freeze_quantiser(values[~test][::10], cuts)
    labels = np.array([str(held["classes"][one]) for one in held["label"]])
    return "pacs", quantiser.quantise(values), labels, held["domain"].astype(np.int64), test


def _digits(seed: int) -> Set:
    """Digits of scikit-learn, each seen by one of four sensors; every third is held out."""
    world = digits_world(seed)
    plain = world.domains["digits"]
    several = [plain.features, *(world.changed["digits"][Change(one)] for one in DIGIT_CHANGES)]
    random = np.random.default_rng(seed)
    domains = random.integers(len(several), size=len(plain.targets))
    features = np.stack(several)[domains, np.arange(len(domains))]
    labels = np.array([str(one) for one in plain.targets])
    return "digits", features, labels, domains.astype(np.int64), random.random(len(domains)) < 1 / 3


def _by_domain(rows: Rows, domains: NDArray[np.int64], seed: int, count: int) -> list[Rows]:
    """Give each device facts of one domain."""
    random = np.random.default_rng(seed)
    several = np.unique(domains)
    each = count // len(several)
    parts = []
    for domain in several:
        own = random.permutation(rows[domains[rows] == domain])
        parts += [np.sort(part) for part in np.array_split(own, each)]
    return parts


def _by_label(rows: Rows, labels: NDArray[np.str_], seed: int, count: int) -> list[Rows]:
    """Divide each label over the devices in shares drawn from a Dirichlet distribution."""
    random = np.random.default_rng(seed)
    parts: list[list[int]] = [[] for _ in range(count)]
    for label in np.unique(labels):
        own = random.permutation(rows[labels[rows] == label])
        shares = random.dirichlet(np.full(count, CONCENTRATION))
        cuts = np.rint(np.cumsum(shares)[:-1] * len(own)).astype(int)
        for part, chosen in zip(parts, np.split(own, cuts), strict=True):
            part.extend(chosen.tolist())
    return [np.sort(np.array(part, np.intp)) for part in parts]
