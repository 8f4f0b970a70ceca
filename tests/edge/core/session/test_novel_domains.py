from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

import hdc
from edge.core import limits
from edge.core.config import Config
from edge.core.knowledge.derive import derive_knowledge
from edge.core.knowledge.knowledge import Knowledge
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.session.novel_domains import (
    NovelDomains,
    ReferenceModel,
    UnlabelledRow,
    bisect_rows,
    unpack_rows,
)
from tests.worlds import clouds, fact

WIDE = 64


def known(count: int = 120, domain: str = "home", centre: int = 1) -> Knowledge:
    """Knowledge of one domain with one class."""
    rows = clouds((centre,), count, width=WIDE)
    facts = [fact(f"{domain}-{at:03}", "a", domain, at, width=WIDE, seed=0) for at in range(count)]
    ledger = MemoryLedger(
        [
            replace(one, captured_at_ns=at, features=row.tobytes())
            for at, (one, row) in enumerate(zip(facts, rows, strict=True))
        ]
    )
    return derive_knowledge(ledger, hdc.identity_geometry(WIDE, ((0, WIDE),), 1))


def opened(openings: NovelDomains, name: str, centre: int, count: int = 20) -> None:
    """Add observations of a cloud to a novel domain."""
    for at, values in enumerate(clouds((centre,), count, seed=3, width=WIDE)):
        openings.add(name, f"{name}:{at}", UnlabelledRow("a", values.tobytes()))


def test_without_novel_domains_the_reference_is_the_knowledge():
    """Without novel domains the reference model shares the memory of knowledge."""
    knowledge = known()
    assert NovelDomains().reference_model(knowledge, 0).memory is knowledge.memory


def test_an_opening_is_recognised():
    """Samples of a novel domain are placed there, known ones in their own domain."""
    knowledge, openings = known(), NovelDomains()
    opened(openings, "domain-2", 7)
    reference = openings.reference_model(knowledge, 0)
    for centre, name in ((7, "domain-2"), (1, "home")):
        shown = clouds((centre,), 1, seed=9, width=WIDE)[0]
        codes = knowledge.geometry.project(shown)
        found = reference.compare(shown, knowledge)[1].nearest()
        assert min(found, key=found.__getitem__) == name
        assert hdc.detect(codes, reference.memory, reference.calibration).domain == name


def test_knowledge_is_unharmed_by_openings():
    """A reference model leaves the sums and thresholds of knowledge unchanged."""
    knowledge, openings = known(), NovelDomains()
    before = knowledge.digest("card")
    opened(openings, "domain-2", 7)
    openings.reference_model(knowledge, 0)
    assert knowledge.digest("card") == before
    codes = knowledge.geometry.project(clouds((7,), 1, width=WIDE)[0])
    assert set(hdc.compare(codes, knowledge.memory, knowledge.calibration()).nearest()) == {"home"}


def test_a_new_opening_is_laid_at_once():
    """A single observation of a new name is in the next reference model."""
    knowledge, openings = known(), NovelDomains()
    openings.reference_model(knowledge, 0)
    opened(openings, "domain-2", 7, count=1)
    assert ("domain-2", "?a0") in openings.reference_model(knowledge, 0).memory.keys


def test_samples_apart_and_samples_alike():
    """A new cloud is separate from a domain; a part of the domain is not."""
    knowledge = known()
    reference = NovelDomains().reference_model(knowledge, 0)
    for centre, new in ((7, True), (1, False)):
        rows = np.array(clouds((centre,), 24, seed=9, width=WIDE))
        shift = reference.shift(knowledge.geometry.project(rows), "home", [""] * 24)
        assert (shift >= 1) is new


