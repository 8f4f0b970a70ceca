"""Runs a simulated fleet, and compares its sum with one device that holds the published facts.

Three levels of real aggregators, each with a file on disk: sites, regions, a root.  Every link
loses, doubles, delays and reorders messages.
"""

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from ...config import AggregateSettings
from ...core import Contribution, Fact, count_differing, digest_sums
from ...fleet import AggregatePlace, Aggregator, read_contribution, write_contribution
from ...storage import AggregateFile
from .. import Progress, run_parallel
from .deliveries import Message, deliver
from .members import (
    DOMAINS,
    REFUSED,
    ContributingDevice,
    FleetWorld,
    MemberHistory,
    MemberTools,
    digit_model,
    make_member,
    make_world,
    unpacked,
)

SITE_DEVICES: Final = 160
"""Devices of a site, on average: each label is then known to thirty or so."""

REGION_SITES: Final = 9
"""Sites of a region, on average."""

BATCH: Final = 64
"""Messages that an aggregator takes in with one transaction."""

HOUR_NS: Final = 3_600 * 10**9
"""Nanoseconds in an hour, between two batches."""

START_NS: Final = 1_700_000_000 * 10**9
"""When the fleet starts: the revision of an aggregate follows this clock."""

RATE: Final = 1_000_000.0
"""Messages a child may send in an hour: a simulation replays months in seconds."""

REMOVALS_MAX: Final = 40
"""Attempts to remove the sites' folder: together two seconds.  Chosen by hand."""

REMOVAL_PAUSE_S: Final = 0.05
"""Seconds between two of them: a process that was killed is gone in less."""


