"""Adaptors when one fact is forgotten: how many end, what is lost meanwhile, and what it costs.

Digits of scikit-learn in two domains, plain and mirrored, 500 facts each; and 1,000 facts of a
domain of PACS at 2,064 columns.  One fact of a domain is forgotten.  Accuracies on held-out
samples: before; while the successor is being made; while the provisional successor serves; after
growth has judged; and of a twin that never saw the fact.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import encoder
import nas
from edge.core import (
    AdvanceForget,
    Config,
    Enrol,
    Event,
    Fact,
    FitGeometry,
    ForgetRequest,
    GrowRequest,
    GrowthFinished,
    GrowthJob,
    GrowthResult,
    MemoryLedger,
    Runtime,
    Selector,
    StartGrowth,
    Tick,
    train_again,
)
from edge.core.adaptors import AdaptorRecord
from edge.worker import Worker

from ..continual.domains_stream import PacsStream, load_pacs
from ..report import BenchmarkReport, BenchmarkRow

FACTS: Final = 1_000
"""Facts of the two domains of digits, and of the domain of PACS: the size that the target names."""
SEEDS: Final = 2
"""Draws of the facts.  Chosen by hand: a minute each."""
GROWN: Final = "grown"
"""The method in which growth chooses the adaptor."""
SUMMARY: Final = ("provisional_gap_points", "adaptors_ended_by_one_fact", "remade_cpu_s")
"""Figures of the summary: the largest of all runs."""
KINDS: Final[Mapping[str, nas.Blueprint]] = {
    "none": nas.Blueprint(kind="none", taps=(0,)),
    "random": nas.Blueprint(kind="random", taps=(0,), width=1024, activation="relu"),
    "kernel": nas.Blueprint(kind="kernel", taps=(0,), width=512),
    "linear": nas.Blueprint(kind="linear", taps=(0,), width=32),
    "lowrank": nas.Blueprint(kind="lowrank", taps=(0,), rank=32, activation="relu", depth=1),
    "bottleneck": nas.Blueprint(
        kind="bottleneck", taps=(0,), width=64, rank=128, activation="relu", depth=1
    ),
}
"""One blueprint of each kind, beside the one that growth chooses."""
NOTES: Final = (
    "accuracy_waiting: of the domain's default, which answers until the successor serves",
    "remade_cpu_s: training or derivation, and the head on top",
    "worker_start_cpu_s: start of the worker and import of torch, not included in remade_cpu_s",
)
PACS_FILES: Final = ("pacs_efficientnet_lite0.npz", "pacs_efficientnet_lite0_stages.npz")
SKETCH: Final = 3
"""The domain of PACS with the most images."""
WAIT_S: Final = 0.02
"""Seconds between two looks at a worker."""

Grow = Callable[[GrowthJob], GrowthResult]
Ints = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFeatures:
    """Features uint8 [n, width], labels and domains [n]; the first `FACTS` are learned."""

    features: Ints
    labels: Sequence[str]
    domains: Sequence[str]
    model: encoder.Model | PacsStream

    def first(self, domain: str) -> int:
        """Return the first sample of a domain, which is forgotten."""
        return self.domains.index(domain)

    def fact(self, row: int) -> Fact:
        """Return a sample as a fact."""
        return Fact(
            id=f"fact-{row:05}",
            stream="s",
            domain=self.domains[row],
            label=self.labels[row],
            captured_at_ns=row,
            features=self.features[row].tobytes(),
        )


class Device:
    """A runtime and its ledger, that derives beside serving as a daemon does."""

    def __init__(self, samples: LabelledFeatures, rows: Iterable[int]) -> None:
        self._samples = samples
        self.ledger = MemoryLedger()
        self.runtime = Runtime(Config(), samples.model, self.ledger, deferring=True)
        self.job: GrowthJob | None = None
        for event in (Enrol(tuple(map(samples.fact, rows))), FitGeometry()):
            self.feed(event)

    def feed(self, event: Event) -> None:
        """Handle an event and apply its effects."""
        for effect in self.runtime.handle(event):
            self.ledger.apply(effect)
            if isinstance(effect, StartGrowth):
                self.job = effect.job

    def grow(self, domain: str, grow: Grow) -> None:
        """Grow an adaptor for a domain now."""
        self.feed(GrowRequest(domain))
        self.finish(grow)

    def finish(self, grow: Grow) -> None:
        """Run the job that was started."""
        assert self.job is not None, "nothing was started"
        job, self.job = self.job, None
        self.feed(GrowthFinished(grow(job)))

    def settle(self) -> None:
        """Derive what waits in the background, and complete forget requests."""
        runtime = self.runtime
        while True:
            refit = runtime.next_refit()
            if refit is not None:
                refit.gather(self.ledger)
                if runtime.prepare(refit):
                    refit.solve()
                    runtime.accept(refit, solved=True)
            elif runtime.advances:
                self.feed(AdvanceForget(1))
            else:
                return

    def accuracy(self, domain: str) -> float:
        """Return the accuracy in a domain on the samples that were not learned."""
        rows = range(FACTS, len(self._samples.labels))
        mine = [at for at in rows if self._samples.domains[at] == domain]
        adaptor = self.runtime.knowledge.adaptor(domain)
        found = adaptor.answer(self._samples.features[mine]).argmax(axis=1)
        pairs = zip(found, mine, strict=True)
        return fmean(adaptor.labels[best] == self._samples.labels[at] for best, at in pairs)


def run(data: Path | None, *, quick: bool = False) -> BenchmarkReport:
    """Forget a fact under each kind of adaptor; four minutes of one core.  quick: one draw, and no
    search; half a minute."""
    seeds = range(1 if quick else SEEDS)
    runs = {} if quick else {GROWN: [forget_grown(digits(seed)) for seed in seeds]}
    for kind, blueprint in KINDS.items():
        runs[kind] = [forget_kind(digits(seed), "plain", blueprint) for seed in seeds]
    if not quick and data is not None and all((data / name).is_file() for name in PACS_FILES):
        samples = pacs(data)
        for kind, blueprint in KINDS.items():
            wide = widened(blueprint, len(samples.model.card.slices))
            runs[f"{kind}, pacs"] = [forget_kind(samples, "sketch", wide)]
    rows = [
        BenchmarkRow(method, name, fmean(one[name] for one in found))
        for method, found in runs.items()
        for name in found[0]
    ]
    every = [one for found in runs.values() for one in found]
    summary = {name: max(one[name] for one in every) for name in SUMMARY}
    return BenchmarkReport("forget adaptors", tuple(rows), summary, NOTES)


def digits(seed: int) -> LabelledFeatures:
    """Return the digits of scikit-learn, every second one mirrored as another domain."""
    found = load_digits()
    order = np.random.default_rng(seed).permutation(len(found.target))
    pictures = (15 * found.images[order]).astype(np.uint8)
    pictures[::2] = pictures[::2, :, ::-1]
    domains = ["plain" if at % 2 else "mirrored" for at in range(len(order))]
    labels = [str(target) for target in found.target[order]]
    width = found.data.shape[1]
    quantiser = encoder.Quantiser(np.ones(width, np.float32), np.zeros(width, np.int32))
    model = encoder.open_model(encoder.vector_card(width, "digits", quantiser))
    return LabelledFeatures(pictures.reshape(len(order), -1), labels, domains, model)


def pacs(data: Path) -> LabelledFeatures:
    """Return the sketches of PACS at all taps, in random order."""
    stream = load_pacs(data)
    mine = np.flatnonzero(stream.domain == SKETCH)
    order = np.random.default_rng(0).permutation(mine)
    labels = [str(stream.label[at]) for at in order]
    return LabelledFeatures(stream.levels[order], labels, ["sketch"] * len(order), stream)


def widened(blueprint: nas.Blueprint, taps: int) -> nas.Blueprint:
    """Return a blueprint that reads every tap."""
    width = FACTS if blueprint.kind == "kernel" else blueprint.width
    return replace(blueprint, taps=tuple(range(taps)), width=width)


def forget_grown(samples: LabelledFeatures) -> dict[str, float]:
    """Grow both domains as a device does, forget a fact of one, and follow what happens."""
    from edge.growth import grow_adaptor

    device = Device(samples, range(FACTS))
    for domain in ("plain", "mirrored"):
        device.grow(domain, grow_adaptor)
    before = len(device.ledger.adaptors())
    figures = _forget(device, samples, "plain") | {"adaptors_before": float(before)}
    while True:
        device.feed(Tick())
        if device.job is None:
            break
        device.finish(grow_adaptor)
    figures["accuracy_after"] = device.accuracy("plain")
    twin = Device(samples, [at for at in range(FACTS) if at != samples.first("plain")])
    twin.grow("plain", grow_adaptor)
    figures["accuracy_twin"] = twin.accuracy("plain")
    same = _digest(device, "plain") == _digest(twin, "plain")
    figures["bit_equal_to_twin_after"] = float(same)
    return figures


def forget_kind(
    samples: LabelledFeatures, domain: str, blueprint: nas.Blueprint
) -> dict[str, float]:
    """Let one blueprint serve a domain, forget a fact, and compare with a twin of it."""
    accept = _accepting(blueprint)
    device = Device(samples, range(FACTS))
    device.grow(domain, accept)
    gone = samples.first(domain)
    figures = _forget(device, samples, domain)
    twin = Device(samples, [at for at in range(FACTS) if at != gone])
    twin.grow(domain, accept)
    figures["accuracy_twin"] = twin.accuracy(domain)
    figures["bit_equal_to_twin"] = float(_digest(device, domain) == _digest(twin, domain))
    return figures


def _forget(device: Device, samples: LabelledFeatures, domain: str) -> dict[str, float]:
    """Forget the first fact of a domain, and return the figures until its successor serves."""
    figures = {"accuracy_before": device.accuracy(domain)}
    serving = {name: rows[0].digest for name, rows in device.ledger.adaptors().items()}
    chosen = Selector(ids=frozenset({samples.fact(samples.first(domain)).id}))
    device.feed(ForgetRequest(request_id="r", selector=chosen))
    left = {name: rows[0].digest for name, rows in device.ledger.adaptors().items()}
    ended = sum(left.get(name) != digest for name, digest in serving.items())
    figures["adaptors_ended_by_one_fact"] = float(ended)
    figures["accuracy_waiting"] = device.accuracy(domain)
    device.feed(Tick())
    assert device.job is not None, "an adaptor is to be made again"
    if not device.job.solved:
        figures["worker_start_cpu_s"] = _worker_start(device.job)
        _again(device.job)  # torch is loaded; the worker pays for that once, see above
    before = time.process_time()
    device.finish(_again)
    device.settle()
    device.runtime.knowledge.adaptor(domain)
    figures["remade_cpu_s"] = time.process_time() - before
    figures["accuracy_provisional"] = device.accuracy(domain)
    gap = figures["accuracy_before"] - figures["accuracy_provisional"]
    figures["provisional_gap_points"] = 100 * abs(gap)
    figures["waiting_gap_points"] = 100 * (figures["accuracy_before"] - figures["accuracy_waiting"])
    return figures


def _worker_start(job: GrowthJob) -> float:
    """Return the CPU seconds of a worker process for a job, less those of the training itself."""
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    worker = Worker(1 << 12, 60.0)
    worker.start(job)
    while worker.poll() is None:
        time.sleep(WAIT_S)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime
    before = time.process_time()
    _again(job)
    return whole - (time.process_time() - before)


def _again(job: GrowthJob) -> GrowthResult:
    from edge.growth import train_adaptor

    return train_again(job, train_adaptor)


def _accepting(blueprint: nas.Blueprint) -> Grow:
    """Return a grower that finds this blueprint better than the incumbent."""

    def grow(job: GrowthJob) -> GrowthResult:
        found = _again(msgspec.structs.replace(job, blueprint=blueprint))
        record = found.record
        assert record is not None, found.reason
        judged = msgspec.structs.replace(record, provisional=False, accuracy=1.0, incumbent=0.0)
        return msgspec.structs.replace(found, record=judged, accuracy=1.0, incumbent=0.0)

    return grow


def _digest(device: Device, domain: str) -> str:
    records: tuple[AdaptorRecord, ...] = device.ledger.adaptors().get(domain, ())
    return records[0].digest if records else ""
