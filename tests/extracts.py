"""Random extracts of every form that the C code distinguishes, for the tests of the export."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

import hdc
from edge.core.events import StoreFacts
from edge.core.facts import Fact
from edge.core.knowledge.derive import derive_knowledge
from edge.core.knowledge.knowledge import Knowledge
from edge.core.knowledge.memory_ledger import MemoryLedger
from firmware_bridge import ColumnsPart, Extract, HeadPart, PlanePart, RandomPart
from firmware_bridge.export import power_of_two

LABELS = 4
WIDTH = 24


@dataclass(frozen=True)
class Form:
    """The shape of an extract; everything else follows from the seed."""

    width: int
    start: int
    bits: int
    concepts: int
    domains: int
    columns: bool
    plane: bool
    wide: bool
    seed: int
    random: bool = False


def forms() -> st.SearchStrategy[Form]:
    """Forms with taps of one feature up to several transforms' width."""
    tap = st.sampled_from([2, 3, 4, 5, 8, 9, 31, 33, 64, 65, 127, 128, 129, 200, 256, 300, 700])
    return st.builds(
        lambda size, start, more, **rest: Form(width=start + size + more, start=start, **rest),
        tap,
        start=st.integers(0, 3),
        more=st.integers(0, 2),
        bits=st.sampled_from([256, 512, 768, 1024]),
        concepts=st.integers(1, 7),
        domains=st.integers(1, 4),
        columns=st.booleans(),
        plane=st.booleans(),
        wide=st.booleans(),
        random=st.booleans(),
        seed=st.integers(0, 2**32),
    ).map(lambda form: replace(form, domains=min(form.domains, form.concepts)))


def extract_of(form: Form) -> Extract:
    """The extract of a form."""
    random = np.random.default_rng(form.seed)
    blocks = 1 + form.columns + form.plane
    count = form.concepts
    centre = random.integers(0, [form.bits, 3000, 3000][:blocks], (count, blocks))
    spread = random.integers(1, [form.bits // 4, 3000, 3000][:blocks], (count, blocks))
    scales = np.stack([centre, spread], axis=2)
    heads = tuple(_head(form, random, number) for number in range(form.domains))
    return Extract(
        width=form.width,
        tap=(form.start, form.width),
        seed=form.seed * 0x9E3779B9,
        bits=form.bits,
        domains=tuple(f"domain {number}" for number in range(form.domains)),
        labels=tuple(f"label {number}" for number in range(LABELS)),
        concepts=tuple(
            (place * form.domains // count, int(random.integers(LABELS))) for place in range(count)
        ),
        majorities=random.integers(0, 2**32, (count, form.bits // 32), dtype=np.uint32),
        votes=(1, 2, 4)[:blocks],
        scales=scales,
        common=scales[0].copy(),
        limits=random.integers(-1, 9000, form.domains),
        heads=heads[-1:] * form.domains if form.random and heads[-1] else heads,
        levels=np.sort(random.integers(0, 1000, 256)),
        columns=_columns(form, random) if form.columns else None,
        plane=_plane(form, random) if form.plane else None,
        random=_random(form, random, heads[-1]) if form.random and heads[-1] else None,
    )


def _random(form: Form, random: np.random.Generator, head: HeadPart) -> RandomPart:
    rounds = int(random.integers(1, 4))
    shape = (len(head.names), rounds * power_of_two(form.width))
    return RandomPart(
        seed=form.seed + 5,
        rounds=rounds,
        shift=int(random.integers(0, 7)),
        unit=int(random.integers(0, 4)),
        means=random.integers(0, 256, form.width),
        weights=random.integers(-7, 8, shape).astype(np.int8),
        shifts=random.integers(0, 5, shape[1]),
    )


def _head(form: Form, random: np.random.Generator, number: int) -> HeadPart | None:
    if number == 3:
        return None
    bits = 4 if number == 1 else 8
    most = (1 << bits - 1) - 1
    names = tuple(int(name) for name in random.permutation(LABELS)[: number + 1])
    weights = random.integers(-most, most + 1, (len(names), form.width)).astype(np.int8)
    return HeadPart(
        names,
        weights,
        random.integers(-5000, 5000, len(names)),
        random.integers(0, 4, form.width),
        bits,
    )


def _columns(form: Form, random: np.random.Generator) -> ColumnsPart:
    size = form.width - form.start
    gains = random.integers(1, max(2, (60_000 if form.wide else 200) // size + 1), size)
    return ColumnsPart(form.start, gains, random.integers(0, 256, (form.concepts, size)) * gains)


def _plane(form: Form, random: np.random.Generator) -> PlanePart:
    size = form.width - form.start
    rank = min(size, 9)
    axes = random.integers(-60_000 // size, 60_000 // size + 1, (size, rank))
    zeros = random.integers(-300, 300, size)
    return PlanePart(
        start=form.start,
        scale=random.integers(1, 256, size),
        zeros=zeros,
        axes=axes if form.wide else axes // 3,
        offset=zeros @ (axes if form.wide else axes // 3),
        gains=random.integers(0, 3_000_000, rank),
        centre=random.integers(-900, 900, rank),
        lengths=random.integers(0, 40_000, rank) * (1 if form.wide else 1000),
        rest=int(random.integers(0, 2**34)) if form.seed % 3 else 0,
        means=random.integers(-3000, 3000, (form.concepts, rank)),
        fixed=int(random.integers(1, 100_000)) if form.seed % 2 else 0,
    )


def samples_of(form: Form, count: int = 12) -> NDArray[np.uint8]:
    """Samples uint8 [count, width]: noise, and the two extreme ones."""
    rows = np.random.default_rng(form.seed + 1).integers(0, 256, (count, form.width))
    rows[0], rows[1] = 0, 255
    return rows.astype(np.uint8)


PLAIN = Form(20, 0, 256, 4, 2, columns=True, plane=True, wide=False, seed=5)


def learned(*, surveyed: bool, per_concept: int = 60) -> tuple[Knowledge, MemoryLedger]:
    """Knowledge of two domains with three labels each, and its ledger.  Facts have no times: the
    extract does not know time."""
    random = np.random.default_rng(3)
    centres = random.integers(40, 216, (6, WIDTH))
    facts, rows, groups = [], [], []
    for number in range(6 * per_concept):
        concept = number % 6
        noise = random.integers(-30, 31, WIDTH)
        features = np.clip(centres[concept] + noise, 0, 255).astype(np.uint8)
        names = ("hall" if concept < 3 else "yard", f"label {concept % 3}")
        facts.append(
            Fact(
                id=f"{number:04}",
                stream="s",
                domain=names[0],
                label=names[1],
                captured_at_ns=0,
                features=features.tobytes(),
            )
        )
        rows.append(features)
        groups.append(concept)
    ledger = MemoryLedger()
    ledger.apply(StoreFacts(facts=tuple(facts), evicted=()))
    spans = ((0, WIDTH),)
    geometry = (
        hdc.fit_geometry(np.array(rows), np.array(groups), spans, 1, 1024)
        if surveyed
        else hdc.identity_geometry(WIDTH, spans, 1, 1024)
    )
    return derive_knowledge(ledger, geometry), ledger
