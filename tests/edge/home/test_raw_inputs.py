from __future__ import annotations

import numpy as np
import pytest

import encoder
from edge.cli.views.label import half_blocks
from edge.config.settings import SETTINGS
from edge.core.events import (
    ForgetRequest,
    Label,
    Observation,
    StoreLabelCandidates,
    Tick,
    Undoable,
    Unlabel,
)
from edge.core.facts import LabelCandidate, Selector
from edge.home import raw_inputs as raws
from edge.home.home import Home
from edge.home.new_home import create_home
from edge.home.raw_inputs import RawInputs, window_of
from encoder.testing import tiny_card, tiny_payloads


def test_the_newest_are_kept_within_a_limit(monkeypatch):
    """Beyond the byte limit the oldest is dropped; the same key counts once."""
    monkeypatch.setattr(raws, "BYTES_MAX", 30)
    kept = RawInputs()
    for key in ("a", "b", "b", "c", "d"):
        kept.add(key, key.encode() * 10)
    assert sorted(kept.of("abcd")) == ["b", "c", "d"]
    kept.drop(["b", "zz"])
    kept.add("e", b"e" * 10)
    assert sorted(kept.of("abcde")) == ["c", "d", "e"]


def test_pixels_become_an_image_file():
    """A camera's frame is kept as a readable image file, subsampled until it is small enough."""
    kept = RawInputs()
    frame = np.zeros((1_200, 1_600, 3), np.uint8)
    frame[:, 800:] = (255, 0, 10)
    kept.add("a", frame)
    raw = kept.of("a")["a"]
    assert len(raw) < raws.RAW_BYTES_MAX + 100
    shown = encoder.thumbnail(raw, 40)
    assert shown.shape == (30, 40, 3)
    assert shown[0, -1].tolist() == [255, 0, 10]


@pytest.mark.parametrize(
    "payload",
    [
        np.zeros(5, np.float32),
        np.zeros((1 << 19, 1), np.float32),
        {"a": 1.0},
        b"x" * (1 << 21),
        None,
    ],
)
def test_an_input_that_is_no_image_is_not_kept(payload):
    """Vectors, series and very large inputs are not kept."""
    kept = RawInputs()
    kept.add("a", payload)
    assert kept.of("a") == {}


def test_windows_are_kept_as_they_came():
    """A window of sound has the same samples afterwards; other bytes are no window."""
    kept = RawInputs()
    window = np.linspace(-1, 1, 200, dtype=np.float32).reshape(100, 2)
    kept.add("a", window)
    found = window_of(kept.of("a")["a"])
    assert found is not None
    assert np.array_equal(found, window)
    whole = kept.of("a")["a"]
    for raw in (b"", b"P6 1 1 255\n...", whole[:-1], whole.replace(b"(100, 2)", b"(100000,)")):
        assert window_of(raw) is None


@pytest.fixture
def seeing_home(tmp_path, monkeypatch):
    """A home of a tiny image encoder that keeps raw images, with one candidate."""
    (tmp_path / "model").mkdir()
    card = tiny_card(tmp_path / "model")
    encoder.save_card(card, tmp_path / "model" / "card.toml")
    create_home(tmp_path / "home", None, str(tmp_path / "model" / "card.toml"))
    settings = tmp_path / "home" / SETTINGS
    settings.write_text(settings.read_text().replace("raw = false", "raw = true"))
    with Home(tmp_path / "home") as home:
        image = tiny_payloads(1)[0]
        home.feed(Observation(stream="cam", sequence=1, captured_at_ns=0, payload=image))
        candidate = LabelCandidate(
            observation_id="cam:1",
            stream="cam",
            subject="",
            domain="d",
            captured_at_ns=0,
            score=1.0,
            features=bytes(card.width),
        )
        monkeypatch.setattr(
            home.runtime, "handle", lambda _event: (StoreLabelCandidates((candidate,)),)
        )
        home.feed(Tick())
        monkeypatch.undo()
        yield home


def test_a_candidates_image_can_be_seen(seeing_home):
    """The observed input is stored with the candidate."""
    raw = seeing_home.store.raw("cam:1")
    assert raw is not None
    assert encoder.thumbnail(raw, 16).shape == (16, 16, 3)
    assert seeing_home.store.raw("cam:2") is None


def test_an_image_goes_with_its_candidate(seeing_home):
    """A forget request removes it."""
    seeing_home.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"cam:1"}))))
    assert seeing_home.store.raw("cam:1") is None


def test_an_image_stays_with_a_labelled_fact(seeing_home):
    """A label keeps it, so that people see the learned examples; so does taking the label back.  It
    goes when the fact is forgotten."""
    seeing_home.feed(Label("cam:1", "cat"))
    seeing_home.feed(Unlabel(("cam:1",)))
    seeing_home.feed(Label("cam:1", "dog"))
    assert seeing_home.store.raw("cam:1") is not None
    seeing_home.feed(ForgetRequest(request_id="r", selector=Selector(label="dog")))
    assert seeing_home.store.raw("cam:1") is None


def test_a_recent_image_is_stored_with_its_label(seeing_home):
    """An observation that was no candidate is labelled: its image is stored with the fact."""
    seeing_home.feed(
        Observation(stream="cam", sequence=2, captured_at_ns=1, payload=tiny_payloads(2)[1])
    )
    assert seeing_home.store.raw("cam:2") is None
    seeing_home.feed(Undoable(Label("cam:2", "cat"), "a", 1))
    assert seeing_home.store.raw("cam:2") is not None
    assert seeing_home.store.raw("cam:1") is not None


def test_pictures_are_drawn_in_half_blocks():
    """Two rows of pixels make a line of cells."""
    drawn = half_blocks(np.zeros((5, 7, 3), np.uint8)).plain.splitlines()
    assert [line.strip() for line in drawn] == ["▀" * 7] * 2
