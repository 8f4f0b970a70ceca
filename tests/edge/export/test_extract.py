from __future__ import annotations

import numpy as np
import pytest

import hdc
from edge.core.errors import EdgeError
from edge.core.events import StoreFacts
from edge.core.facts import Fact
from edge.core.knowledge.derive import derive_knowledge
from edge.core.knowledge.knowledge import Knowledge
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.export.budget import KIB, ExportRequest, FlashBudget, golden_features, plan_export
from edge.export.extract import ExtractShape, full_shape, measure_extract, with_head
from edge.export.fact_statistics import collect_statistics
from firmware_bridge import UNDECIDED, decide, pack_extract
from tests.extracts import WIDTH, learned

RATE = 0.05
ROOMY = FlashBudget(256 * KIB, 64 * KIB)


@pytest.fixture(scope="module")
def surveyed():
    """Statistics with a fitted geometry."""
    return collect_statistics(*learned(surveyed=True))


def test_with_bits_alone_verdicts_are_the_served_ones():
    """Nothing is left out of a plain geometry: known, domain, label and score are those of hdc."""
    knowledge, ledger = learned(surveyed=False)
    ground = collect_statistics(knowledge, ledger)
    extract = measure_extract(ground, full_shape(ground), RATE).extract
    rows = np.random.default_rng(1).integers(0, 256, (40, WIDTH)).astype(np.uint8)
    rows = np.concatenate([rows, ground.rows[::9]])
    found = decide(extract, rows)
    for number, row in enumerate(rows):
        codes = knowledge.geometry.project(row)
        verdict = hdc.detect(codes, knowledge.memory, knowledge.calibration(), RATE)
        assert verdict.score == found.score[number]
        assert verdict.known == bool(found.known[number])
        assert verdict.domain == extract.domains[found.domain[number]]
        assert verdict.label == extract.labels[found.label[number]]


def test_answers_agree_with_the_served_adaptor(surveyed):
    """The integer head answers as the served adaptor does, on facts and on noise."""
    extract = measure_extract(surveyed, full_shape(surveyed), RATE).extract
    rows = np.random.default_rng(2).integers(0, 256, (200, WIDTH)).astype(np.uint8)
    found, same = decide(extract, rows), 0
    for number, row in enumerate(rows):
        served = surveyed.served[extract.domains[found.domain[number]]]
        ours = extract.labels[found.answer[number]]
        same += ours == served.labels[int(served.answer(row[None])[0].argmax())]
    assert same >= 196


def test_few_facts_leave_the_verdict_open():
    """At a rate that the facts cannot support the extract says undecided, as the detector does."""
    ground = collect_statistics(*learned(surveyed=False))
    extract = measure_extract(ground, full_shape(ground), 0.001).extract
    assert set(extract.limits.tolist()) == {UNDECIDED}
    assert set(decide(extract, ground.rows).known.tolist()) == {2}


@pytest.mark.parametrize("bits", [256, 512])
def test_false_alarms_keep_the_rate(surveyed, bits):
    """At most the chosen rate of the facts themselves is called new, at any number of bits."""
    shape = ExtractShape(bits=bits, columns=True, plane=True, domains=surveyed.domains)
    found = decide(measure_extract(surveyed, shape, RATE).extract, surveyed.rows)
    assert (found.known == 0).mean() <= RATE


def test_fewer_bits_lean_on_the_priors_of_the_detector(surveyed, monkeypatch):
    """The scales of an extract with fewer bits follow the detector's own priors."""
    shape = ExtractShape(bits=256, columns=True, plane=True, domains=surveyed.domains)
    before = measure_extract(surveyed, shape, RATE).extract.scales
    monkeypatch.setattr(hdc, "SPREAD_PRIOR", 10_000)
    after = measure_extract(surveyed, shape, RATE).extract.scales
    assert (before[:, 0, 1] != after[:, 0, 1]).any()


def test_fewer_bits_cost_flash_and_keep_less(surveyed):
    """Flash falls with the bits; the quality is measured, and easy domains are still separated."""
    shapes = [
        ExtractShape(bits=b, columns=False, plane=False, domains=surveyed.domains)
        for b in (1024, 512, 256)
    ]
    measured = [measure_extract(surveyed, shape, RATE) for shape in shapes]
    flash = [one.flash_bytes for one in measured]
    assert flash == sorted(flash, reverse=True)
    assert all(one.routed == 1 for one in measured)
    assert measured[0].detected is not None
    assert measured[0].detected > 0.9


