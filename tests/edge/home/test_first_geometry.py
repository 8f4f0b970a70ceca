"""When the geometry of a home is fitted without being asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli.label_client import HomeLabelClient
from edge.core.events import Enrol, FitGeometry, ForgetRequest, Observation
from edge.core.facts import Selector
from edge.home.first_geometry import (
    FITTED_FROM,
    first_geometry_due,
    fit_first_geometry,
    prepare_first_geometry,
)
from edge.home.home import Home
from tests.homes import new_home
from tests.worlds import fact, vector


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A new home."""
    return new_home(tmp_path / "home")


@pytest.fixture
def home(folder: Path) -> Iterator[Home]:
    """It, as the daemon opens it."""
    with Home(folder, deferring=True) as opened:
        yield opened


def teach(home: Home, count: int, first: int = 0) -> None:
    """Learn facts as labels do: the geometry is left alone."""
    rows = range(first, first + count)
    home.feed(Enrol(tuple(fact(f"f{n}", "ab"[n % 2], at=n + 1, seed=n) for n in rows)))


def show(home: Home) -> None:
    """Decide on a vector."""
    home.feed(Observation(stream="s", sequence=1, captured_at_ns=1, payload=vector(1), id="seen"))


def settle(home: Home) -> None:
    """Wait until no fit runs in the background."""
    while home.refit():
        home._fitter.join()  # noqa: SLF001  the test waits for the thread


def test_it_is_fitted_once_and_beside_serving(home: Home) -> None:
    """From enough facts on; a decision in between does not wait for it."""
    teach(home, FITTED_FROM - 1)
    assert not first_geometry_due(home)
    assert not prepare_first_geometry(home)
    teach(home, 1, FITTED_FROM)
    assert first_geometry_due(home)
    assert not prepare_first_geometry(home), "it has only begun"
    show(home)
    assert home.store.geometry() is None
    settle(home)
    assert prepare_first_geometry(home)
    home.feed(FitGeometry())
    assert home.store.geometry() is not None
    assert not first_geometry_due(home)
    teach(home, 50, 1_000)
    settle(home)
    assert not prepare_first_geometry(home)


def test_forgetting_below_the_number_ends_it(home: Home) -> None:
    """A geometry that was fitted to forgotten facts is dropped, and none is due any more."""
    teach(home, FITTED_FROM)
    prepare_first_geometry(home)
    settle(home)
    ids = frozenset({"f1"})
    home.feed(ForgetRequest(request_id="r", selector=Selector(ids=ids)))
    settle(home)
    assert not prepare_first_geometry(home)
    assert not first_geometry_due(home)
    assert home.store.geometry() is None


def test_a_member_of_a_fleet_fits_none(folder: Path) -> None:
    """Sums of devices add up under one geometry."""
    with (folder / "auricle.toml").open("a", encoding="utf-8") as settings:
        settings.write('\n[fleet]\nname = "f"\n')
    with Home(folder, deferring=True) as home:
        teach(home, FITTED_FROM)
        assert not first_geometry_due(home)


def test_labels_in_a_terminal_fit_it_without_a_daemon(folder: Path) -> None:
    """The label that makes them enough fits it at once."""
    with Home(folder) as home:
        teach(home, FITTED_FROM - 1)
        show(home)
        HomeLabelClient(home).label("seen", "a", "home")
        assert home.store.geometry() is not None


def test_it_is_fitted_again_after_everything_was_forgotten(folder: Path) -> None:
    """A geometry that is left of an empty home counts as none."""
    with Home(folder) as home:
        teach(home, FITTED_FROM)
        fit_first_geometry(home)
        home.feed(ForgetRequest(request_id="r", selector=Selector(domain="home")))
        assert home.store.geometry() is not None
        teach(home, FITTED_FROM, 1_000)
        assert first_geometry_due(home)
