from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import limits
from edge.core.events import Decision, Enrol, FitGeometry, ForgetRequest, Observation, Relabel
from edge.core.facts import Fact, Selector, hash_rank
from edge.core.knowledge import knowledge as place
from edge.core.knowledge.derive import derive_knowledge
from edge.core.knowledge.knowledge import Knowledge
from edge.core.knowledge.refits import HeadRefit, Refit, RouterRefit, ThresholdsRefit
from edge.core.pending_forgets import AdvanceForget
from edge.core.runtime import Runtime
from tests.worlds import World, clouds, fact, vector

FITS_MAX = 100
"""Far more rounds of fits than any test needs."""

ROWS = np.array([vector(seed) for seed in range(9)])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let few facts wait."""
    monkeypatch.setattr(place, "WAITING_FACTS_MIN", 4)


def rows(count: int, domain: str = "x", label: str = "a", centre: int = 1) -> list[Fact]:
    """Facts around one centre."""
    return [
        Fact(
            id=f"{domain}{label}{at}",
            stream="s",
            domain=domain,
            label=label,
            captured_at_ns=at + 1,
            features=one.tobytes(),
        )
        for at, one in enumerate(clouds([centre], count, seed=centre))
    ]


class Deferring(World):
    """A world whose runtime defers, and which advances its background fits by hand."""

    def __init__(self, given: list[Fact]) -> None:
        super().__init__(given)
        self.feed(FitGeometry())
        self.runtime = Runtime(self.config, self.model, self.ledger, deferring=True)
        self.now = 0

    @property
    def known(self) -> Knowledge:
        """The runtime's knowledge."""
        return self.runtime.knowledge

    def show(self, values: np.ndarray | None = None) -> Decision:
        """Decide on a vector."""
        self.now += 1
        given = vector(self.now) if values is None else values
        return next(one for one in self.observe(given, self.now) if isinstance(one, Decision))

    def gather(self) -> Refit | None:
        """Begin a fit, as far as reading its facts."""
        refit = self.runtime.next_refit()
        if refit is not None:
            refit.gather(self.ledger)
        return refit

    def finish(self, refit: Refit) -> None:
        """Solve and install a fit whose facts are read, if it still counts."""
        if self.runtime.prepare(refit):
            refit.solve()
            self.runtime.accept(refit, solved=True)

    def drain(self) -> list[str]:
        """Fit everything that is outdated; returns the names of the parts."""
        names = []
        while (refit := self.gather()) is not None:
            names.append(refit.name)
            self.finish(refit)
        return names

    def complete(self) -> None:
        """Fit until no forget request is pending."""
        for _ in range(FITS_MAX):
            if not self.runtime.forgetting:
                return
            self.drain()
            self.feed(AdvanceForget(1))
        raise AssertionError("a forget request stays pending")

    def state(self) -> list[object]:
        """What decisions follow from once every adaptor was used and all is fitted."""
        state_of(self.known)
        self.drain()
        return state_of(self.known)

    def fresh(self) -> list[object]:
        """The same of knowledge derived from the ledger alone."""
        card = self.model.card.fingerprint
        return state_of(derive_knowledge(self.ledger, self.known.geometry, card=card))


def state_of(known: Knowledge) -> list[object]:
    """Thresholds, router and adaptors of knowledge, comparable."""
    adaptors = [known.adaptor(domain) for domain in known.learned]
    router = known.router() if known.learned else None
    return [
        known.calibration().digest(),
        router and (router.domains, router.scores(ROWS).tolist()),
        [(one.labels, one.answer(ROWS).tolist()) for one in adaptors],
    ]


def two_domains() -> Deferring:
    """Two domains with two labels each, all of which have answered."""
    world = Deferring(
        rows(20, "x", "a", 1)
        + rows(20, "x", "b", 2)
        + rows(20, "y", "a", 3)
        + rows(20, "y", "b", 4)
    )
    world.show()
    world.state()
    assert world.drain() == []
    return world


