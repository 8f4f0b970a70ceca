"""Observed false alarms at a chosen 1 %, in time order, and how many switches are found.

The first 70 % of each recording are enrolled, the rest is judged by the Runtime as a stream.  Then
the stream switches to something new, from a runtime that was restarted on the same ledger.  An
oracle takes the threshold of the window's mean score that gives 2 % false alarms on the judged
part; switches that it cannot find within 64 observations are listed apart.

Defaults were chosen on SKAB, ELEC2, ETTh1, weather and vowels.  The network link, the water flow
and the weather stations only confirm them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import encoder
import hdc
from edge.core import (
    AlarmQuestion,
    Config,
    ConfirmAlarm,
    Decision,
    DriftAlarm,
    Effect,
    Enrol,
    Event,
    Fact,
    FitGeometry,
    MemoryLedger,
    Observation,
    Publish,
    Runtime,
    StoreGeometry,
    StoreRecalibration,
)

from ..report import BenchmarkRow
from .time_peers import peer_alarms
from .time_sets import CONFIRMATION, TimePart, time_parts

RATE = 0.01
"""The chosen false-alarm rate, the runtime's default."""

ORACLE_RATE = 0.02
"""False alarms that the oracle's threshold gives on the judged part."""

WINDOW = 16
"""Observations of a window: the runtime's default."""

LEAD = 64
"""Judged observations that are replayed before a switch, so that the stream has windows."""

SECOND_NS = 10**9
"""Time between two samples of a recording; only the order counts."""

METHODS = {
    "auricle": (True, False),
    "auricle, alarms confirmed": (True, True),
    "auricle, facts without times": (False, False),
}
"""By name: whether facts have capture times, and whether a person calls each question harmless."""

Bools = NDArray[np.bool_]


class PassedRows:
    """An encoder that passes quantised rows through."""

    def __init__(self, card: encoder.Card) -> None:
        self.card = card

    def encode(self, payload: Any) -> encoder.Features:
        """Return the row."""
        return encoder.Features(payload)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartResult:
    """What one method did on one part.

    sample, window: alarms on the judged part.  by_class: the same with the judged part sorted by
    class, None with one class.  found, separable: of each switch.  attainable: False if the runtime
    says beforehand that it cannot keep the rate; it then raises no alarms, and the part is left out
    of all rates.  alarms: raised on the judged part.
    """

    sample: float
    window: float
    by_class: tuple[float, float] | None = None
    found: tuple[bool, ...] = ()
    separable: tuple[bool, ...] = ()
    questions: int = 0
    alarms: int = 0
    judged: int = 0
    attainable: bool = True


@dataclass(slots=True, eq=False, kw_only=True)
class TimedDevice:
    """A runtime with its ledger."""

    runtime: Runtime
    ledger: MemoryLedger
    confirms: bool
    questions: int = 0
    alarms: int = 0
    sequence: int = 0
    scores: list[float] = field(default_factory=list)

    def send(self, event: Event) -> tuple[Effect, ...]:
        """Handle an event and apply its effects; return them."""
        effects = self.runtime.handle(event)
        for effect in effects:
            self.ledger.apply(effect)
        return effects

    def observe(self, rows: NDArray[np.uint8]) -> tuple[Bools, Bools]:
        """Return whether each observation, and the window that it ends, were novel."""
        events = [
            Observation(
                stream="live",
                sequence=self.sequence + at,
                captured_at_ns=(1 << 60) + (self.sequence + at) * SECOND_NS,
                payload=row,
            )
            for at, row in enumerate(rows)
        ]
        self.sequence += len(rows)
        found: list[Decision] = []
        for start in range(0, len(events), WINDOW):
            self.runtime.prefetch(events[start : start + WINDOW])
            for event in events[start : start + WINDOW]:
                for message in _messages(self.send(event)):
                    if isinstance(message, Decision):
                        found.append(message)
                    elif isinstance(message, DriftAlarm):
                        self.alarms += message.raised
                    elif isinstance(message, AlarmQuestion):
                        self.questions += 1
                        if self.confirms:
                            self.send(ConfirmAlarm(message.alarm_id, "live", harmless=True))
        sample = np.asarray([one.p_value <= RATE for one in found])
        return sample, np.asarray([one.window_p <= RATE for one in found])


def _messages(effects: tuple[Effect, ...]) -> Iterator[object]:
    return (effect.message for effect in effects if isinstance(effect, Publish))


