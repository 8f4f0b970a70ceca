"""Labelling and explaining real pictures, sounds and sensor values in a real browser."""

from __future__ import annotations

import re
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.commands import send_to_daemon
from edge.commands.requests import GalleryCommand
from tests.browsers import Seen, browsing, needs_browser, until
from tests.galleries import needs_pictures, picture_home
from tests.homes import run

pytestmark = needs_browser

RATE_HZ = 16_000
PICTURES_SHOWN = """(() => {
    const found = [...document.querySelectorAll(".shot img")];
    return found.length >= 50 && found.slice(0, 7).every((one) => one.naturalWidth);
})()"""
"""Whether fifty pictures are there, and the first row is decoded."""

DURATION = """(one) => new Promise((done) => {
    one.onloadedmetadata = () => done(one.duration);
    one.preload = "metadata";
    one.load();
})"""
"""Loads a sound; seconds that it plays."""


def counts(seen: Seen) -> Any:
    """How many observations of each state the daemon has."""
    answer = send_to_daemon(seen.folder, GalleryCommand(id="t", limit=1))
    return answer["body"]["counts"]


def standing(seen: Seen) -> bool:
    """Whether no observation arrives for a second."""
    before = counts(seen)
    time.sleep(1)
    return bool(counts(seen) == before)


def open_list(seen: Seen, path: str) -> Any:
    """Open a list of the screen Label, and return its page."""
    seen.goto(path)
    seen.page.wait_for_selector("[data-script=yes]")
    return seen.page


@needs_pictures
def test_fifty_real_pictures_take_effect_at_once(tmp_path, record_property):
    """Fifty sketches that were all new are labelled by keyboard and at once part of what is known;
    the enlarged view shows a picture, its chart and its nearest examples."""
    with browsing(picture_home(tmp_path / "h", arriving=30)) as seen:
        until(lambda: counts(seen)["recent"] + counts(seen)["waiting"] >= 150, 60)
        # The list must not move between the first click and the last.
        until(lambda: standing(seen), 60)
        page = open_list(seen, "label?state=recent&order=newest")
        until(lambda: page.evaluate(PICTURES_SHOWN))
        page.locator(".shot-pick").first.click()
        page.locator(".shot-pick").nth(49).click(modifiers=["Shift"])
        until(lambda: page.locator("#label-count").inner_text() == "50 selected")
        page.locator("#label-name").fill("person")
        page.locator("#label-domain").fill("sketch")
        before = counts(seen)["labelled"]
        begun = time.perf_counter()
        page.keyboard.press("Enter")
        page.get_by_text("50 labelled person").wait_for()
        took_ms = 1_000 * (time.perf_counter() - begun)
        record_property("label_50_to_effect_ms", round(took_ms))
        assert counts(seen)["labelled"] == before + 50
        page.locator("[data-enlarge]").first.click(force=True)
        dialog = page.get_by_role("dialog")
        dialog.locator(".distribution").wait_for()
        until(lambda: dialog.locator(".why-picture").evaluate("(one) => one.naturalWidth") > 100)
        assert dialog.locator(".why-examples li").count() == 3