def test_nothing_waits_after_a_label(monkeypatch):
    """The first decisions after a label solve nothing; afterwards everything is fitted, and equals
    what follows from the ledger."""
    world = two_domains()
    world.feed(Enrol((fact("new", "a", "x", 99, seed=5),)))
    with monkeypatch.context() as patched:
        for kind in (ThresholdsRefit, RouterRefit, HeadRefit):
            patched.setattr(kind, "solve", None)  # whoever solves now fails
        assert world.show().guess in {"a", "b"}
    assert (
        world.drain() == ["thresholds of x", "router", "adaptor of x", "adaptor of y"]
        or set(world.drain()) == set()
    )
    assert world.state() == world.fresh()


def test_the_sums_are_todays_at_once():
    """The digest after a label, and the label's concept, do not wait for a fit."""
    world = two_domains()
    world.feed(Enrol(tuple(rows(3, "x", "new", 9))))
    values = clouds([9], 1, seed=77)[0]
    assert world.show(values).guess == "new"
    assert world.known.own.counts["x", "new"] == 3
    assert world.runtime.digest() == world.derived()


def test_guesses_and_explanations_answer_a_new_label_at_once():
    """While router and adaptor do not know a label yet, the gallery, the explanation and a snapshot
    give the guess of the decision."""
    world = two_domains()
    world.feed(Enrol(tuple(rows(3, "x", "new", 9))))
    values = clouds([9], 1, seed=77)[0]
    served = world.show(values)
    _, (found,) = world.runtime.guesses(values[None])
    explained = world.runtime.explain(served.observation_id)
    assert explained is not None
    assert (served.guess, found.guess, explained.guess) == ("new", "new", "new")
    ((answer, _),) = world.runtime.snapshot().answers(values[None])
    assert answer == "new"


def test_a_label_without_thresholds_is_known_of_no_domain():
    """A new domain answers at once; until its thresholds are there it is called neither known nor
    novel, with the reason."""
    world = two_domains()
    world.feed(Enrol(tuple(rows(120, "z", "c", 9) + rows(120, "z", "d", 10))))
    values = clouds([9], 1, seed=77)[0]
    found = world.show(values)
    assert (found.domain, found.guess, found.known) == ("z", "c", None)
    assert "found 0" in found.reason
    world.drain()
    found = world.show(values)
    assert (found.domain, found.guess) == ("z", "c")
    assert found.known is not None
    assert world.state() == world.fresh()


def test_forgotten_facts_shape_nothing_that_serves():
    """After a forget everything that serves equals what follows from the ledger, whatever was
    outdated or being fitted before."""
    world = two_domains()
    world.feed(Enrol((fact("new", "a", "x", 99, seed=5),)))
    refit = world.gather()
    assert refit is not None
    world.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"xa3", "new"}))))
    world.finish(refit)
    world.show()
    world.complete()
    assert world.state() == world.fresh()


def test_a_renamed_domain_is_routed_to_at_once():
    """After a relabel of a whole domain no decision names the old one."""
    world = two_domains()
    world.feed(Relabel(Selector(domain="y"), domain="yy"))
    for _ in range(4):
        assert world.show().domain in {"x", "yy"}
    world.drain()
    assert world.state() == world.fresh()


def test_knowledge_that_does_not_defer_follows_from_the_ledger():
    """Without deferring, each decision is that of the facts so far, bit for bit."""
    world = World(rows(20, "x", "a", 1) + rows(20, "x", "b", 2) + rows(20, "y", "a", 3))
    world.feed(FitGeometry())
    for number in range(4):
        world.observe(vector(number), number)
        world.feed(Enrol((fact(f"new{number}", "ab"[number % 2], "y", 99, seed=number),)))
        known = world.runtime.knowledge
        assert state_of(known) == state_of(derive_knowledge(world.ledger, known.geometry))


