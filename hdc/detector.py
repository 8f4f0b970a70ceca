"""Verdicts: known or new, of which concept, at a false-alarm rate that was ordered."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np

from .calibration import Calibration
from .codes import Codes
from .errors import ConceptError
from .memory import Memory


@dataclass(frozen=True, slots=True)
class NotAttainable:
    """The ordered rate needs more calibration samples: `needed` of them, where `found` exist."""

    reason: str
    needed: int
    found: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one sample is taken for.

    `known` is None where `shortfall` says why the ordered rate can't be kept. `domain` and
    `label` name the nearest concept in every case. `p_value` is the conformal p-value among
    `domain`'s held-out samples (Vovk et al. 2005), `score` the novelty against that concept.
    """

    known: bool | None
    domain: str
    label: str
    score: int
    p_value: float
    shortfall: NotAttainable | None = None


@dataclass(frozen=True, slots=True)
class WindowVerdict:
    """What a window of samples is taken for; fields as in `Verdict`."""

    known: bool | None
    domain: str
    score: float
    p_value: float
    shortfall: NotAttainable | None = None


def detect(
    codes: Codes, memory: Memory, calibration: Calibration, rate: float = 0.01
) -> Verdict:
    """The verdict on one sample, with false alarms at `rate` on samples of known domains."""
    scores = memory.score(codes)[0]
    if not len(scores):
        raise ConceptError("detecting expects a memory with concepts, found none", "learn first")
    column = int(np.argmin(scores))
    domain, label = memory.keys[column]
    score = int(scores[column])
    held = calibration.scores.get(domain, np.empty(0, dtype=np.int64))
    at_least = len(held) - int(np.searchsorted(held, score, side="left"))
    p_value = (1 + at_least) / (1 + len(held))
    shortfall = _shortfall(domain, len(held), rate)
    known = None if shortfall else p_value > rate
    return Verdict(known, domain, label, score, p_value, shortfall)


def detect_window(
    verdicts: Sequence[Verdict], calibration: Calibration, rate: float = 0.01
) -> WindowVerdict:
    """The verdict on a window of samples of one stream, at least one, by their mean p-value."""
    domains = [verdict.domain for verdict in verdicts]
    domain = max(sorted(set(domains)), key=domains.count)
    held = calibration.scores.get(domain, np.empty(0, dtype=np.int64))
    mean = sum(verdict.p_value for verdict in verdicts) / len(verdicts)
    p_value = min(1.0, 2.718281828459045 * mean)
    shortfall = _shortfall(domain, len(held), rate)
    return WindowVerdict(None if shortfall else p_value > rate, domain, mean, p_value, shortfall)


def _shortfall(domain: str, found: int, rate: float) -> NotAttainable | None:
    needed = ceil(1 / rate) - 1
    if found >= needed:
        return None
    reason = f"a rate of {rate:g} needs {needed} samples of {domain!r}, found {found}"
    return NotAttainable(reason, needed, found)
