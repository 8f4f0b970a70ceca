"""The screen Forecast: real series through a live daemon, in a real browser."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.console.browser import PHONE
from edge.commands import send_to_daemon
from edge.web.screens.forecast import _drawn, numbered
from tests.browsers import Seen, browsing, drain, needs_browser, until
from tests.daemons import daemon_home

HOUR_NS = 3600 * 10**9
ROWS = 150
STREAM = '[streams.transformer]\nsource = "stdin"\nkind = "series"\n'
CHANNELS = ("oil temperature", "<b>load</b>")


def send(seen: Seen, rows: np.ndarray, start: int) -> None:
    """Send samples, and wait until all have been followed."""
    assert seen.daemon is not None
    for number, row in enumerate(rows, start):
        values = dict(zip(CHANNELS, map(float, row), strict=True))
        at_ns = (400_000 + number) * HOUR_NS
        seen.daemon.say(json.dumps({"values": values, "id": f"n{number}", "captured_at_ns": at_ns}))
    until(lambda: status(seen)["forecasts"] == start + len(rows), wait_s=60)


def status(seen: Seen) -> dict[str, Any]:
    """The status of the series."""
    answer = send_to_daemon(seen.folder, {"verb": "status", "id": secrets.token_hex(8)})
    (stream,) = answer["body"]["streams"]
    return dict(stream)


def series(seen: Seen) -> dict[str, Any]:
    """What the daemon says of the series."""
    request = {"verb": "series", "id": secrets.token_hex(8), "stream": "transformer"}
    return dict(send_to_daemon(seen.folder, request)["body"])


@pytest.fixture(scope="module")
def rows(data_folder: Path) -> np.ndarray:
    """Hourly oil temperature and load of a transformer (ETTh1)."""
    values: np.ndarray = np.load(data_folder / "ETTh1.npz")["values"][:300, [6, 0]]
    return values


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, rows: np.ndarray) -> Iterator[Seen]:
    """A console whose daemon has followed a series for some days."""
    with browsing(daemon_home(tmp_path_factory.mktemp("home"), STREAM)) as made:
        drain(made)
        send(made, rows[:ROWS], 0)
        yield made


@needs_browser
def test_each_channel_has_a_chart_that_says_its_forecast(seen: Seen) -> None:
    """A chart for each channel, with its newest value and forecast as text; names are text."""
    seen.goto("forecast")
    charts = seen.page.get_by_role("img")
    assert charts.count() == len(CHANNELS)
    newest = series(seen)["values"][1][-1]
    label = charts.nth(1).get_attribute("aria-label")
    assert label.startswith("Chart of <b>load</b>: now ")
    assert f"{newest:.4g}".rstrip("0").rstrip(".") in label
    assert "90 % between" in label
    assert seen.page.locator("#charts canvas").count() == len(CHANNELS)


@needs_browser
def test_the_tables_hold_the_numbers_of_the_charts(seen: Seen) -> None:
    """The newest forecast has a row for each channel and horizon, the samples the newest values."""
    seen.goto("forecast")
    seen.page.get_by_text("The charts as tables").click()
    known = series(seen)
    horizons = known["horizons"]
    table = seen.page.get_by_role("region", name="Newest forecast").locator("tbody tr")
    assert table.count() == len(CHANNELS) * len(horizons)
    first = seen.page.get_by_role("region", name="Newest samples").locator("tbody tr").first
    shown = first.locator("td").all_inner_texts()
    wanted = [column[-1] for column in known["values"]]
    assert [float(one) for one in shown] == pytest.approx(wanted, rel=1e-3)
    observed = seen.page.locator(".forecast-coverage tbody td.number").all_inner_texts()
    assert len(observed) == len(horizons)
    assert all(50 < float(one.replace("%", "")) <= 100 for one in observed)


@needs_browser
def test_a_new_sample_appears_by_itself(seen: Seen, rows: np.ndarray) -> None:
    """The chart's text follows the series without a reload, and channels can be hidden."""
    seen.goto("forecast")
    chart = seen.page.get_by_role("img").first
    before = chart.get_attribute("aria-label")
    send(seen, rows[ROWS : ROWS + 1] + 7, ROWS)
    until(lambda: chart.get_attribute("aria-label") != before)
    assert f"{rows[ROWS][0] + 7:.4g}" in chart.get_attribute("aria-label")
    seen.page.get_by_role("checkbox", name="oil temperature").uncheck(force=True)
    assert seen.page.get_by_role("img").count() == 1


@needs_browser
def test_a_chart_is_read_by_the_arrow_keys(seen: Seen) -> None:
    """With the focus on a chart, an arrow names the sample under the cursor."""
    seen.goto("forecast")
    chart = seen.page.get_by_role("img").first
    chart.focus()
    for _ in range(20):
        chart.press("ArrowLeft")
    text = seen.page.locator(".forecast-chart figcaption span").first.inner_text()
    assert "measured" in text
    assert "forecast" in text


@needs_browser
def test_the_page_fits_a_phone_and_refuses_unknown_series(seen: Seen) -> None:
    """Nothing is wider than the screen; a series that does not exist is named."""
    seen.page.set_viewport_size(PHONE)
    seen.goto("forecast")
    width = seen.page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"]
    seen.goto("forecast?stream=<i>none</i>")
    assert "No sample has arrived since the start." in seen.page.locator("main").inner_text()


def test_samples_without_times_are_counted(seen: Seen) -> None:
    """Rows of a table without times all get that of their file: charts count samples up to 0, the
    newest, with the forecasts ahead of it."""
    shown = series(seen)
    assert not numbered(shown)
    assert _drawn(shown)["at_s"][-1] == shown["at_ns"][-1] / 1e9
    same = shown | {"at_ns": [5] * len(shown["at_ns"])}
    drawn = _drawn(same)
    assert drawn["numbered"]
    assert drawn["at_s"] == list(range(1 - len(shown["at_ns"]), 1))
    newest = drawn["forecasts"][-1]
    assert newest["made_at_s"] == 0
    assert newest["at_s"] == list(shown["horizons"])
    assert [one["made_at_s"] for one in drawn["forecasts"]][-2:] == [-1, 0]
