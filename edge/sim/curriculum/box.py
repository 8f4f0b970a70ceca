"""The worlds of a curriculum: a scenario with parameters from 0 (easy) to 1 (hard)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ...core import SELECTORS
from ..corruptions import IMAGES_ONLY, KINDS, VECTORS_ONLY
from ..scenarios import Scenario, parse_scenario

Point = NDArray[np.float64]

ENROL_MAX: Final = 60
"""Examples of a phase in an episode.  This and the next two bounds keep an episode below a second;
chosen by hand."""
OBSERVATIONS_MAX: Final = 40
"""Observations of a phase in an episode."""
TEST_MAX: Final = 30
"""Held-out samples of a domain in an episode."""


@dataclass(frozen=True, slots=True)
class WorldParameter:
    """A parameter: its value where it is easiest and where it is hardest."""

    easy: float
    hard: float

    def at(self, place: float) -> float:
        """Return the value at a place from 0 to 1, to four digits, so that files read well."""
        return round(self.easy + (self.hard - self.easy) * place, 4)


PARAMETERS: Final[Mapping[str, WorldParameter]] = {
    "severity": WorldParameter(0.0, 1.0),
    "kind": WorldParameter(0.0, 1.0),
    "label_fraction": WorldParameter(1.0, 0.0),
    "label_delay": WorldParameter(0, 40),
    "label_noise": WorldParameter(0.0, 0.6),
    "facts_per_concept": WorldParameter(40, 1),
    "keep": WorldParameter(0.0, 1.0),
    "crash": WorldParameter(0.0, 0.1),
    "disk_full": WorldParameter(0.0, 0.2),
    "clock_jump": WorldParameter(0.0, 0.3),
    "messages": WorldParameter(0.0, 0.4),
    "forget_at": WorldParameter(1.0, 0.0),
}
"""The box.  severity, kind: of a corruption of all domains but the first one, or, of a single
domain, of a second one made of it.  keep: the selector of full concepts.  messages: the rate at
which observations are lost, doubled and reordered.  forget_at: the share of the stream after which
the first domain is forgotten; 1: never.  The others are keys of scenario files.  Ranges were chosen
by hand: beyond them a device answers its sender mostly by restarting."""


def world_at(base: Scenario, point: Point) -> Scenario:
    """Return the scenario at a point of the box.  Raises ConfigError as a scenario file does."""
    values = {
        name: parameter.at(float(place))
        for (name, parameter), place in zip(PARAMETERS.items(), point, strict=True)
    }
    content = msgspec.to_builtins(base)
    content["title"] = f"{base.title}: found world"
    content["variants"] = {}
    _shift(content, _choice(_kinds(base), values["kind"]), values["severity"])
    phases = [_phase(phase, values) for phase in content["phases"]]
    content["phases"] = phases
    content["device"] |= {
        "facts_per_concept": int(values["facts_per_concept"]),
        "keep": _choice(tuple(SELECTORS), values["keep"]),
        "growth": False,
    }
    content["faults"] = {
        "crash": values["crash"],
        "disk_full": values["disk_full"],
        "clock_jump": values["clock_jump"],
        **dict.fromkeys(("lost", "doubled", "reordered"), values["messages"]),
    }
    total = sum(phase["observations"] for phase in phases)
    at = int(values["forget_at"] * total)
    content["forget"] = [{"at": at, "domain": phases[0]["domain"]}] if at < total else []
    return parse_scenario(content, "found world")


def _choice(names: Sequence[str], place: float) -> str:
    return names[min(int(place * len(names)), len(names) - 1)]


def _kinds(base: Scenario) -> tuple[str, ...]:
    """Return the kinds of corruption that apply to the scenario's samples, in order."""
    left_out = IMAGES_ONLY if base.encoder.model == "vector" else VECTORS_ONLY
    return tuple(kind for kind in KINDS if kind not in left_out)


def _shift(content: dict[str, Any], kind: str, severity: float) -> None:
    """Corrupt all domains but the first; of one domain, a copy in a further phase."""
    domains, first = content["domains"], content["phases"][0]["domain"]
    for domain in domains.values():
        domain["test"] = min(domain["test"], TEST_MAX)
    if len(domains) == 1:
        domains["shifted"] = dict(domains[first])
        content["phases"] = [
            *content["phases"],
            {"domain": "shifted", "observations": OBSERVATIONS_MAX},
        ]
    for name, domain in domains.items():
        if name != first:
            domain["corruptions"] = [{"kind": kind, "severity": severity}] if severity else []


def _phase(phase: Mapping[str, Any], values: Mapping[str, float]) -> dict[str, Any]:
    return {
        **phase,
        "enrol": min(phase.get("enrol", 0), ENROL_MAX),
        "observations": min(phase.get("observations", 0), OBSERVATIONS_MAX),
        "label_fraction": values["label_fraction"],
        "label_delay": int(values["label_delay"]),
        "label_noise": values["label_noise"],
        "label_domain": True,
    }
