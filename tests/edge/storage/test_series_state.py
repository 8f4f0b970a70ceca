"""Series on disk continue after a restart, or start from scratch with a reason, and can be
forgotten."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge.core.errors import StateError
from edge.core.events import ForgetRequest, Message, Observation
from edge.core.facts import Selector
from edge.core.receipt import Receipt, SeriesForgotten
from edge.home.home import Home
from edge.storage import series_state as session
from edge.storage.serialization import pack_arrays, pack_data, unpack_arrays, unpack_data
from edge.storage.series_state import SavedSeries
from tests.homes import new_home

STEP_NS = 300 * 10**9
ROWS = 1000 + np.cumsum(np.random.default_rng(0).normal(size=(60, 3)), axis=0)


def follow(
    home: Home, first: int, last: int, stream: str = "links", subject: str = ""
) -> list[tuple[Message, ...]]:
    """Feed some samples and return the messages."""
    rows = enumerate(ROWS[first:last], first)
    return [
        home.feed(
            Observation(
                stream=stream,
                sequence=n,
                captured_at_ns=n * STEP_NS,
                payload=row,
                id="",
                subject=subject,
                kind="series",
            )
        )
        for n, row in rows
    ]


def saved_home(folder: Path) -> tuple[Path, list[tuple[Message, ...]]]:
    """A home whose series was saved half way, and the messages of an uninterrupted one."""
    with Home(new_home(folder)) as home:
        follow(home, 0, 40)
        home.session.save(home.runtime.series)
        forecasts = follow(home, 40, 60)
    return folder, forecasts


def file_of(folder: Path) -> Path:
    """The file of a home's series."""
    return folder / "knowledge.db.series"


def test_a_series_goes_on_after_a_restart(tmp_path: Path) -> None:
    """A restored series forecasts bit-identically to an uninterrupted one."""
    folder, forecasts = saved_home(tmp_path)
    with Home(folder) as home:
        assert home.session.problem == ""
        assert follow(home, 40, 60) == forecasts


def test_a_file_of_an_older_program_is_read(tmp_path: Path) -> None:
    """A file from before the end of the span was stored costs nothing: the series goes on, and a
    request to forget a time range, which may be in it, leaves only the samples since."""
    folder, forecasts = saved_home(tmp_path)
    path = file_of(folder)
    saved = unpack_data(path.read_bytes(), SavedSeries)
    arrays = dict(unpack_arrays(saved.block.tobytes()))
    from_ns, _, last_ns, samples = arrays["0/times"]
    arrays = {name: one for name, one in arrays.items() if "tail/" not in name}
    del arrays["0/buffer"]
    arrays["0/times"] = np.array([from_ns, last_ns, samples])
    block = pack_arrays(arrays)
    digest = hashlib.sha256(block).hexdigest()
    older = SavedSeries(saved.version, saved.names, digest, np.frombuffer(block, np.uint8))
    path.write_bytes(pack_data(older))
    with Home(folder) as home:
        assert home.session.problem == ""
        assert follow(home, 40, 60) == forecasts
        (receipt,) = home.feed(
            ForgetRequest(request_id="f", selector=Selector(from_ns=10**15), requested_at_ns=0)
        )
        assert isinstance(receipt, Receipt)
        assert receipt.series == (SeriesForgotten("links", 0, "restarted", 40),)
        state = home.runtime.series.state()["links"]
        assert state["times"].tolist() == [40 * STEP_NS, 59 * STEP_NS, 59 * STEP_NS, 20]


@pytest.mark.parametrize("place", [0, 9, 200, 5000, -1])
def test_a_damaged_file_costs_the_series_and_nothing_else(tmp_path: Path, place: int) -> None:
    """After any changed byte all series start from scratch, and the reason is reported."""
    folder, _ = saved_home(tmp_path)
    body = bytearray(file_of(folder).read_bytes())
    body[place] ^= 1
    file_of(folder).write_bytes(body)
    with Home(folder) as home:
        assert str(file_of(folder)) in home.session.problem
        assert home.runtime.series.state() == {}
        assert len(follow(home, 0, 3)) == 3