def test_smaller_heads_are_measured(surveyed):
    """Four bits and a shared head take less flash, and their agreement is measured again."""
    shape = ExtractShape(bits=256, columns=False, plane=False, domains=surveyed.domains)
    whole = measure_extract(surveyed, shape, RATE)
    small = with_head(surveyed, whole, 4, shared=True)
    assert small.flash_bytes < whole.flash_bytes
    assert 0.5 < small.agreed <= 1
    assert small.extract.heads[0] is small.extract.heads[1]
    assert len(pack_extract(small.extract)) < len(pack_extract(whole.extract))


def ring(count: int = 900):
    """Facts of one domain with labels that are not linearly separable: a disc and a ring."""
    random = np.random.default_rng(4)
    angles = random.normal(0, 1, (count, WIDTH))
    lengths = np.where(np.arange(count) % 2, 20, 90) / np.linalg.norm(angles, axis=1)
    rows = np.clip(128 + angles * lengths[:, None], 0, 255).astype(np.uint8)
    facts = [
        Fact(
            id=f"{n:04}",
            stream="s",
            domain="hall",
            label=("near", "far")[(n + 1) % 2],
            captured_at_ns=n,
            features=row.tobytes(),
        )
        for n, row in enumerate(rows)
    ]
    ledger = MemoryLedger()
    ledger.apply(StoreFacts(facts=tuple(facts), evicted=()))
    return derive_knowledge(ledger, hdc.identity_geometry(WIDTH, ((0, WIDTH),), 1, 256)), ledger


def test_random_features_separate_nonlinear_classes():
    """A plan with room takes them where heads without are no better than a guess, and as many as
    fit; the extract answers as was measured."""
    ground = collect_statistics(*ring())
    chosen = plan_export(ground, ExportRequest(RATE), ROOMY).chosen
    alone = with_head(ground, chosen, shared=True)
    assert chosen.random_count == 4096
    assert chosen.answered > 0.95
    assert alone.answered < 0.7
    tight = plan_export(
        ground, ExportRequest(RATE), FlashBudget(chosen.flash_bytes - 1, 64 * KIB)
    ).chosen
    assert 0 < tight.random_count < 4096
    assert tight.flash_bytes < chosen.flash_bytes
    labels = np.array(tight.extract.labels)[decide(tight.extract, ground.rows).answer]
    wanted = np.array([ground.concepts[concept][1] for concept in ground.own])
    assert (labels == wanted).mean() > 0.95


def test_a_plan_takes_the_best_that_fits(surveyed):
    """A large budget keeps all domains; a small one drops domains and measures the loss."""
    roomy = plan_export(surveyed, ExportRequest(RATE), ROOMY)
    assert roomy.chosen.shape.domains == surveyed.domains
    least = min(roomy.candidates, key=lambda one: one.flash_bytes)
    tight = plan_export(
        surveyed, ExportRequest(RATE), FlashBudget(least.flash_bytes - 200, 64 * KIB)
    )
    assert len(tight.chosen.shape.domains) == 1
    assert tight.chosen.labelled <= 0.5


def test_impossible_export_requests_are_errors(surveyed):
    """An unknown domain, invalid bits and a too small budget raise EdgeError."""
    with pytest.raises(EdgeError, match="'cellar'"):
        plan_export(surveyed, ExportRequest(RATE, domains=("cellar",)), ROOMY)
    with pytest.raises(EdgeError, match="300 bits"):
        plan_export(surveyed, ExportRequest(RATE, bits=300), ROOMY)
    with pytest.raises(EdgeError, match="nothing fits") as raised:
        plan_export(surveyed, ExportRequest(RATE), FlashBudget(100, 100))
    assert "smallest" in raised.value.hint
    ledger = MemoryLedger()
    with pytest.raises(EdgeError, match="no facts"):
        collect_statistics(
            Knowledge(ledger, hdc.identity_geometry(WIDTH, ((0, WIDTH),), 1, 256)), ledger
        )


def test_golden_samples_are_no_facts(surveyed):
    """Golden samples contain no fact and are deterministic."""
    made = golden_features(surveyed)
    assert (made == golden_features(surveyed)).all()
    facts = {row.tobytes() for row in surveyed.rows}
    assert not facts & {row.tobytes() for row in made}
