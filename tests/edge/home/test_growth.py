from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.core.errors import EdgeError
from edge.core.events import Enrol, GrowRequest, StoreAdaptor
from edge.home import growth as growing
from edge.home.home import Home
from tests import workers
from tests.homes import new_home
from tests.worlds import fact


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An opened home with two domains to grow, whose worker finishes at once."""
    with Home(new_home(tmp_path / "home")) as opened:
        for domain in ("attic", "hall"):
            facts = [fact(f"{domain}{n:02}", "ab"[n % 2], domain, n, seed=n) for n in range(24)]
            opened.feed(Enrol(tuple(facts)))
        opened.worker = workers.worker("grown")
        yield opened


def test_a_domain_is_grown_on_request(home):
    """The outcome has the search, the candidates and the serving version; `beat` is called
    meanwhile."""
    beats: list[str] = []
    done = growing.grow_domain(home, "hall", beats.append)
    assert (done.domain, done.state, done.version) == ("hall", "serving", 1)
    assert (done.accuracy, done.incumbent) == (0.9, 0.7)
    assert done.search == ("a stage",)
    assert [one.blueprint for one in done.candidates] == ["linear: taps 0, width 4", "none: taps 0"]
    assert done.seconds > 0
    assert set(beats) == {"hall"}


def test_every_domain_that_is_due_is_grown(home):
    """Domains with enough new facts are grown one after the other, and none twice."""
    done = list(growing.grow_due(home, lambda _: None))
    assert sorted(one.domain for one in done) == ["attic", "hall"]
    assert list(growing.grow_due(home, lambda _: None)) == []


def test_an_impossible_growth_is_an_error(home):
    """An unknown domain is refused with the known names, and a second job is refused."""
    with pytest.raises(EdgeError, match="no such domain") as caught:
        growing.grow_domain(home, "cellar", lambda _: None)
    assert "attic, hall" in caught.value.hint
    home.worker = workers.worker("hanging")
    home.feed(GrowRequest("attic"))
    with pytest.raises(EdgeError, match="is being grown"):
        growing.grow_domain(home, "hall", lambda _: None)


def test_nothing_better_changes_nothing(home):
    """If no candidate beats the incumbent, the outcome has the reason, and no version is stored."""
    home.worker = workers.worker("refused")
    done = growing.grow_domain(home, "hall", lambda _: None)
    assert (done.state, done.version, done.reason) == ("refused", 0, "nothing is better")
    assert home.store.adaptors() == {}


def test_versions_are_listed_newest_first(home):
    """Each domain shows its versions, the serving one with its cost; a domain without any shows its
    head."""
    for _ in range(3):
        growing.grow_domain(home, "hall", lambda _: None)
    rows = growing.list_adaptors(home)
    shown = [(row.domain, row.version, row.serves, row.kind) for row in rows]
    assert shown == [
        ("attic", 0, True, "none"),
        ("hall", 3, True, "linear"),
        ("hall", 2, False, "linear"),
    ]
    head, serving, kept = rows
    adaptor = home.runtime.knowledge.adaptor("hall")
    assert (serving.nbytes, serving.operations) == (adaptor.nbytes, adaptor.operations)
    assert (kept.nbytes, kept.operations) == (0, 0)
    assert (head.facts, head.accuracy) == (24, None)
    assert (serving.facts, serving.accuracy, serving.incumbent) == (24, 0.9, 0.7)
    assert serving.digest != kept.digest or serving.version != kept.version


def test_an_adaptor_without_facts_does_not_serve(home):
    """A domain with an adaptor and no facts is listed, but no version serves."""
    home.store.apply(StoreAdaptor(workers.a_record("cellar")))
    (row,) = (one for one in growing.list_adaptors(home) if one.domain == "cellar")
    assert (row.serves, row.nbytes) == (False, 0)


def test_rolling_back_goes_one_version_at_a_time(home):
    """The previous version serves again, then the head alone; another rollback is an error."""
    for _ in range(2):
        growing.grow_domain(home, "hall", lambda _: None)
    assert "version 1 serves again" in growing.roll_back(home, "hall").detail
    assert home.store.adaptors()["hall"][0].version == 1
    assert "head alone" in growing.roll_back(home, "hall").detail
    assert home.store.adaptors() == {}
    with pytest.raises(EdgeError, match="no adaptor serves there"):
        growing.roll_back(home, "hall")
