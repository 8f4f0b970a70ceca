"""Label columns: clusters of an opened domain, named by a fact among their samples, and nothing
else."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edge.core.events import Enrol, ForgetRequest, Label
from edge.core.facts import Selector, stack_facts
from edge.core.knowledge.moments import NearestConceptAnswer
from edge.core.session.label_columns import (
    COLUMN_DOMAINS_MAX,
    COLUMN_ROWS_MIN,
    COLUMNS_MAX,
    EXPLAINED_MIN,
    SAMPLES_SHOWN,
    LabelColumn,
    find_columns,
)
from edge.core.session.novel_domains import UnlabelledRow, unpack_rows
from tests.edge.core.session.adapted_worlds import drawn, stream, taught
from tests.worlds import World, clouds, fact

WIDTH = 16
NOTHING = stack_facts([])


def columns(centres=(1, 2, 3, 4), count=16, facts=NOTHING, sure=0.5) -> tuple[LabelColumn, ...]:
    """Columns of clouds around some centres, whose first half looks like `a`, the rest like `b`."""
    rows = np.array(clouds(centres, count, width=WIDTH))
    ids = [f"o{at:03}" for at in range(len(rows))]
    likely = np.full((len(rows), 2), 1 - sure)
    likely[: len(rows) // 2, 0] = likely[len(rows) // 2 :, 1] = sure
    return find_columns("yard", ids, rows, facts, (("a", "b"), likely))


def test_clusters_become_columns():
    """Clouds are columns of one cloud each, with samples of theirs, and all samples are in one."""
    found = columns(sure=0.6)
    for one in found:
        clouds_of = {int(key[1:]) // 16 for key in one.members}
        assert len(clouds_of) == 1
        assert set(one.samples) <= one.members
        assert len(one.samples) == min(one.count, SAMPLES_SHOWN)
        assert one.likelihood == pytest.approx(0.6)
        assert one.nearest == ("a" if clouds_of <= {0, 1} else "b")
        assert one.waits
    assert sum(one.count for one in found) == 64


def test_what_a_known_label_explains_needs_no_name():
    """With a likely known label a column keeps that; one less likely waits."""
    assert not any(one.waits for one in columns(sure=EXPLAINED_MIN + 0.01))
    assert all(one.waits for one in columns(sure=EXPLAINED_MIN - 0.1))


def test_each_kind_is_offered_before_one_is_offered_again():
    """Three kinds in nine clusters, three each: the first three clusters offered are of three
    kinds; where one kind has a name, the two others come first."""
    towards = np.eye(3, WIDTH) * 90
    rows = np.array(clouds([0] * 9, 18, spread=3, width=WIDTH), np.int64)
    kinds = np.repeat(np.arange(9) % 3, 18)
    apart = np.repeat(np.random.default_rng(4).normal(0, 14, (9, WIDTH)), 18, axis=0)
    seen = np.clip(120 + towards[kinds] + apart + rows % 3, 0, 255).astype(np.uint8)
    ids = [f"o{at:03}" for at in range(len(seen))]
    answers = ("a",), np.array([0.3, 0.5, 0.6])[kinds][:, None]

    def offered(facts=NOTHING) -> list[int]:
        found = find_columns("yard", ids, seen, facts, answers)
        return [int(kinds[int(one.samples[0][1:])]) for one in found if one.waits]

    assert set(offered()[:3]) == {0, 1, 2}
    named = stack_facts([replace(fact("n", "b", "yard"), features=seen[0].tobytes())])
    assert set(offered(named)[:2]) == {1, 2}


def test_a_fact_names_its_column_alone():
    """A column with one label among its facts has that name; with two it has none."""
    rows = clouds((1, 2, 3, 4), 16, width=WIDTH)
    for labels, expected in ((("new",), "new"), (("new", "new"), "new"), (("new", "old"), "")):
        made = [
            replace(fact(f"f{at}", label, "yard", width=WIDTH), features=rows[at].tobytes())
            for at, label in enumerate(labels)
        ]
        found = columns(facts=stack_facts(made))
        assert {one.label for one in found} - {""} == ({expected} - {""})
        holder = next(one for one in found if "o000" in one.members)
        assert holder.label == expected


def test_few_samples_have_no_columns():
    """Below the least number there are none, and without known labels neither."""
    assert columns((1,), COLUMN_ROWS_MIN - 1) == ()
    rows = np.array(clouds((1, 2), 20, width=WIDTH))
    none = ((), np.zeros((40, 0)))
    assert find_columns("yard", [str(at) for at in range(40)], rows, NOTHING, none) == ()


@settings(max_examples=25, deadline=None)
@given(st.integers(COLUMN_ROWS_MIN, 120), st.integers(0, 1_000), st.booleans())
def test_every_sample_is_in_one_column(count: int, seed: int, same: bool):
    """Whatever the samples, equal ones among them: each is in exactly one column, which are few."""
    rows = np.random.default_rng(seed).integers(0, 256, (count, WIDTH), np.uint8)
    if same:
        rows[:] = rows[0]
    likely = np.random.default_rng(seed + 1).dirichlet(np.ones(3), count)
    ids = [f"{at:04}" for at in range(count)]
    found = find_columns("yard", ids, rows, NOTHING, (("a", "b", "c"), likely))
    assert sorted(key for one in found for key in one.members) == ids
    assert 1 <= len(found) <= COLUMNS_MAX
    again = find_columns("yard", ids, rows, NOTHING, (("a", "b", "c"), likely))
    assert found == again


def opened() -> tuple[World, tuple[LabelColumn, ...]]:
    """A world whose stream has opened a domain, and its columns."""
    world = taught()
    stream(world, drawn(160, 3))
    found = world.runtime.label_columns()
    assert found
    return world, found


def test_an_opened_domain_has_columns():
    """The runtime groups what it holds of a domain without labels."""
    world, found = opened()
    names = {one.domain for one in found}
    assert names.isdisjoint(world.runtime.knowledge.domains)
    held = {key for key, _ in world.runtime.recent()}
    assert all(one.members <= held for one in found)


def test_a_search_shares_nothing_that_learning_changes():
    """Where the nearest concept answers for a domain, the search has a memory of its own: another
    thread that read that of the decisions could lose one of their changes."""
    world, _ = opened()
    known = world.runtime.knowledge
    nearest = known._nearest_concept  # noqa: SLF001 - as while a head is solved in the background
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "adaptor", nearest)
        searches = world.runtime.column_searches()
    experts = [one for search in searches for one in search.experts]
    assert experts
    row = np.full((1, known.geometry.width), 90, np.uint8)
    for one in experts:
        assert isinstance(one, NearestConceptAnswer)
        assert one.memory is not known.memory
        assert np.array_equal(one.answer(row), nearest(one.domain).answer(row))
    before = [search.find() for search in searches]
    for domain in sorted({name for name, _ in known.own.counts}):
        world.feed(ForgetRequest(request_id=domain, selector=Selector(domain=domain)))
    assert [search.find() for search in searches] == before


def test_a_label_names_a_column():
    """A label of a column's first sample becomes a fact, the only one, and the column has its name;
    the label is the person's, the column nobody's: the ledger holds one fact more."""
    world, found = opened()
    chosen = max(found, key=lambda one: one.count)
    before = sum(world.runtime.knowledge.own.counts.values())
    world.feed(Label(chosen.samples[0], "never seen", chosen.domain))
    assert sum(world.runtime.knowledge.own.counts.values()) == before + 1
    named = [one for one in world.runtime.label_columns() if one.label == "never seen"]
    assert len(named) == 1
    assert len(named[0].members & chosen.members) > 0
    assert not named[0].waits


def test_a_forgotten_sample_leaves_its_column():
    """After a forget request the sample is in no column, and the others are those of any world that
    holds the same samples."""
    world, found = opened()
    gone = found[0].samples[0]
    world.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset((gone,)))))
    after = world.runtime.label_columns()
    assert all(gone not in one.members for one in after)
    twin = taught()
    stream(twin, drawn(160, 3))
    twin.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset((gone,)))))
    assert after == twin.runtime.label_columns()


def test_forgetting_a_name_takes_it_back():
    """Once the fact that names a column is forgotten, no column has the name."""
    world, found = opened()
    world.feed(Label(found[0].samples[0], "never seen", found[0].domain))
    world.feed(ForgetRequest(request_id="r", selector=Selector(label="never seen")))
    assert "never seen" not in {one.label for one in world.runtime.label_columns()}


def test_decisions_wait_for_the_columns_of_some_domains_only():
    """With many opened domains a few are grouped, those without a label first, so that each has its
    turn."""
    world = taught()
    stream(world, drawn(160, 3))
    session = world.runtime._session  # noqa: SLF001 (opening so many takes thousands of samples)
    (opened,) = {one.domain for one in world.runtime.label_columns()}
    held = dict(session.novel_domains.rows(opened))
    names = [f"opened-{number}" for number in range(COLUMN_DOMAINS_MAX + 2)]
    for name in names:
        for key, row in held.items():
            session.novel_domains.add(name, key, row)
    shown = {one.domain for one in world.runtime.label_columns()}
    assert len(shown) == COLUMN_DOMAINS_MAX
    for domain in shown:
        world.feed(Enrol((fact(f"named-{domain}", "a", domain, width=width_of(held)),)))
    later = {one.domain for one in world.runtime.label_columns()}
    assert {opened, *names} - shown <= later


def width_of(rows: Mapping[str, UnlabelledRow]) -> int:
    """The columns of observations."""
    return len(unpack_rows(rows.values())[0])
