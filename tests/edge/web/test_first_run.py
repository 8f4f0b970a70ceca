"""From an empty folder to a working stream, by mouse alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from edge.commands import send_to_daemon
from edge.commands.requests import KnowledgeCommand
from edge.sim import load_mnist
from tests.browsers import browsing, needs_browser, until

pytestmark = needs_browser

START_MS = 90_000
"""Longest start of a daemon with its encoder, on a busy machine."""


COUNT = 160
"""Pictures of one kind: as they follow each other, they count as at least the 99 independent ones
that a rate of 1 % of false alarms needs."""


def save_pictures(folder: Path, digit: int, count: int) -> None:
    """Write pictures of a digit."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_mnist()
    for row in np.flatnonzero(digits.labels == digit)[:count]:
        Image.fromarray(digits.images[row]).save(folder / f"{digit}-{row}.png")


def save_board(path: Path) -> None:
    """Write the picture of a chessboard."""
    rows, columns = np.indices((224, 224)) // 28
    Image.fromarray(((rows + columns) % 2 * 255).astype(np.uint8)).save(path)


def test_a_new_user_reaches_an_alarm_by_mouse(tmp_path, monkeypatch) -> None:
    """In an empty folder: choose a folder of pictures, see them arrive, name them all; another kind
    of picture is then called new on the screen Now."""
    pictures = tmp_path / "camera"
    save_pictures(pictures, 0, COUNT)
    monkeypatch.setenv("HOME", str(tmp_path))
    with browsing(tmp_path / "home", daemon=False) as seen:
        page = seen.page
        page.get_by_role("heading", name="Welcome").wait_for()
        page.get_by_role("link", name="Pictures in a folder").click()
        page.get_by_role("button", name="Choose…").first.click()
        page.get_by_role("button", name="camera/").click()
        page.get_by_text(f"{COUNT} pictures").wait_for()
        page.get_by_role("button", name="Use this folder").click()
        page.get_by_role("button", name="Create the home and start").click()
        page.locator(".enrol-item img").first.wait_for(timeout=START_MS)
        page.get_by_role("button", name=f"Label all {COUNT}").wait_for(timeout=START_MS)
        page.get_by_label("These show").fill("zero")
        page.get_by_role("button", name=f"Label all {COUNT}").click()
        page.locator("#toasts").get_by_text(f"{COUNT} labelled as zero.").wait_for()
        page.get_by_text("It works.").wait_for()
        page.get_by_role("link", name="Go to Now").click()
        save_board(pictures / "board.png")
        card = page.locator("article", has_text="folder")
        card.get_by_text("new", exact=True).wait_for(timeout=START_MS)
        assert "zero" in card.inner_text()
        # Taught by mouse alone, it gets a fitted geometry.
        knowledge = KnowledgeCommand(id="k")
        until(lambda: send_to_daemon(seen.folder, knowledge)["body"]["geometry"]["fitted"])


def test_a_mistake_is_shown_at_its_field_and_makes_nothing(tmp_path) -> None:
    """A folder that does not exist is said at its field, what was typed stays, and no home is
    made."""
    with browsing(tmp_path / "home", daemon=False) as seen:
        seen.goto("first-run?source=folder")
        seen.page.get_by_label("Folder on this device").fill("/nowhere")
        seen.page.get_by_label("Name of the stream").fill("<b>gate</b>")
        seen.page.get_by_role("button", name="Create the home and start").click()
        seen.page.get_by_text("there is no such folder on this device").wait_for()
        assert seen.page.get_by_label("Name of the stream").input_value() == "<b>gate</b>"
        assert not (tmp_path / "home" / "auricle.toml").exists()


def test_a_series_is_forecast_without_labels(tmp_path) -> None:
    """A folder of tables to forecast: the daemon starts, and the page says that it works; a second
    stream is added to the running daemon."""
    tables = tmp_path / "tables"
    tables.mkdir()
    rows = "\n".join(f"{20 + np.sin(n / 9):.3f},{n % 5}" for n in range(200))
    (tables / "a.csv").write_text(f"temperature,load\n{rows}\n", "utf-8")
    with browsing(tmp_path / "home", daemon=False) as seen:
        for name in ("line", "second"):
            seen.goto("first-run?source=tables-series")
            seen.page.get_by_label("Folder on this device").fill(str(tables))
            seen.page.get_by_label("Name of the stream").fill(name)
            seen.page.locator("form.card button[type=submit]").click()
            seen.page.get_by_text("Each sample is forecast").wait_for(timeout=START_MS)
        seen.goto("first-run?stream=gone")
        seen.page.get_by_text("There is no stream 'gone'.").wait_for()
        seen.goto("first-run?source=tables-series")
        seen.page.get_by_label("Folder on this device").fill(str(tables))
        seen.page.get_by_label("Name of the stream").fill("line")
        seen.page.locator("form.card button[type=submit]").click()
        seen.page.get_by_text("there is a stream 'line' already").wait_for()
        seen.goto("")
        until(lambda: seen.page.locator("article .spark-2").count() == 2)