def write_sound(path: Path, values: Any) -> None:
    """Write a window of sound as a WAV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((np.clip(values, -1, 1) * 32_000).astype("<i2").tobytes())


def sound_home(folder: Path) -> Path:
    """A home that has learned hums and knocks, and in whose stream chirps arrive."""
    random, times = np.random.default_rng(0), np.arange(RATE_HZ) / RATE_HZ
    near = folder.parent
    for at in range(12):
        noise = 0.02 * random.standard_normal((3, RATE_HZ))
        hum = 0.3 * np.sin(2 * np.pi * random.uniform(110, 130) * times)
        write_sound(near / "sounds" / "hum" / f"{at}.wav", hum + noise[0])
        knock = np.exp(-(times % 0.25) * 40) * np.sin(2 * np.pi * 400 * times)
        write_sound(near / "sounds" / "knock" / f"{at}.wav", knock + noise[1])
        chirp = 0.4 * np.sin(2 * np.pi * (500 + random.uniform(1_000, 3_000) * times) * times)
        write_sound(near / "arrive" / f"chirp-{at}.wav", chirp + noise[2])
    assert run("init", folder, "--encoder", "log_mel").exit_code == 0
    learned = run("learn", near / "sounds", "--home", folder, "--domain", "hall")
    assert learned.exit_code == 0, learned.output
    settings = folder / "auricle.toml"
    text = settings.read_text("utf-8").replace("raw = false", "raw = true")
    stream = '[device]\nname = "ear"\n\n[streams.ear]\nsource = "sound"\npath = "../arrive"\n'
    settings.write_text(f"{text}\n{stream}", "utf-8")
    return folder


def test_sounds_are_seen_and_heard(tmp_path):
    """A window shows its waveform and spectrogram, says its loudest frequency, and plays."""
    with browsing(sound_home(tmp_path / "h")) as seen:
        until(lambda: counts(seen)["recent"] + counts(seen)["waiting"] >= 10, 60)
        page = open_list(seen, "label?state=recent&order=newest")
        tile = page.locator(".shot img").first
        until(lambda: tile.evaluate("(one) => one.naturalWidth") == 256)
        page.locator("input[name=id]").first.focus()
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog")
        dialog.get_by_text(re.compile(r"1\.00 s at 16\s000 Hz, loudest near")).wait_for()
        address = dialog.locator("audio").get_attribute("src")
        heard = page.request.get(seen.console.address + address)
        assert heard.headers["content-type"] == "audio/wav"
        assert heard.headers["cache-control"] == "no-store"
        assert len(heard.body()) == 44 + 2 * RATE_HZ
        seconds = dialog.locator("audio").evaluate(DURATION)
        assert seconds == pytest.approx(1.0)


def test_vectors_are_bars_and_ranges(tmp_path):
    """A vector is bars in the list; its page compares named values with the usual range."""
    table = tmp_path / "table.csv"
    random = np.random.default_rng(1)
    rows = ["label,temperature,current"]
    for at in range(40):
        label, centre = ("ok", 20) if at % 2 else ("hot", 80)
        rows.append(f"{label},{random.normal(centre, 2):.2f},{random.normal(5, 1):.2f}")
    table.write_text("\n".join(rows) + "\n", "utf-8")
    home = tmp_path / "h"
    assert run("init", home, "--encoder", "vectors", "--vectors", table).exit_code == 0
    assert run("learn", table, "--home", home, "--domain", "hall").exit_code == 0
    with (home / "auricle.toml").open("a", encoding="utf-8") as file:
        file.write('\n[device]\nname = "pump"\n[streams.s]\nsource = "stdin"\n')
    with browsing(home) as seen:
        assert seen.daemon is not None
        for at in range(4):
            seen.daemon.say(f'{{"id": "v{at}", "values": {{"temperature": 81, "current": 11}}}}')
        until(lambda: counts(seen)["recent"] == 4)
        page = open_list(seen, "label?state=recent&order=newest")
        assert page.locator(".shot .thumb-bars").count() == 4
        assert page.locator(".shot .thumb-bars").first.locator("rect").count() == 2
        seen.goto("why?id=v0")
        row = page.locator(".ranges tbody tr").first
        assert row.get_by_role("rowheader").inner_text() == "current"
        assert "outside" in row.locator("svg").get_attribute("aria-label")
        page.locator("#why-label").fill("overload")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Labelled overload.").wait_for()
        page.get_by_text("labelled overload", exact=True).wait_for()
        page.get_by_role("button", name="Undo").click()
        until(lambda: counts(seen)["labelled"] == 40)
        seen.goto("why?id=never")
        page.get_by_role("alert").get_by_text("never").wait_for()
