"""Samples of series on disk: a forget is finished after a restart, and leaves no sample behind."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from edge.core import limits
from edge.core.events import Acknowledgement, ForgetRequest, Observation
from edge.core.facts import Selector
from edge.core.forecasting.series import SeriesTracker
from edge.core.pending_forgets import AdvanceForget
from edge.core.receipt import Receipt, SeriesForgotten
from edge.home.home import Home
from edge.storage import durable_files, series_state
from tests.homes import new_home
from tests.series import BEGIN_NS, STEP_NS, demand, differing, sample, tracker

COUNT = 130
SECRET = 1_234.567_890_123
"""A value that no sample has by chance."""


@pytest.fixture(autouse=True)
def _short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of forty samples."""
    monkeypatch.setattr(limits, "SERIES_PART_SAMPLES", 40)


def events(count: int = COUNT) -> list[Observation]:
    """Samples of real demand, the hundredth with a value of its own."""
    rows = demand(count)
    rows[100] = SECRET
    return [sample(n, row, subject="Ada" if n == 100 else "Bo") for n, row in enumerate(rows)]


def selector(number: int) -> Selector:
    """Select one sample by its time."""
    at_ns = BEGIN_NS + number * STEP_NS
    return Selector(stream="load", from_ns=at_ns, until_ns=at_ns + 1)


def follow(folder: Path) -> None:
    """Follow the series in a home, and save it as the daemon does, now and at the end."""
    with Home(folder, deferring=True) as home:
        for number, event in enumerate(events()):
            home.feed(event)
            if number in (60, COUNT - 1):
                home.session.save(home.runtime.series)


def files(folder: Path) -> list[Path]:
    """The files of the home's series."""
    return [folder / "knowledge.db.series", *sorted((folder / "knowledge.db.series.d").iterdir())]


def twin(gone: int = 100) -> SeriesTracker:
    """The tracker that never received a sample."""
    return tracker(one for number, one in enumerate(events()) if number != gone)


def test_a_forget_is_finished_after_a_restart(tmp_path: Path) -> None:
    """A daemon that ends while samples are processed again goes on with it at the next start, and
    the series is provisional until then; the state is that of the twin."""
    follow(new_home(tmp_path))
    with Home(tmp_path, deferring=True) as home:
        (answer,) = home.feed(
            ForgetRequest(request_id="f", selector=selector(100), requested_at_ns=1)
        )
        assert isinstance(answer, Acknowledgement)
        assert home.runtime.pending_forgets()[0].deriving == ("series",)
        for _ in range(5):
            home.runtime.series.replay()
        home.session.save(home.runtime.series)
    with Home(tmp_path, deferring=True) as home:
        series = home.runtime.series
        assert home.session.problem == ""
        assert series.replaying == ("load",)
        while bool(series.replaying):
            assert not home.advances_forget
            home.replay.advance(series)
        assert differing(series, twin()) == []
        assert home.advances_forget
        (receipt,) = home.feed(AdvanceForget(2))
        assert isinstance(receipt, Receipt)
        assert receipt.series == (SeriesForgotten("load", 1, "replayed", 0),)


def test_a_forgotten_sample_leaves_every_file(tmp_path: Path) -> None:
    """Value, id and subject of a forgotten sample are in the files before, and in none after."""
    follow(new_home(tmp_path))
    needles = (np.float64(SECRET).tobytes(), b"load:100", b"Ada")
    bodies = [one.read_bytes() for one in files(tmp_path)]
    assert all(any(needle in body for body in bodies) for needle in needles)
    with Home(tmp_path, deferring=True) as home:
        home.feed(
            ForgetRequest(request_id="f", selector=Selector(subject="Ada"), requested_at_ns=0)
        )
        bodies = [one.read_bytes() for one in files(tmp_path)]
        assert not any(needle in body for body in bodies for needle in needles)


def test_full_parts_are_written_once(tmp_path: Path) -> None:
    """A second save writes no file of samples or states again."""
    folder = new_home(tmp_path)
    follow(folder)
    before = {one: one.stat().st_ino for one in files(folder)[1:]}
    with Home(folder) as home:
        home.feed(sample(COUNT, [1.0, 2.0]))
        home.session.save(home.runtime.series)
    assert {one: one.stat().st_ino for one in files(folder)[1:]} == before


class Killed(BaseException):
    """The process ends here."""


def kill(monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """End the process at a write of the series' files."""
    counter = itertools.count()
    write, sync = durable_files.write_bytes, durable_files.sync_folder

    def killing(*given, **named) -> None:
        if next(counter) == after:
            raise Killed
        (write if len(given) > 1 else sync)(*given, **named)

    monkeypatch.setattr(series_state, "write_bytes", killing)
    monkeypatch.setattr(series_state, "sync_folder", killing)


@pytest.mark.parametrize("after", range(4))
def test_a_kill_at_any_write_of_a_forget_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Whatever was written, the next start opens the series, removes files that nothing lists, and
    the request, sent again if it has no receipt, ends at the state of the twin."""
    folder = new_home(tmp_path)
    follow(folder)
    home = Home(folder, deferring=True)
    with monkeypatch.context() as patched:
        kill(patched, after)
        try:
            home.feed(ForgetRequest(request_id="f", selector=selector(100), requested_at_ns=0))
        except Killed:
            pass
        finally:
            home.store.close()
    with Home(folder) as again:
        series = again.runtime.series
        assert again.session.problem == ""
        listed = {
            name
            for one in series.saved()
            for part in one.buffer.parts
            for name in (part.start_file, part.samples_file)
            if name
        }
        assert {one.name for one in files(folder)[1:]} == listed
        if again.runtime.series.preview(selector(100)):
            again.feed(ForgetRequest(request_id="f", selector=selector(100), requested_at_ns=0))
        series.finish_replay()
        assert differing(series, twin()) == []


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_a_damaged_part_costs_its_samples_and_nothing_else(tmp_path: Path, damage: str) -> None:
    """Without one of its files the series goes on; samples up to there count as lost."""
    folder = new_home(tmp_path)
    follow(folder)
    with Home(folder) as home:
        (saved,) = home.runtime.series.saved()
        middle = saved.buffer.parts[-2].samples_file
    path = folder / "knowledge.db.series.d" / middle
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    with Home(folder) as home:
        series = home.runtime.series
        assert home.session.problem == ""
        assert differing(series, tracker(events())) == []
        assert series.preview(selector(100)) == (SeriesForgotten("load", 0, "restarted", 120),)
        assert series.preview(selector(121)) == (SeriesForgotten("load", 1, "replayed", 0),)
        home.feed(ForgetRequest(request_id="f", selector=selector(100), requested_at_ns=0))
        assert differing(series, tracker(events()[120:])) == []
