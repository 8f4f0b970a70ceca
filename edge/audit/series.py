"""Series after a forget request, compared with a twin that never got the forgotten samples.

A forecaster's state depends on every sample in order.  The twin is a tracker of its own that
processes the kept samples from the state before the oldest of them, without the forgotten ones.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..core import Selector, SeriesForgotten
from ..core.forecasting import SampleBlock, SeriesTracker
from .findings import Figure, Finding, counted, not_covered

COMPARED_MAX: Final = 8
"""Series that are compared, those with the most forgotten samples first: a twin of one channel and
6,000 samples, the most that are kept, takes about 3 s."""

State = Mapping[str, NDArray[Any]]
TITLE: Final = "Forecasters of series"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSeries:
    """What is kept of a series.  starts, samples: the states before its parts, None where not kept,
    and their samples; whole: nothing came before them."""

    starts: tuple[State | None, ...] = field(repr=False)
    samples: tuple[SampleBlock, ...] = field(repr=False)
    whole: bool

    @property
    def origin(self) -> int | None:
        """The first part that a twin can start from, None without one."""
        if self.whole:
            return 0
        return next((at for at, one in enumerate(self.starts) if one is not None), None)


def keep_series(tracker: SeriesTracker) -> dict[str, KeptSeries]:
    """Return what a tracker keeps of each series, after it has processed all that waits."""
    tracker.finish_replay()
    return {
        one.name: KeptSeries(
            starts=tuple(part.start for part in one.buffer.parts),
            samples=tuple(part.samples for part in one.buffer.parts),
            whole=not one.buffer.lost.count,
        )
        for one in tracker.saved()
    }


def rehearsed_finding(
    tracker: SeriesTracker,
    before: Mapping[str, KeptSeries],
    selector: Selector,
    matched: Iterable[SeriesForgotten],
) -> Finding:
    """Compare the series that a rehearsed request reached with twins.

    tracker: after the request.  before: what was kept before it.  Cost: that of the kept samples.
    """
    ordered = sorted(matched, key=lambda one: (-one.samples, one.stream))
    states = _states(tracker)
    results = []
    for one in ordered[:COMPARED_MAX]:
        kept = before[one.stream]
        if one.outcome == "restarted":
            empty = (None,) * len(kept.starts)
            kept = KeptSeries(starts=empty, samples=kept.samples, whole=True)
        twin = twin_state(tracker, one.stream, kept, selector)
        results.append(None if twin is None else same_state(states.get(one.stream, {}), twin))
    return _finding(results, sum(one.samples for one in ordered), len(ordered))


def receipt_finding(
    tracker: SeriesTracker,
    forgot: Callable[[str, int], bool],
    forgotten: Sequence[Mapping[str, Any]],
) -> Finding:
    """Compare the series of a receipt with twins of their kept samples.  No kept sample of any
    series may lie in a forgotten time.  forgot: returns whether samples of a stream at a time were forgotten.
    forgotten: the series of the receipt, as plain data."""
    kept, states = keep_series(tracker), _states(tracker)
    ordered = sorted(forgotten, key=lambda one: (-int(one["samples"]), str(one["stream"])))
    left = sum(
        forgot(name, at)
        for name, one in kept.items()
        for block in one.samples
        for at in block.times().tolist()
    )
    results = list[bool | None]()
    for one in ordered[:COMPARED_MAX]:
        name = str(one["stream"])
        if name not in kept:
            # Nothing is kept of it, so nothing can differ.
            results.append(name not in states)
            continue
        twin = twin_state(tracker, name, kept[name], None)
        results.append(None if twin is None else same_state(states.get(name, {}), twin))
    count = sum(int(one["samples"]) for one in ordered)
    found = _finding(results, count, len(ordered))
    if not left:
        return found
    return Finding(
        key=found.key,
        title=found.title,
        evidence="proven",
        outcome="fails",
        text=f"{counted(left, 'kept sample')} lie in times that were forgotten.",
        todo="Send the request again.",
        figures=found.figures,
    )


def twin_state(
    tracker: SeriesTracker, name: str, kept: KeptSeries, without: Selector | None
) -> State | None:
    """Return the state of a twin: {} if no sample is left, None if no state to start from is
    kept.  without: the samples that it never got."""
    origin = kept.origin
    if origin is None:
        return None
    twin = tracker.blank()
    start = kept.starts[origin]
    if start is not None:
        twin.restore({name: start})
    for block in kept.samples[origin:]:
        left = block if without is None else block.where(~block.selected(without))
        for sample in left:
            for _ in twin.process(sample.observation(name)):
                pass
    return _states(twin).get(name, {})


def same_state(one: State, other: State) -> bool:
    """Return whether two states are equal bit for bit."""
    return one.keys() == other.keys() and all(
        array.dtype == other[name].dtype
        and array.shape == other[name].shape
        and np.ascontiguousarray(array).tobytes() == np.ascontiguousarray(other[name]).tobytes()
        for name, array in one.items()
    )


def _states(tracker: SeriesTracker) -> dict[str, dict[str, NDArray[Any]]]:
    tracker.finish_replay()
    return tracker.state()


def _finding(results: Sequence[bool | None], samples: int, series: int) -> Finding:
    """Return the finding.  results: whether each compared series equals its twin, None where it
    has none."""
    wrong = results.count(False)
    same = results.count(True)
    left_out = series - same - wrong
    figures = (
        Figure(name="samples_forgotten", value=samples),
        Figure(name="equal", value=same),
        Figure(name="different", value=wrong),
        Figure(name="not_compared", value=left_out),
    )
    if not wrong and not same:
        return not_covered(
            "series",
            TITLE,
            f"{counted(left_out, 'series')} without a kept state that a twin could start from.",
            "Let it take more samples, or forget all of it.",
        )
    rest = f" {left_out} more were not compared." if left_out else ""
    text = (
        f"{wrong} of {same + wrong} compared series differ from a twin that never got the"
        " forgotten samples."
        if wrong
        else f"{same} of {series} series equal a twin that never got the"
        f" {counted(samples, 'forgotten sample')}."
    )
    return Finding(
        key="series",
        title=TITLE,
        evidence="proven",
        outcome="fails" if wrong else "holds",
        text=text + rest,
        todo="Forget all samples of these series; report it as a defect." if wrong else "",
        figures=figures,
    )