@dataclass(slots=True, kw_only=True)
class Faults:
    """What went wrong on the way."""

    transmissions: int = 0
    lost: int = 0
    doubled: int = 0
    replayed: int = 0
    refused: int = 0
    unchanged: int = 0

    def add(self, other: "Faults") -> None:
        """Add the numbers of another part."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SiteOutcome:
    """What a site has summed.  messages: its contributions, oldest first.  histories' facts:
    labels and features of those that count.  reasons: refusals by text.  wrong: what did not go as
    it must, one sentence each."""

    name: str
    messages: tuple[bytes, ...]
    domains: tuple[str, ...]
    labels: tuple[str, ...]
    features: NDArray[np.uint8] = field(repr=False)
    nbytes: int
    revisions: int
    poisoners: int
    found: int
    reported_wrongly: int
    kinds: dict[str, int]
    reasons: dict[str, int]
    wrong: tuple[str, ...]
    faults: Faults
    cpu_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOutcome:
    """The result of a simulated fleet.  bits_differing: between the root's sums and those of one
    device that holds exactly the published facts.  contributed: members whose sums are in the root.
    seconds: by part.  cpu_seconds: of all processes; other programs on the machine delay it less.
    """

    devices: int
    contributed: int
    published_facts: int
    digest: str
    digest_of_one: str
    bits_differing: int
    bytes_per_device: float
    messages: int
    sites: int
    regions: int
    kinds: dict[str, int]
    refusals: dict[str, int]
    poisoners: int
    poisoners_found: int
    reported_wrongly: int
    faults: Faults
    wrong: tuple[str, ...]
    seconds: dict[str, float]
    cpu_seconds: float

    @property
    def digest_equal(self) -> bool:
        """Whether the sums are those of one device, bit for bit."""
        return self.digest == self.digest_of_one and not self.bits_differing


def simulate_fleet(
    devices: int, seed: int, jobs: int = 2, progress: Progress | None = None
) -> FleetOutcome:
    """Run a fleet of some devices.  Cost: about 10 ms for each device and process."""
    started, cpu_started = time.perf_counter(), time.process_time()
    world = make_world(seed)
    plan = _plan(devices, seed)
    sites: dict[int, SiteOutcome] = {}
    ordered: list[SiteOutcome] = []
    one = ContributingDevice("alone", digit_model(), world.geometry)
    done = 0
    with _sites_folder() as folder:
        tasks = [(name, numbers, seed, world, folder) for name, numbers in plan]
        with closing(run_parallel(run_site, tasks, jobs)) as outcomes:
            for place, outcome in outcomes:
                sites[place] = outcome
                while len(ordered) in sites:
                    # While other processes build the next sites; in their order.
                    ordered.append(sites[len(ordered)])
                    one.learn(_facts_of(ordered[-1]))
                done += len(plan[place][1])
                if progress is not None:
                    progress("devices contribute, sites sum", done, devices)
    summed = time.perf_counter()
    root, regions, faults = _sum_sites(ordered, seed, world)
    at_root = time.perf_counter()
    if progress is not None:
        progress("one device sums the published facts", 0, 1)
    alone = one.contribute(1)[0]
    if progress is not None:
        progress("one device sums the published facts", 1, 1)
    times = {
        "devices and sites, one device learns": summed - started,
        "regions and root": at_root - summed,
        "sums of the one device": time.perf_counter() - at_root,
    }
    inside = time.process_time() - cpu_started if jobs > 1 else 0.0
    return _outcome(ordered, (root, alone), (regions, faults), times, inside)


def _plan(devices: int, seed: int) -> list[tuple[str, range]]:
    """Divide the devices into sites of random sizes."""
    random = np.random.default_rng([seed, 3])
    count = max(1, round(devices / SITE_DEVICES))
    shares = random.uniform(0.6, 1.4, count)
    edges = np.rint(np.cumsum(shares) / shares.sum() * devices).astype(int).tolist()
    starts = [0, *edges[:-1]]
    pairs = enumerate(zip(starts, edges, strict=True))
    return [(f"site-{place:03d}", range(start, end)) for place, (start, end) in pairs]


@contextmanager
def _sites_folder() -> Iterator[Path]:
    """Make a folder for the files of all sites, and remove it whatever happens.

    It belongs to this process: one that simulates a site may be killed, and one that ends may still
    write while its folder is removed.
    """
    folder = Path(mkdtemp(prefix="auricle-fleet-"))
    try:
        yield folder
    finally:
        for _ in range(REMOVALS_MAX):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(REMOVAL_PAUSE_S)


def run_site(name: str, numbers: range, seed: int, world: FleetWorld, within: Path) -> SiteOutcome:
    """Build the devices of a site, deliver what they send, and sum it.  within: the folder for its
    files."""
    started, tools = time.process_time(), MemberTools(digit_model(), world.digits)
    domain = int(name.rpartition("-")[2]) % DOMAINS
    histories = [make_member(number, domain, seed, world, tools) for number in numbers]
    with (
        TemporaryDirectory(dir=within) as folder,
        _aggregator(Path(folder), name, world) as opened,
    ):
        arrived = deliver(
            [(one.device, one.messages) for one in histories], hash_seed(seed, numbers.start)
        )
        half = len(arrived.messages) // 2
        faults = _feed(opened.aggregator, arrived.messages[:half])
        first = opened.aggregator.contribution(START_NS)
        faults.add(_feed(opened.aggregator, arrived.messages[half:]))
        found = {one.device for one in opened.aggregator.check()}
        poisoners = {one.device for one in histories if one.kind == "poisoner"}
        for device in sorted(poisoners):
            opened.aggregator.drop(device, START_NS)
        last = opened.aggregator.contribution(START_NS)
        reasons = [_kind_of(one.reason) for one in opened.file.refusals()]
        wrong = tuple(_wrong(opened.file, histories))
    faults.lost, faults.doubled = arrived.lost, arrived.doubled
    faults.replayed = arrived.replayed
    count = sum(len(one.labels) for one in histories)
    return SiteOutcome(
        name=name,
        messages=tuple(write_contribution(one, None) for one in (first, last)),
        domains=(f"scanner-{domain}",) * count,
        labels=tuple(label for one in histories for label in one.labels),
        features=np.concatenate([one.features for one in histories]),
        nbytes=sum(len(raw) for one in histories for raw in one.messages),
        revisions=sum(len(one.messages) for one in histories),
        poisoners=len(poisoners),
        found=len(poisoners & found),
        reported_wrongly=len(found - poisoners),
        kinds=_count(one.kind for one in histories),
        reasons=_count(reasons),
        wrong=wrong,
        faults=faults,
        cpu_seconds=time.process_time() - started,
    )


@dataclass(slots=True)
class _Opened:
    """An aggregator with its file, closed at the end."""

    file: AggregateFile
    aggregator: Aggregator

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.file.close()


def _aggregator(folder: Path, name: str, world: FleetWorld, devices_max: int = 1) -> _Opened:
    settings = AggregateSettings(
        name=name, fleet="children", messages_per_hour=RATE, devices_max=devices_max
    )
    place = AggregatePlace(unpacked(world.geometry), digit_model().card.fingerprint)
    file = AggregateFile(folder / f"{name}.db", writable=True)
    return _Opened(file, Aggregator(file, place, settings, {}))


def _feed(aggregator: Aggregator, messages: Sequence[Message]) -> Faults:
    faults, now_ns = Faults(transmissions=len(messages)), START_NS
    for at in range(0, len(messages), BATCH):
        now_ns += HOUR_NS
        for one in aggregator.receive(messages[at : at + BATCH], now_ns):
            faults.refused += one.state == "refused"
            faults.unchanged += one.state == "unchanged"
    return faults


def _wrong(file: AggregateFile, histories: Sequence[MemberHistory]) -> Iterable[str]:
    """Yield what is not as the kinds of members demand."""
    for one in histories:
        child = file.child(one.device)
        summed = child is not None and child.state == "summed"
        if summed != bool(len(one.labels)):
            yield f"{one.device}, which {one.kind}, is {child.state if child else 'unknown'}"
        if one.kind in REFUSED and summed:
            yield f"{one.device}, {one.kind}, was not refused"


def _sum_sites(
    sites: Sequence[SiteOutcome], seed: int, world: FleetWorld
) -> tuple[Contribution, int, Faults]:
    """Sum the sites' contributions in regions, and the regions' at the root."""
    random = np.random.default_rng([seed, 4])
    count = max(1, round(len(sites) / REGION_SITES))
    of_site = random.integers(count, size=len(sites)).tolist()
    total, sent = Faults(), []
    with TemporaryDirectory() as folder:
        for region in range(count):
            mine = [one for one, at in zip(sites, of_site, strict=True) if at == region]
            name = f"region-{region}"
            messages = [(one.name, one.messages) for one in mine]
            made, faults = _sum_level(Path(folder), name, messages, (seed, region), world)
            total.add(faults)
            sent.append((name, made))
        (*_, last), faults = _sum_level(Path(folder), "root", sent, (seed, count), world)
        total.add(faults)
    return read_contribution(last, {}), count, total


def _sum_level(
    folder: Path,
    name: str,
    sent: Sequence[tuple[str, tuple[bytes, ...]]],
    seeds: tuple[int, int],
    world: FleetWorld,
) -> tuple[tuple[bytes, ...], Faults]:
    """Return the contributions of one aggregator, at half of its messages and at the end."""
    arrived = deliver(sent, hash_seed(*seeds))
    half = len(arrived.messages) // 2
    with _aggregator(folder, name, world, devices_max=1 << 20) as opened:
        faults = _feed(opened.aggregator, arrived.messages[:half])
        first = write_contribution(opened.aggregator.contribution(START_NS), None)
        faults.add(_feed(opened.aggregator, arrived.messages[half:]))
        last = write_contribution(opened.aggregator.contribution(START_NS), None)
    faults.lost, faults.doubled, faults.replayed = arrived.lost, arrived.doubled, arrived.replayed
    return (first, last), faults


def _facts_of(site: SiteOutcome) -> Iterable[Fact]:
    """Yield exactly the facts that a site's devices have published."""
    rows = zip(site.domains, site.labels, site.features, strict=True)
    for place, (domain, label, features) in enumerate(rows):
        yield Fact(
            id=f"{site.name}-{place}",
            stream="scanner",
            domain=domain,
            label=label,
            captured_at_ns=place,
            features=features.tobytes(),
        )