def test_a_file_that_was_cut_or_is_too_large_is_left_alone(tmp_path: Path, monkeypatch) -> None:
    """A truncated or too large file makes series start from scratch; the latter is not read."""
    folder, _ = saved_home(tmp_path)
    body = file_of(folder).read_bytes()
    for length in (0, 7, len(body) // 2):
        file_of(folder).write_bytes(body[:length])
        with Home(folder) as home:
            assert "start from scratch" in home.session.problem
    file_of(folder).unlink()
    os.mkfifo(file_of(folder))
    with Home(folder) as home:
        assert "it is not a regular file" in home.session.problem, "a pipe would be waited for"
    file_of(folder).unlink()
    file_of(folder).write_bytes(body)
    monkeypatch.setattr(session, "BYTES_MAX", 1000)
    with Home(folder) as home:
        assert "at most 2,000 bytes" in home.session.problem


def newer(folder: Path) -> None:
    """Make the file that of a later version."""
    saved = unpack_data(file_of(folder).read_bytes(), SavedSeries)
    file_of(folder).write_bytes(
        pack_data(SavedSeries(session.VERSION + 1, saved.names, saved.sha256, saved.block))
    )


def settle(folder: Path, text: str) -> None:
    """Append to the settings."""
    with (folder / "auricle.toml").open("a", encoding="utf-8") as settings:
        settings.write(text)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (newer, "version"),
        (lambda folder: settle(folder, "[forecast]\nhorizons = [1, 2, 3]\n"), "horizons"),
        (lambda folder: settle(folder, "[forecast]\nperiods = { links = 12 }\n"), "season"),
    ],
    ids=["version", "horizons", "season"],
)
def test_a_foreign_state_is_not_taken(
    tmp_path: Path, change: Callable[[Path], None], reason: str
) -> None:
    """A file of another version or other settings makes series start from scratch, with a
    reason."""
    folder, _ = saved_home(tmp_path)
    change(folder)
    with Home(folder) as home:
        assert reason in home.session.problem
        assert home.runtime.series.state() == {}


@pytest.mark.parametrize(
    "selector",
    [Selector(stream="links"), Selector(subject="me"), Selector(from_ns=0)],
    ids=["stream", "subject", "time"],
)
def test_a_forgotten_series_leaves_the_file(tmp_path: Path, selector: Selector) -> None:
    """A forget request removes a series from disk before the receipt; others stay."""
    with Home(new_home(tmp_path)) as home:
        follow(home, 0, 20, subject="me")
        follow(home, 0, 1, "others", "you")
        home.session.save(home.runtime.series)
        assert b"links" in file_of(tmp_path).read_bytes()
        assert file_of(tmp_path).stat().st_mode & 0o077 == 0
    with Home(tmp_path) as home:
        forecasts = home.feed(ForgetRequest(request_id="f", selector=selector, requested_at_ns=0))
        assert any(isinstance(one, Receipt) for one in forecasts)
    left = file_of(tmp_path).read_bytes() if file_of(tmp_path).exists() else b""
    assert b"links" not in left
    with Home(tmp_path) as home:
        assert list(home.runtime.series.state()) == (["others"] if left else [])
        assert bool(left) == (selector.from_ns is None)


def test_a_file_that_cannot_be_read_is_forgotten_too(tmp_path: Path) -> None:
    """An unusable file is removed by a forget request, since it may hold forgotten data."""
    folder, _ = saved_home(tmp_path)
    newer(folder)
    with Home(folder) as home:
        home.feed(
            ForgetRequest(request_id="f", selector=Selector(stream="links"), requested_at_ns=0)
        )
        assert not file_of(folder).exists()


def test_a_series_that_cannot_be_erased_gives_no_receipt(tmp_path: Path, monkeypatch) -> None:
    """If the file cannot be rewritten, the request is refused with the reason; repeated, it leaves
    nothing in the file, and its receipt names the series."""
    folder, _ = saved_home(tmp_path)

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with Home(folder) as home:
        follow(home, 40, 41, "others")
        with monkeypatch.context() as broken:
            broken.setattr(session, "write_bytes", fail)
            with pytest.raises(StateError, match="Input/output"):
                home.feed(
                    ForgetRequest(
                        request_id="f", selector=Selector(stream="links"), requested_at_ns=0
                    )
                )
        assert b"links" in file_of(folder).read_bytes()
        (receipt,) = home.feed(
            ForgetRequest(request_id="f", selector=Selector(stream="links"), requested_at_ns=0)
        )
        assert isinstance(receipt, Receipt)
        assert receipt.series == (SeriesForgotten("links", 40, "replayed", 0),)
        assert b"links" not in file_of(folder).read_bytes()
        home.feed(
            ForgetRequest(request_id="g", selector=Selector(stream="others"), requested_at_ns=0)
        )
        assert not file_of(folder).exists()


def test_saving_is_bounded_and_never_fails(tmp_path: Path, monkeypatch) -> None:
    """Above the size limit the most recent series are saved; a full disk is reported, not
    raised."""
    with Home(new_home(tmp_path)) as home:
        for number in range(5):
            follow(home, 0, 2, f"s{number}")
        whole = sum(a.nbytes for a in home.runtime.series.state()["s0"].values())
        monkeypatch.setattr(session, "BYTES_MAX", 3 * whole + 3_000)
        home.session.save(home.runtime.series)
        assert "over the size limit with s1" in home.session.problem
        before = file_of(tmp_path).read_bytes()
        home.session.save(home.runtime.series)
        shutil.rmtree(tmp_path / "gone", ignore_errors=True)
        follow(home, 2, 3, "s0")
        home.session.path = tmp_path / "gone" / "file"
        home.session.save(home.runtime.series)
        assert "No such file" in home.session.problem
    assert file_of(tmp_path).read_bytes() == before
    with Home(tmp_path) as home:
        assert list(home.runtime.series.state()) == ["s2", "s3", "s4"]
