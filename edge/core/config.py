"""Settings of the core that a user can choose; everything else is measured or fixed."""

from typing import Final

import nas

from . import limits
from .anomaly.scorer import FALSE_ALARMS_PER_DAY, FALSE_ALARMS_PER_DAY_MAX
from .errors import ConfigError
from .forecasting import HORIZONS, ForecastTask
from .selection import RANDOM, SELECTORS
from .similar_names import nearest_name
from .structs import FrozenStruct

ADAPTATIONS: Final = ("auto", "off")
"""Policies of adaptation without labels that the runtime serves."""


class Config(FrozenStruct, frozen=True, kw_only=True):
    """Settings of a Runtime.

    seed: of the projection; part of every digest.  false_alarm_rate: share of known samples, and of
    windows of them, that may be reported as novel.  window: observations in a drift window.
    facts_per_concept: facts kept per (domain, label).  keep: one of `selection.SELECTORS`, which
    chooses them.  first_domain: domain of labels that
    name none while the ledger is empty.  growth: whether growth starts for domains that are due.
    adaptor_bytes, adaptor_operations, adaptor_latency_ms: limits on an adaptor with its head, the
    last two per sample.
    forecast: whether series are forecast.  horizons: in steps.  periods: (stream, steps) of series
    with a known season.  detector: of change points in series; empty: `drift.default_detector`.
    false_alarms_per_day: of the anomaly score of one series.  alarm_outputs: (stream, channel) of
    outputs that are 1 while the stream is in alarm.  adaptation: one of `ADAPTATIONS`: whether
    domains without labels are adapted to.
    """

    seed: int = 1
    false_alarm_rate: float = 0.01
    window: int = 16
    facts_per_concept: int = limits.FACTS_PER_CONCEPT_MAX
    keep: str = RANDOM
    first_domain: str = "domain-1"
    growth: bool = True
    adaptor_bytes: int = 1 << 23
    adaptor_operations: int = 10_000_000
    adaptor_latency_ms: float = 2.0
    forecast: bool = True
    horizons: tuple[int, ...] = HORIZONS
    periods: tuple[tuple[str, int], ...] = ()
    detector: str = ""
    false_alarms_per_day: float = FALSE_ALARMS_PER_DAY
    alarm_outputs: tuple[tuple[str, int], ...] = ()
    adaptation: str = "auto"

    def __post_init__(self) -> None:
        """Raise ConfigError for an invalid value."""
        _require(0 <= self.seed < 2**32, "seed", "0 to 4294967295", self.seed)
        _require(
            0 < self.false_alarm_rate < 0.5,
            "false_alarm_rate",
            "above 0 and below 0.5",
            self.false_alarm_rate,
        )
        _require(
            1 <= self.window <= limits.DRIFT_WINDOW_MAX,
            "window",
            f"1 to {limits.DRIFT_WINDOW_MAX} observations",
            self.window,
        )
        _require(
            self.facts_per_concept >= 1, "facts_per_concept", "1 or more", self.facts_per_concept
        )
        _require_selector(self.keep)
        for key in ("adaptor_bytes", "adaptor_operations", "adaptor_latency_ms"):
            _require(getattr(self, key) > 0, key, "above 0", getattr(self, key))
        for period in (None, *dict(self.periods).values()):
            ForecastTask(1, self.horizons, period=period)
        _require(
            0 < self.false_alarms_per_day <= FALSE_ALARMS_PER_DAY_MAX,
            "false_alarms_per_day",
            f"above 0 and at most {FALSE_ALARMS_PER_DAY_MAX:,}",
            self.false_alarms_per_day,
        )
        if self.detector:
            _require_detector(self.detector)
        found, expected = self.adaptation, " or ".join(ADAPTATIONS)
        _require(found in ADAPTATIONS, "adaptation", expected, found)
        name = self.first_domain
        usable = name.strip() and name.isprintable() and len(name) <= limits.TEXT_CHARS_MAX
        _require(
            bool(usable), "first_domain", f"1 to {limits.TEXT_CHARS_MAX} printable characters", name
        )

    @property
    def budget(self) -> nas.AdaptorBudget:
        """The limits on an adaptor."""
        return nas.AdaptorBudget(
            self.adaptor_bytes, self.adaptor_operations, self.adaptor_latency_ms
        )


def _require(valid: object, key: str, expected: str, found: object) -> None:
    if not valid:
        raise ConfigError(
            f"reading the configuration: {key} must be {expected}, found {found!r}",
            f"correct {key}",
        )


def _require_detector(name: str) -> None:
    # Imported only if a detector is named: most homes have no series.
    from .drift import DETECTORS

    if name not in DETECTORS:
        close = nearest_name(name, DETECTORS)
        known = f"known detectors: {', '.join(DETECTORS)}"
        raise ConfigError(
            f"reading the configuration: there is no change detector {name!r}",
            f"did you mean {close}?" if close else known,
        )


def _require_selector(name: str) -> None:
    if name not in SELECTORS:
        close = nearest_name(name, SELECTORS)
        known = f"known selectors: {', '.join(SELECTORS)}"
        raise ConfigError(
            f"reading the configuration: keep must be the name of a selector, found {name!r}",
            f"did you mean {close!r}?" if close else known,
        )