def _outcome(
    sites: Sequence[SiteOutcome],
    ends: tuple[Contribution, Contribution],
    above: tuple[int, Faults],
    seconds: dict[str, float],
    cpu_seconds: float,
) -> FleetOutcome:
    (root, alone), (regions, faults) = ends, above
    for site in sites:
        faults.add(site.faults)
    devices = sum(sum(site.kinds.values()) for site in sites)
    return FleetOutcome(
        devices=devices,
        contributed=root.devices if root.samples else 0,
        published_facts=sum(len(site.labels) for site in sites),
        digest=digest_sums(root.arrays),
        digest_of_one=digest_sums(alone.arrays),
        bits_differing=count_differing(root.arrays, alone.arrays),
        bytes_per_device=sum(site.nbytes for site in sites) / max(1, devices),
        messages=sum(site.revisions for site in sites),
        sites=len(sites),
        regions=regions,
        kinds=_total(site.kinds for site in sites),
        refusals=_total(site.reasons for site in sites),
        poisoners=sum(site.poisoners for site in sites),
        poisoners_found=sum(site.found for site in sites),
        reported_wrongly=sum(site.reported_wrongly for site in sites),
        faults=faults,
        wrong=tuple(one for site in sites for one in site.wrong),
        seconds=seconds,
        cpu_seconds=cpu_seconds + sum(site.cpu_seconds for site in sites),
    )


def hash_seed(seed: int, place: int) -> int:
    """Return a seed of a part."""
    return int(np.random.SeedSequence([seed, place]).generate_state(1)[0])


def _kind_of(reason: str) -> str:
    """Return a refusal without the numbers that differ among devices."""
    for text in (
        "card",
        "version",
        "geometry",
        "manifest",
        "no facts sum up",
        "facts of one concept",
    ):
        if text in reason:
            return text
    return reason


def _count(names: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items()))


def _total(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts:
        for name, count in part.items():
            found[name] = found.get(name, 0) + count
    return dict(sorted(found.items()))