def run_part(
    data: Path | None, *, quick: bool = False
) -> tuple[list[BenchmarkRow], dict[str, float], list[str]]:
    """Return rows by method and set, the summary, and notes."""
    parts, notes = time_parts(data, quick=quick)
    groups = list(dict.fromkeys(part.group for part in parts))
    rows: list[BenchmarkRow] = []
    worst: dict[str, tuple[float, float]] = {}
    within: dict[str, tuple[float, float]] = {}
    detected: dict[str, float] = {}
    for method, (timed, confirms) in METHODS.items():
        found = {part.name: judge(part, timed=timed, confirms=confirms) for part in parts}
        able = [part for part in parts if found[part.name].attainable]
        by_group = {g: [found[p.name] for p in able if p.group == g] for g in groups}
        by_group = {group: results for group, results in by_group.items() if results}
        for group, results in by_group.items():
            rows += _rows(method, group, results)
        for group in by_group:
            for name, stays in (("stays within", True), ("drifts beyond", False)):
                split = [p for p in able if p.group == group and p.stays_within is stays]
                rows += _split_rows(method, f"{group}, {name}", [found[p.name] for p in split])
        chosen = [found[part.name] for part in able if part.group not in CONFIRMATION]
        worst[method] = _worst(list(by_group.values()))
        inside = {
            g: [found[p.name] for p in able if p.group == g and p.stays_within] for g in groups
        }
        within[method] = _worst([results for results in inside.values() if results])
        detected[method] = _detected([one for results in by_group.values() for one in results])
        notes += [f"{method}: not attainable beforehand: {_not_attainable(found)}"]
        rows.append(BenchmarkRow(method, "found, development sets", _detected(chosen)))
    for part_group in groups:
        for method, sample, window in peer_alarms([p for p in parts if p.group == part_group]):
            rows.append(BenchmarkRow(method, f"{part_group}: false alarms, sample", sample))
            rows.append(BenchmarkRow(method, f"{part_group}: false alarms, window", window))
    confirmed = "auricle, alarms confirmed"
    summary = {
        "far_time_sample_worst": worst[confirmed][0],
        "far_time_window_worst": worst[confirmed][1],
        "far_time_sample_worst_unconfirmed": worst["auricle"][0],
        "far_time_window_worst_unconfirmed": worst["auricle"][1],
        "far_time_sample_worst_within_unconfirmed": within["auricle"][0],
        "far_time_window_worst_within_unconfirmed": within["auricle"][1],
        "detected_after_recalibration": detected[confirmed],
        "detected_unconfirmed": detected["auricle"],
    }
    return rows, summary, notes


def judge(part: TimePart, *, timed: bool, confirms: bool) -> PartResult:
    """Enrol a part, judge the rest of it, and switch to each novelty."""
    enrolled = part.values[: part.enrolled].astype(np.float32)
    quantiser = encoder.freeze_quantiser(enrolled, [slice(0, enrolled.shape[1])], "channel")
    card = encoder.vector_card(enrolled.shape[1], "time order", quantiser)
    facts = tuple(
        Fact(
            id=f"{at:06d}",
            stream="enrolled",
            domain="home",
            label=str(part.labels[at]),
            captured_at_ns=(1 << 59) + at * SECOND_NS if timed else 0,
            features=row.tobytes(),
        )
        for at, row in enumerate(quantiser.quantise(enrolled))
    )
    device = _start(card, MemoryLedger(), confirms=confirms)
    device.send(Enrol(facts))
    device.send(FitGeometry())
    judged = quantiser.quantise(part.values[part.enrolled :].astype(np.float32))
    status = device.runtime.calibration_status()[0]
    sample, window = device.observe(judged)
    whole = window[WINDOW - 1 :]
    scores = _window_scores(device.runtime, judged)
    limit = float(np.quantile(scores[WINDOW - 1 :], 1 - ORACLE_RATE))
    found, separable = [], []
    for rows in part.switches.values():
        new = quantiser.quantise(rows.astype(np.float32))
        again = _restart(card, device)
        again.observe(judged[-LEAD:])
        found.append(bool(again.observe(new)[1].any()))
        mixed = _window_scores(device.runtime, np.concatenate([judged[-WINDOW:], new]))
        separable.append(bool((mixed[WINDOW:] > limit).any()))
    return PartResult(
        sample=float(sample.mean()),
        window=float(whole.mean()) if len(whole) else 0.0,
        by_class=_by_class(part, card, facts, judged, confirms=confirms),
        found=tuple(found),
        separable=tuple(separable),
        questions=device.questions,
        alarms=device.alarms,
        judged=len(judged),
        attainable=not status.shortfall,
    )