def test_the_mean_of_a_part_has_not_moved():
    """Under a fitted geometry, samples whose mean differs from a domain's are separate, and random
    parts of the domain are not; a recording counts once, however many samples it has."""
    random = np.random.default_rng(3)
    rows = random.integers(90, 130, (300, WIDE)).astype(np.uint8)
    geometry = hdc.fit_geometry(rows[:200], np.zeros(200, np.int64), ((0, WIDE),), 1)
    memory = hdc.Memory(geometry)
    memory.add("home", "a", geometry.project(rows[:200]))
    reference = ReferenceModel(memory, hdc.calibrate(memory, []))
    part, moved = rows[200:224], rows[200:224] + np.uint8(12)
    assert reference.shift(geometry.project(part), "home", [""] * 24) < 0.7
    assert reference.shift(geometry.project(moved), "home", [""] * 24) > 2
    names = [f"r{at // 8}" for at in range(24)]
    codes = geometry.project(moved)
    compared = [hdc.compare(codes[at], memory, reference.calibration) for at in range(len(codes))]
    known_already = reference.known_scores(compared)
    assert known_already is not None
    found = reference.shift(codes, "home", names, known_already)
    one_each = reference.shift(geometry.project(moved), "home", names)
    assert found == one_each
    assert ReferenceModel(memory.part("home"), reference.calibration).known_scores(compared) is None
    assert one_each < reference.shift(geometry.project(moved), "home", [""] * 24)


def test_openings_are_bounded():
    """The oldest observations, and the novel domain not visited for longest, are dropped first."""
    openings = NovelDomains()
    size = limits.NOVEL_DOMAIN_OBSERVATIONS_MAX
    for at in range(size + 2):
        openings.add("first", f"o{at}", UnlabelledRow("a", b"\0"))
    assert next(iter(openings.rows("first"))) == "o2"
    assert len(openings.rows("first")) == size
    for number in range(limits.NOVEL_DOMAINS_MAX):
        openings.add(f"n{number}", f"n{number}", UnlabelledRow("a", b"\0"))
    assert "first" not in openings
    assert len(openings.names) == limits.NOVEL_DOMAINS_MAX


def test_dropped_observations_leave_no_trace():
    """After dropping, the reference model equals one that never held the observations."""
    knowledge, one, other = known(), NovelDomains(), NovelDomains()
    opened(one, "domain-2", 7, 21)
    opened(other, "domain-2", 7, 20)
    one.drop(["domain-2:20", "nothing"])
    models = [openings.reference_model(knowledge, 0) for openings in (one, other)]
    assert models[0].memory.digest() == models[1].memory.digest()
    assert models[0].calibration.digest() == models[1].calibration.digest()


def test_renaming_joins_openings():
    """A novel domain renamed to another becomes part of it."""
    openings = NovelDomains()
    openings.add("a", "1", UnlabelledRow("x", b"\1"))
    openings.add("b", "2", UnlabelledRow("y", b"\2"))
    openings.rename("b", "a")
    assert openings.names == {"a"}
    assert set(openings.rows("a")) == {"1", "2"}
    assert unpack_rows(openings.rows("a").values()).tolist() == [[1], [2]]


@pytest.mark.parametrize(("facts", "closed"), [(120, True), (20, False)])
def test_an_opening_closes_once_its_facts_know_it(facts: int, closed: bool):
    """Facts that recognise every window of a novel domain promote it; too few do not."""
    openings = NovelDomains()
    opened(openings, "home", 1, 32)
    openings.promote(known(facts), Config(window=8))
    assert ("home" not in openings) is closed


def test_an_opening_without_facts_stays():
    """A novel domain without facts is not promoted."""
    openings = NovelDomains()
    opened(openings, "domain-2", 7)
    openings.promote(known(), Config(window=8))
    assert "domain-2" in openings


def test_rows_are_cut_where_they_lie_apart():
    """Three clouds give three groups, one cloud gives one, and no row is lost."""
    rows = np.array(clouds((1, 2, 3), 10, width=WIDE))
    assert sorted(len(part) for part in bisect_rows(rows)) == [10, 10, 10]
    assert [len(part) for part in bisect_rows(rows[:10])] == [10]
    assert len(bisect_rows(np.zeros((4, WIDE), np.uint8))) == 1
