"""The Skoltech anomaly benchmark: 34 recordings of a water circulation, eight channels.

Protocol of the board (README and notebooks of github.com/waico/SKAB): learn from the first 400
rows of each recording, judge every later row.  Rows of all recordings count together.  A change
point is predicted where the judgement of a row differs from that of the row before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .nab import STANDARD

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FILE: Final = "skab.npz"
LEARNED_ROWS: Final = 400
"""Rows of each recording that are for learning (the board's notebooks)."""
WINDOW_S: Final = 60.0
"""Seconds behind a change point in which a report of it counts (the board's README)."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SkabRecording:
    """One recording: seconds [n], values [n, 8], labels of rows and of change points [n]."""

    name: str
    seconds: Floats = field(repr=False)
    values: Floats = field(repr=False)
    anomalous: Flags = field(repr=False)
    changes: Flags = field(repr=False)


def load_skab(folder: Path) -> list[SkabRecording]:
    """Load all recordings with an anomaly, in the order of their names."""
    with np.load(folder / FILE) as stored:
        names = sorted(key[: -len("__anomaly")] for key in stored if key.endswith("__anomaly"))
        return [
            SkabRecording(
                name=name,
                seconds=stored[f"{name}__t"].astype(np.float64),
                values=stored[f"{name}__v"].astype(np.float64),
                anomalous=stored[f"{name}__anomaly"],
                changes=stored[f"{name}__changepoint"],
            )
            for name in names
        ]


def row_scores(
    recordings: Sequence[SkabRecording], judged: Sequence[Flags]
) -> tuple[float, float, float]:
    """Return F1, false-alarm rate and missed-alarm rate of all judged rows.

    judged: whether each row behind the learned ones is called anomalous.
    """
    true = np.concatenate([each.anomalous[LEARNED_ROWS:] for each in recordings])
    called = np.concatenate(list(judged))
    hits, false = int((true & called).sum()), int((~true & called).sum())
    missed, quiet = int((true & ~called).sum()), int((~true & ~called).sum())
    return (
        hits / max(hits + (missed + false) / 2, 1.0),
        false / max(false + quiet, 1),
        missed / max(missed + hits, 1),
    )


def toggles(judged: Flags) -> Flags:
    """Return where the judgement of a row differs from that of the row before."""
    return np.append(False, judged[1:] != judged[:-1])


def change_score(recordings: Sequence[SkabRecording], reported: Sequence[Flags]) -> float:
    """Return the board's score of change points, standard profile: 0 for no report, 100 for one
    at the first row of every window and no other.

    The first report in a window counts, by a hyperbolic tangent from 1 at its start to the cost of
    a false alarm at its end; where two windows overlap, the later one begins at the earlier's end.
    """
    total, count = 0.0, 0
    for each, flags in zip(recordings, reported, strict=True):
        at = each.seconds[LEARNED_ROWS:][flags]
        false = np.ones(len(at), bool)
        begun = -np.inf
        for start in each.seconds[each.changes]:
            first, last = max(start, begun), start + WINDOW_S
            inside = (at >= first) & (at <= last)
            total += _earliness(at[inside][0], first, last) if inside.any() else -STANDARD.fn
            false &= ~inside
            begun, count = last, count + 1
        total -= STANDARD.fp * int(false.sum())
    return 100.0 * (total + STANDARD.fn * count) / (STANDARD.tp + STANDARD.fn) / count


def _earliness(at: float, first: float, last: float) -> float:
    """Return the worth of a report in a window."""
    place = np.pi * ((at - first) / max(last - first, 1.0) - 0.5)
    share = -np.tanh(place) / np.tanh(np.pi / 2.0)
    middle = (STANDARD.tp - STANDARD.fp) / 2.0
    return float((STANDARD.tp + STANDARD.fp) / 2.0 * share + middle)