def _start(card: encoder.Card, ledger: MemoryLedger, *, confirms: bool) -> TimedDevice:
    config = Config(growth=False, false_alarm_rate=RATE)
    runtime = Runtime(config, PassedRows(card), ledger)
    return TimedDevice(runtime=runtime, ledger=ledger, confirms=confirms)


def _restart(card: encoder.Card, device: TimedDevice) -> TimedDevice:
    """Return a device that was restarted on a copy of the ledger; its questions stay unanswered."""
    made = _start(card, _copy(device.ledger), confirms=False)
    made.sequence = device.sequence
    return made


def _copy(ledger: MemoryLedger) -> MemoryLedger:
    made = MemoryLedger(ledger.facts())
    geometry = ledger.geometry()
    assert geometry is not None
    made.apply(StoreGeometry(geometry))
    for stream, record in ledger.recalibrations().items():
        made.apply(StoreRecalibration(stream, record))
    return made


def _by_class(
    part: TimePart,
    card: encoder.Card,
    facts: tuple[Fact, ...],
    judged: NDArray[np.uint8],
    *,
    confirms: bool,
) -> tuple[float, float] | None:
    labels = part.labels[part.enrolled :]
    if len(set(labels.tolist())) < 2:
        return None
    device = _start(card, MemoryLedger(), confirms=confirms)
    device.send(Enrol(facts))
    device.send(FitGeometry())
    sample, window = device.observe(judged[np.argsort(labels, kind="stable")])
    return float(sample.mean()), float(window[WINDOW - 1 :].mean())


def _window_scores(runtime: Runtime, rows: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the mean deviation of the window that ends with each row; 0 before the first one."""
    known = runtime.knowledge
    codes = known.geometry.project(rows)
    each = hdc.detect_each(codes, known.memory, known.calibration(), RATE)
    sums = np.concatenate([[0.0], np.cumsum([verdict.deviation for _, verdict in each])])
    made = np.zeros(len(rows))
    made[WINDOW - 1 :] = (sums[WINDOW:] - sums[:-WINDOW]) / WINDOW
    return made


def _rows(method: str, group: str, results: list[PartResult]) -> list[BenchmarkRow]:
    runs = [one.by_class for one in results if one.by_class is not None]
    judged = sum(one.judged for one in results)
    figures = {
        "false alarms, sample": float(np.mean([one.sample for one in results])),
        "false alarms, window": float(np.mean([one.window for one in results])),
        "found of separable": _detected(results),
        "separable": float(np.mean([ok for one in results for ok in one.separable])),
        "questions per 500": 500 * sum(one.questions for one in results) / judged,
        "alarms per 1,000": 1_000 * sum(one.alarms for one in results) / judged,
    }
    if runs:
        figures["runs of one class, sample"] = float(np.mean([sample for sample, _ in runs]))
        figures["runs of one class, window"] = float(np.mean([window for _, window in runs]))
    return [BenchmarkRow(method, f"{group}: {name}", value) for name, value in figures.items()]


def _split_rows(method: str, name: str, results: list[PartResult]) -> list[BenchmarkRow]:
    if not results:
        return []
    judged = sum(one.judged for one in results)
    questions = 500 * sum(one.questions for one in results) / judged
    sample = float(np.mean([one.sample for one in results]))
    window = float(np.mean([one.window for one in results]))
    return [
        BenchmarkRow(method, f"{name}: parts", len(results)),
        BenchmarkRow(method, f"{name}: false alarms, sample", sample),
        BenchmarkRow(method, f"{name}: false alarms, window", window),
        BenchmarkRow(method, f"{name}: questions per 500", questions),
    ]


def _worst(groups: list[list[PartResult]]) -> tuple[float, float]:
    """Return the highest mean false-alarm rates of a set, per sample and per window; NaN without
    one."""
    if not groups:
        return float("nan"), float("nan")
    return (
        max(float(np.mean([one.sample for one in results])) for results in groups),
        max(float(np.mean([one.window for one in results])) for results in groups),
    )


def _detected(results: list[PartResult]) -> float:
    """Return the share of the switches that the oracle finds which were found."""
    pairs = [pair for one in results for pair in zip(one.found, one.separable, strict=True)]
    separable = [found for found, ok in pairs if ok]
    return float(np.mean(separable)) if separable else float("nan")


def _not_attainable(found: dict[str, PartResult]) -> str:
    names = [name for name, one in found.items() if not one.attainable]
    return f"{len(names)} of {len(found)} ({', '.join(names) or 'none'})"
