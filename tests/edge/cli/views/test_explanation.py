"""How an explanation is shown."""

from __future__ import annotations

import io

import numpy as np
import pytest

from edge.cli.views.explanation import WAVE_CELLS, show_explained, show_window, waveform
from edge.core.session.explanation import KnownExample
from edge.home.labelling import Column, Explained


def explained(compared: int) -> Explained:
    """An explanation of a vector of 20 columns, of which one is shown."""
    return Explained(
        kind="vector",
        known=None,
        guess="worn",
        p_value=0.25,
        domain="hall",
        label="worn",
        compared=compared,
        examples=(KnownExample("press:1", "hall", "worn", 0, 3.5),),
        columns=(Column(name="temperature", value=9.5, mean=2.0, low=1, high=3, clipped=1),),
        width=20,
    )


def test_a_range_of_few_examples_judges_nothing(capsys):
    """With ten examples a value outside their range is marked; with one example it is not."""
    show_explained(explained(10))
    text = capsys.readouterr().out
    assert "temperature  >= 9.5     2  1 to 3  outside" in text
    assert "range of worn in hall, 10 examples" in text
    assert "19 more columns differ less" in text
    assert "too few known examples" in text
    assert "worn in hall, time unknown, id press:1" in text
    show_explained(explained(1))
    text = capsys.readouterr().out
    assert "outside" not in text
    assert "1 example\n" in text


def test_no_guess_is_explained(capsys):
    """Without a guess, one line says why."""
    show_explained(
        Explained(
            kind="vector", known=None, guess="", p_value=1.0, domain="", label="", examples=()
        )
    )
    assert "no examples are known yet" in capsys.readouterr().out


def test_a_waveform_shows_where_a_sound_is_loud():
    """Silence is blank, a burst is a bar, and a short window has a cell for each sample."""
    window = np.zeros((6_000, 1), np.float32)
    window[3_000:3_100] = 1
    drawn = waveform(window)
    assert len(drawn) == WAVE_CELLS
    assert drawn.strip() == "█"
    assert drawn.index("█") == 30
    assert waveform(np.zeros((5, 2), np.float32)) == " " * 5


@pytest.mark.parametrize(("rate_hz", "shown"), [(8_000, "0.50 s, RMS 0.5, -6 dB"), (0, "4000 sam")])
def test_a_window_has_a_length_and_a_level(capsys, rate_hz, shown):
    """A window is described in seconds and decibels if its rate is known, else in samples."""
    written = io.BytesIO()
    np.save(written, np.full((4_000, 1), 0.5, np.float32))
    show_window(written.getvalue(), rate_hz)
    assert shown in capsys.readouterr().out


@pytest.mark.parametrize("raw", [b"", b"P6 1 1 255\n...", b"\x93NUMPY\x01\x00"])
def test_a_damaged_window_is_reported(capsys, raw):
    """Labelling continues if a window cannot be drawn."""
    show_window(raw, 8_000)
    assert "cannot be shown" in capsys.readouterr().out
