"""Cohorts: what leaves the device never says anything about fewer than eight facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.core.facts import Fact, stack_facts
from edge.core.knowledge import cohorts
from edge.core.knowledge.cohorts import (
    CohortPlan,
    Published,
    digest_content,
    may_be_exported,
    plan_cohorts,
)
from tests.worlds import fact

KEY = b"k" * 32
Concept = tuple[str, str]


@dataclass
class Home:
    """Facts, and what was published of them."""

    facts: dict[str, Fact] = field(default_factory=dict)
    published: Published = field(default_factory=lambda: Published(key=KEY, cohorts={}))
    seen: list[Counter[tuple[Concept, str]]] = field(default_factory=list)

    def learn(self, first: int, count: int, label: str = "a") -> None:
        """Learn facts with contents of their own."""
        made = (fact(f"f{n}", label, at=n, seed=n) for n in range(first, first + count))
        self.facts |= {one.id: one for one in made}

    def publish(self) -> CohortPlan:
        """Publish, record it, and keep what an observer sees, as contents by concept."""
        batches = [stack_facts(tuple(self.facts.values()))] if self.facts else []
        plan = plan_cohorts(batches, self.published)
        held = {n: one for n, one in self.published.cohorts.items() if n not in plan.dropped}
        first = max(self.published.cohorts, default=0) + 1
        held |= {first + n: members for n, members in enumerate(plan.added)}
        self.published = replace(self.published, cohorts=held)
        ids = [one for cohort in plan.current for one in cohort.ids]
        assert len(ids) == len(set(ids))
        told = [(cohort.concept, self.facts[one]) for cohort in plan.current for one in cohort.ids]
        assert all((f.domain, f.label) == concept for concept, f in told)
        self.seen.append(Counter((concept, f.features.hex()) for concept, f in told))
        return plan

    def ids(self) -> set[str]:
        """The facts that the last revision holds."""
        contents = {content for _, content in self.seen[-1]}
        return {one.id for one in self.facts.values() if one.features.hex() in contents}


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(("learn", "forget", "relabel", "return", "copy")),
        st.integers(0, 10_000),
        st.integers(1, 12),
    ),
    min_size=1,
    max_size=14,
)


def live(home: Home, kind: str, at: int, count: int) -> None:
    """Change some facts in one way."""
    ids = sorted(home.facts)
    chosen = [ids[(at + n) % len(ids)] for n in range(count)] if ids else []
    for number, one in enumerate(chosen):
        match kind:
            case "forget":
                home.facts.pop(one, None)
            case "relabel":
                home.facts[one] = replace(home.facts[one], label="ab"[at % 2])
            case "copy":
                name = f"copy {at} {number}"
                home.facts[name] = replace(home.facts[one], id=name, label="ab"[number % 2])
    if kind == "learn":
        home.learn(at, count, "ab"[at % 2])
    if kind == "return":
        home.learn(at % 40, count, "ab"[at % 2])


@settings(max_examples=60, deadline=None)
@given(
    changes=CHANGES,
    weights=st.lists(st.integers(-3, 3), min_size=40, max_size=40),
)
def test_no_weighted_sum_of_revisions_is_about_fewer_than_eight_facts(
    changes: list[tuple[str, int, int]], weights: list[int]
):
    """Whatever is learned, forgotten, corrected, repeated and learned again: two revisions of a
    concept differ by no fact or by eight and more, and so does any weighted sum of any revisions,
    of one concept or of all."""
    home = Home()
    home.learn(0, 20)
    home.learn(20, 20, "b")
    home.publish()
    for change in changes:
        live(home, *change)
        home.publish()
    for concept in {key[0] for one in home.seen for key in one}:
        rows = [{key[1]: n for key, n in one.items() if key[0] == concept} for one in home.seen]
        for later in range(len(rows)):
            for earlier in range(later):
                assert about([(1, rows[later]), (-1, rows[earlier])]) not in range(1, 8)
        assert about(zip(weights, rows, strict=False)) not in range(1, 8)
    gram = [Counter({key[1]: 0 for key in one}) for one in home.seen]
    for total, one in zip(gram, home.seen, strict=True):
        for (_, content), count in one.items():
            total[content] += count
    assert about(zip(weights, gram, strict=False)) not in range(1, 8)


def about(terms: Iterable[tuple[int, dict[str, int]]]) -> int:
    """The number of contents that a weighted sum depends on."""
    total: Counter[str] = Counter()
    for weight, row in terms:
        for content, count in row.items():
            total[content] += weight * count
    return sum(value != 0 for value in total.values())


def test_a_small_concept_is_withheld_until_it_has_eight_different_facts():
    """Seven facts, or one fact under eight ids, are not published; its name neither."""
    home = Home()
    home.learn(0, 7)
    copied = home.facts["f0"]
    home.facts |= {f"copy{n}": replace(copied, id=f"copy{n}") for n in range(9)}
    assert home.publish().current == ()
    home.learn(7, 1)
    (cohort,) = home.publish().current
    assert len(cohort.ids) == 17


def test_a_forgotten_fact_takes_its_cohort_and_no_other():
    """The rest of the concept stays published; the cohort's other facts wait for eight new ones,
    and are then published with them."""
    home = Home()
    home.learn(0, 80)
    assert len(home.publish().current) == 10
    del home.facts["f11"]
    home.publish()
    assert home.ids() == {f"f{n}" for n in range(80) if n // 8 != 1}
    home.learn(80, 7)
    home.publish()
    assert len(home.ids()) == 72
    home.learn(87, 1)
    home.publish()
    assert home.ids() == set(home.facts)


def test_what_returns_intact_is_published_again():
    """A fact that comes back completes its cohort, and a domain that is renamed stays published."""
    home = Home()
    home.learn(0, 40)
    home.publish()
    gone = home.facts.pop("f3")
    home.publish()
    assert len(home.ids()) == 32
    home.facts["f3"] = gone
    assert home.publish().added == ()
    assert len(home.ids()) == 40
    home.facts = {key: replace(one, domain="renamed") for key, one in home.facts.items()}
    plan = home.publish()
    assert plan.added == ()
    assert {cohort.concept for cohort in plan.current} == {("renamed", "a")}


def test_a_corrected_fact_does_not_open_its_new_concept():
    """Facts published under another label are not new: seven new ones and one corrected one are
    not enough."""
    home = Home()
    home.learn(0, 16)
    home.publish()
    home.learn(100, 7, "b")
    home.facts["f2"] = replace(home.facts["f2"], label="b")
    assert {cohort.concept for cohort in home.publish().current} == {("home", "a")}
    home.learn(107, 1, "b")
    home.publish()
    assert "f2" in home.ids()


def test_cohorts_are_bounded(monkeypatch: pytest.MonkeyPatch):
    """A cohort takes at most 64 facts, and the oldest departed cohorts are dropped at a limit."""
    home = Home()
    home.learn(0, 160)
    home.publish()
    for number in range(0, 160, 8):
        del home.facts[f"f{number}"]
    home.learn(200, 8)
    plan = home.publish()
    (cohort,) = plan.current
    assert len(cohort.ids) == 64
    assert plan.dropped == ()
    monkeypatch.setattr(cohorts, "DEPARTED_MAX", 20)
    assert home.publish().dropped == tuple(range(18, 0, -1))


def test_digests_need_the_key():
    """Equal contents have equal digests under one key, and others under another."""
    row = np.arange(8, dtype=np.uint8).tobytes()
    assert digest_content(row, KEY) == digest_content(row, KEY) != digest_content(row, b"other")
    assert len(digest_content(row, KEY)) == 16


def test_parts_of_bundles_follow_the_same_rule():
    """A geometry or an adaptor leaves the device if eight contents had no part in any before."""
    names = [bytes([n]) for n in range(40)]
    assert may_be_exported(names[:8], [])
    assert not may_be_exported(names[:7], [])
    assert not may_be_exported(names[:19], [names[:20]])
    assert not may_be_exported(names[:27], [names[:20]])
    assert may_be_exported(names[:28], [names[:20]])
    assert not may_be_exported(names[:28], [names[:20], names[20:30]])