STEPS = st.sampled_from(
    ["learn", "new label", "new domain", "relabel", "forget", "begin", "finish"]
)


@given(steps=st.lists(st.tuples(STEPS, st.integers(0, 9)), max_size=14))
@settings(max_examples=15, deadline=None)
def test_any_order_of_events_and_fits_ends_at_the_ledger(steps: list[tuple[str, int]]) -> None:
    """Whatever is learned, corrected, forgotten and fitted in between, decisions never fail, and
    once all fits are done everything equals what follows from the ledger."""
    world = two_domains()
    begun: Refit | None = None
    for number, (kind, seed) in enumerate(steps):
        key = f"xa{seed}"
        if kind == "begin":
            begun = world.gather()
        elif kind == "finish" and begun is not None:
            world.finish(begun)
            begun = None
        elif kind == "relabel":
            world.feed(Relabel(Selector(ids=frozenset({key})), label="b", domain="xyz"[seed % 3]))
        elif kind == "forget":
            world.feed(
                ForgetRequest(request_id=f"r{number}", selector=Selector(ids=frozenset({key})))
            )
            assert world.runtime.digest() == world.derived()
        else:
            label = f"l{seed % 2}" if kind == "new label" else "a"
            domain = f"d{seed % 2}" if kind == "new domain" else "xy"[seed % 2]
            world.feed(Enrol((fact(f"n{number}", label, domain, number + 50, seed=number),)))
        found = world.show()
        assert found.guess
        assert found.domain in world.known.learned
        assert isinstance(found.p_value, float)
    world.complete()
    assert world.state() == world.fresh()


def test_a_window_is_assessed_again_with_new_thresholds():
    """Thresholds that arrive change the verdicts on the window as new facts do."""
    world = two_domains()
    world.observe(vector(1), 1_000, stream="w")
    before = world.runtime._session.version  # noqa: SLF001 - nothing else shows it
    world.feed(Enrol((fact("new", "a", "x", 99, seed=5),)))
    world.drain()
    world.feed(
        Observation(stream="w", sequence=1_001, captured_at_ns=1_001, payload=vector(2), id="again")
    )
    assert world.runtime._session.version > before + 1  # noqa: SLF001 - as above


def test_a_steady_flow_of_facts_starves_no_part():
    """Labels of one domain that arrive during every fit still let the router and adaptors be
    fitted."""
    world = two_domains()
    for domain in world.known.learned:
        world.known.adaptor(domain)
    world.drain()
    names = []
    for number in range(12):
        world.feed(Enrol((fact(f"more{number}", "a", "x", 100 + number, seed=number),)))
        world.known.adaptor("x")
        refit = world.gather()
        assert refit is not None
        world.feed(Enrol((fact(f"also{number}", "a", "x", 200 + number, seed=number),)))
        world.finish(refit)
        names.append(refit.name)
    assert {"thresholds of x", "router", "adaptor of x"} <= set(names)


def test_an_adaptor_of_a_fact_that_moved_does_not_outlive_it(monkeypatch: pytest.MonkeyPatch):
    """A fact leaves a domain and is forgotten: the domain's adaptor from before does not serve."""
    monkeypatch.setattr(limits, "SUPPORT_FACTS_MAX", 8)
    world = two_domains()
    before = world.known.adaptor("x")
    scopes = world.known._heads._solved["x"][1]  # noqa: SLF001 - what a fact may be in
    moved = [f"xa{at}" for at in range(20)]
    ids = frozenset([one for one in moved if not scopes[1].changes(hash_rank(one))][:5])
    assert len(ids) == 5
    world.feed(Relabel(Selector(ids=ids), domain="y"))
    world.feed(
        ForgetRequest(
            request_id="r", selector=Selector(ids=ids), requested_at_ns=0, refit_geometry=False
        )
    )
    world.complete()
    assert world.known.adaptor("x") is not before
