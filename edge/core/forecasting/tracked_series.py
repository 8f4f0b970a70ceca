"""The state of one followed series, and its form as arrays."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from .. import limits
from ..events import Observation
from .forecaster import Forecaster, State

if TYPE_CHECKING:
    from ..anomaly import AnomalyScorer
    from ..drift import ChangeDetector

SCORER_VERSION = "windows 1"
"""Kind and version of the anomaly scorer in a stored state: raise it if arrays of the same name and
shape change their meaning.  Scorers of other states start again; the forecaster continues."""


class TrackedSeries(msgspec.Struct, kw_only=True):
    """The state of one series.

    from_ns, until_ns: the earliest and the latest time of its samples, which may arrive out of
    order.  last_ns: the time of the sample that arrived last.  subjects, recordings: of the
    samples; from `SERIES_SUBJECTS_MAX` on no more are recorded, and the series may hold samples of
    any subject or recording.
    """

    names: tuple[str, ...]
    forecaster: Forecaster
    detector: "ChangeDetector"
    scorer: "AnomalyScorer"
    from_ns: int
    until_ns: int
    last_ns: int
    subjects: set[str]
    recordings: set[str]
    samples: int = 0

    def record(self, event: Observation) -> float:
        """Record a sample's subject, recording and time; return the seconds since the previous
        one, below 0 for an older one."""
        at_ns = event.captured_at_ns
        elapsed_s = (at_ns - self.last_ns) / 1e9 if self.samples else 0.0
        self.from_ns, self.until_ns = min(self.from_ns, at_ns), max(self.until_ns, at_ns)
        self.last_ns = at_ns
        self.samples += 1
        for names, name in ((self.subjects, event.subject), (self.recordings, event.recording)):
            if len(names) < limits.SERIES_SUBJECTS_MAX:
                names.add(name)
        return elapsed_s

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as arrays."""
        return {
            "names": encode_texts(self.names),
            "times": np.array([self.from_ns, self.until_ns, self.last_ns, self.samples]),
            "subjects": encode_texts(sorted(self.subjects)),
            "recordings": encode_texts(sorted(self.recordings)),
            **{f"forecaster/{name}": array for name, array in self.forecaster.state().items()},
            **{f"detector/{name}": array for name, array in self.detector.state().items()},
            "scorer_version": encode_texts((SCORER_VERSION,)),
            **{f"scorer/{name}": array for name, array in self.scorer.state().items()},
        }


def unpack_times(numbers: NDArray[Any]) -> tuple[int, int, int, int]:
    """Return the earliest, latest and last time and the number of samples,
    as `TrackedSeries.arrays` stores them.

    Older states hold three numbers and lack the latest time.  It then counts as unbounded, so that
    no forget request misses the series.
    """
    found = tuple(int(number) for number in numbers)
    if len(found) == 3:
        from_ns, last_ns, samples = found
        return from_ns, limits.COUNT_MAX, last_ns, samples
    from_ns, until_ns, last_ns, samples = found
    return from_ns, until_ns, last_ns, samples


def encode_texts(strings: Sequence[str]) -> NDArray[np.uint8]:
    """Return strings as bytes of JSON: a state holds numbers only."""
    return np.frombuffer(json.dumps(strings).encode(), np.uint8)


def decode_texts(text: NDArray[Any]) -> list[str]:
    """Return the strings behind `encode_texts`; raises ValueError for anything else."""
    strings = json.loads(text.astype(np.uint8).tobytes())
    if not (isinstance(strings, list) and all(isinstance(one, str) for one in strings)):
        raise ValueError("restoring a series: expected a list of strings")
    return strings


def select_part(prefix: str, state: State) -> dict[str, NDArray[Any]]:
    """Return the arrays whose names begin with a prefix and a slash, without these."""
    start = f"{prefix}/"
    return {name[len(start) :]: one for name, one in state.items() if name.startswith(start)}
