"""Accuracy in a new domain against labels a class: ours beside linear probe, kNN and RanPAC.

PACS, all taps, official split. Photo known and art, cartoon or sketch new; then each domain in turn
new with three known. Every peer may use the old domains' labels; its best way counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import encoder
from edge.core import Batch, Config, GrowthJob
from edge.core.adaptors import fit
from edge.core.limits import HEAD_FACTS_MAX, SUPPORT_FACTS_MAX

from .labels_peers import Task, peer_answers
from .report import Report, Row

COUNTS = (1, 2, 5, 10, 20, 50)
GROWN_AT = (5, 10, 20, 50)
DRAWS = 3
DOMAINS = ("photo", "art", "cartoon", "sketch")
PEERS = ("linear probe", "knn", "ranpac")
FILES = ("pacs_efficientnet_lite0.npz", "pacs_efficientnet_lite0_stages.npz")
PHOTO = 0

Ints = NDArray[np.int64]
Found = dict[str, list[float]]


@dataclass(frozen=True, slots=True, eq=False)
class Pacs:
    """Features as floats and as levels, with labels, domains and the official split."""

    values: NDArray[np.float32] = field(repr=False)
    levels: NDArray[np.uint8] = field(repr=False)
    label: Ints
    domain: Ints
    held: NDArray[np.bool_]
    spans: tuple[tuple[int, int], ...]


def run(data: Path | None) -> Report:
    """Both protocols; about half an hour."""
    if data is None or not all((data / name).is_file() for name in FILES):
        return Report("labels", (), {}, (f"skipped: needs --data with {' and '.join(FILES)}",))
    pacs = _load(data)
    rows: list[Row] = []
    notes: list[str] = []
    for protocol, cases in (("photo", _photo_known()), ("three", _three_known())):
        for count in COUNTS:
            made, best = _measure(pacs, cases, count, protocol)
            rows += made
            notes.append(f"{protocol} {count}: best ways {best}")
    return Report("labels", tuple(rows), _summary(rows), tuple(notes))


def _photo_known() -> tuple[tuple[int, tuple[int, ...]], ...]:
    return tuple((new, (PHOTO,)) for new in range(1, 4))


def _three_known() -> tuple[tuple[int, tuple[int, ...]], ...]:
    return tuple((new, tuple(o for o in range(4) if o != new)) for new in range(4))


def _summary(rows: list[Row]) -> dict[str, float]:
    """What serves once growth has had its say, beside the best peer."""
    at = {(row.method, row.metric): row.value for row in rows}
    made = {}
    for count in (5, 10):
        metric = f"photo_{count}"
        made[f"accuracy_at_{count}"] = at["auricle grown", metric]
        made[f"best_peer_at_{count}"] = max(at[peer, metric] for peer in PEERS)
    return made


def _measure(
    pacs: Pacs, cases: tuple[tuple[int, tuple[int, ...]], ...], count: int, protocol: str
) -> tuple[list[Row], str]:
    """Rows of one protocol at one count, and the ways in which the peers were best."""
    rows: list[Row] = []
    overall: Mapping[str, Found] = defaultdict(lambda: defaultdict(list))
    for new, known in cases:
        for draw in range(DRAWS):
            for name, value in _answers(pacs, new, known, count, draw):
                overall[name][DOMAINS[new]].append(value)
    means = {name: float(np.mean([np.mean(v) for v in f.values()])) for name, f in overall.items()}
    best = {peer: max((n for n in means if n.startswith(peer)), key=means.__getitem__)
            for peer in PEERS}  # fmt: skip
    for shown, name in {"auricle": "auricle", "auricle grown": "auricle grown", **best}.items():
        if name in means:
            rows.append(Row(shown, f"{protocol}_{count}", means[name]))
            rows += [Row(shown, f"{protocol}_{count}_{domain}", float(np.mean(values)))
                     for domain, values in overall[name].items()]  # fmt: skip
    return rows, ", ".join(best.values())


def _answers(
    pacs: Pacs, new: int, known: tuple[int, ...], count: int, draw: int
) -> Iterator[tuple[str, float]]:
    """Yield the accuracy of each method on the new domain's held-out part."""
    own, old = _drawn(pacs, new, known, count, draw)
    test = np.flatnonzero(pacs.held & (pacs.domain == new))
    truth = pacs.label[test]
    for name, found in _ours(pacs, own, old, test, count):
        yield name, float((found == truth).mean())
    task = Task(pacs.values[own], pacs.label[own], pacs.values[old], pacs.label[old],
                pacs.values[test])  # fmt: skip
    for name, found in peer_answers(task, pacs.spans).items():
        yield name, float((found == truth).mean())


def _ours(pacs: Pacs, own: Ints, old: Ints, test: Ints, count: int) -> Iterator[tuple[str, Ints]]:
    """Yield the labels from the head alone, and from what growth makes of the same facts."""
    mine = _batch(pacs, own[:HEAD_FACTS_MAX])
    theirs = _batch(pacs, old[:SUPPORT_FACTS_MAX])
    alone = fit(mine, theirs, None, pacs.spans)
    head = np.array(alone.labels, np.int64)[alone.answer(pacs.levels[test]).argmax(axis=1)]
    yield "auricle", head
    if count not in GROWN_AT:
        return
    from edge import growth

    job = GrowthJob("labels", mine.domains[0], 1, 1, Config().budget, pacs.spans, mine, theirs)
    record = growth.grow(job).record
    if record is None:
        yield "auricle grown", head
        return
    grown = fit(mine, theirs, record, pacs.spans)
    yield (
        "auricle grown",
        np.array(grown.labels, np.int64)[grown.answer(pacs.levels[test]).argmax(axis=1)],
    )


def _drawn(
    pacs: Pacs, new: int, known: tuple[int, ...], count: int, draw: int
) -> tuple[Ints, Ints]:
    order = np.random.default_rng(draw).permutation(np.flatnonzero(~pacs.held))
    mine = order[pacs.domain[order] == new]
    own = [mine[pacs.label[mine] == one][:count] for one in np.unique(pacs.label)]
    old = order[np.isin(pacs.domain[order], known)]
    return np.concatenate(own), old[:SUPPORT_FACTS_MAX]


def _batch(pacs: Pacs, rows: Ints) -> Batch:
    at = np.sort(rows)
    return Batch(
        tuple(f"{row:05}" for row in at),
        tuple(DOMAINS[pacs.domain[row]] for row in at),
        tuple(f"{pacs.label[row]}" for row in at),
        pacs.levels[at],
    )


def _load(data: Path) -> Pacs:
    final, stages = (np.load(data / name) for name in FILES)
    taps = [final["features"], *(stages[f"stage{number}"] for number in range(1, 8))]
    edges = np.cumsum([0, *(tap.shape[1] for tap in taps)]).tolist()
    values = np.concatenate(taps, axis=1).astype(np.float32)
    held = final["split"] == 1
    spans = tuple(pairwise(edges))
    frozen = encoder.freeze_quantiser(values[~held][::10], tuple(slice(a, b) for a, b in spans))
    label, domain = final["label"].astype(np.int64), final["domain"].astype(np.int64)
    return Pacs(values, frozen.quantise(values), label, domain, held, spans)
