"""The world of a scenario: its samples, encoded, with the corruptions that protocols ask for."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..corruptions import IMAGES_ONLY, SEVERITIES, VECTORS_ONLY, corrupt_values
from ..encoded_domains import read_domains
from ..replay import encode_cached
from ..samples import decode_image
from ..scenarios import PolicyScenario, choose_names
from .kinds import POLICIES
from .protocols import PROTOCOLS, WORST, AdaptationWorld, Change
from .sensor_changes import LEVEL, change_sensor
from .source_model import Bytes, seeded
from .trial import StreamPlan

NEEDS: Final = {
    "left out": "three domains",
    "open set": "a second domain and three classes",
    "changes": 'the encoder "vector"',
    "severity": "samples that corruptions can change",
    "turning": "samples that corruptions can change",
}
"""What protocols need of a scenario, by how their names begin."""
BY_CLASS: Final = "one class"
"""A protocol that runs only where a scenario names it: with a stream for each class it would count
ten times in the mean gain."""
ALL: Final = ((), "all", ("all",))
"""What stands for all other protocols."""
OTHER_NEED: Final = "a second domain"
"""What the other protocols need."""


def choose_policies(scenario: PolicyScenario) -> tuple[str, ...]:
    """Return the names of a scenario's policies; raises ConfigError for an unknown one."""
    return choose_names(scenario.title, "policy", scenario.policy, POLICIES)


def choose_protocols(scenario: PolicyScenario) -> tuple[str, ...]:
    """Return the names of a scenario's protocols; raises ConfigError for an unknown one."""
    if scenario.protocol in ALL:
        return tuple(name for name in PROTOCOLS if name != BY_CLASS)
    return choose_names(scenario.title, "protocol", scenario.protocol, PROTOCOLS)


def plan_scenario(scenario: PolicyScenario) -> tuple[StreamPlan, tuple[str, ...]]:
    """Return the streams of a scenario, its samples read and encoded once, and the classes that are
    left out.

    Raises ConfigError for an unknown protocol, unreadable samples and too few of them.
    """
    protocols = choose_protocols(scenario)
    world, left_out = read_world(scenario, protocols)
    homes = {
        name: () if name.startswith("left out") else (scenario.first_domain,) for name in protocols
    }
    return StreamPlan(lambda _: world, homes), left_out


def explain_absent(scenario: PolicyScenario, shown: Collection[str]) -> str:
    """Return why protocols that a scenario names have no stream, nothing where all have one."""
    if scenario.protocol in ALL:
        return ""
    protocols = choose_protocols(scenario)
    needs: dict[str, list[str]] = {}
    for name in protocols:
        if name not in shown:
            found = next((need for key, need in NEEDS.items() if name.startswith(key)), OTHER_NEED)
            needs.setdefault(found, []).append(name)
    return "; ".join(f"no stream for {', '.join(n)}: needs {need}" for need, n in needs.items())


def read_world(
    scenario: PolicyScenario, protocols: Sequence[str]
) -> tuple[AdaptationWorld, tuple[str, ...]]:
    """Read and encode the samples of a scenario; corruptions of the home where protocols name
    their severities, and changes of a sensor where they name those.  And the classes of which some
    domain has too few samples."""
    found = read_domains(scenario, scenario.samples)
    vectors = bool(found.drawn.samples.taps)
    # Corruptions change images and vectors; there is none of sounds.
    changes = () if found.card.kind == "window" else _changes(protocols, vectors=vectors)
    changed: dict[Change, Bytes] = {
        change: encode_cached(found.card, _change_all(found.payloads, change, found.drawn.spread))
        for change in changes
    }
    if vectors and any(name.startswith("changes") for name in protocols):
        home = found.domains[scenario.first_domain].features
        changed |= change_sensor(home / LEVEL, home.shape[1], 0)
    world = AdaptationWorld(
        name=scenario.title,
        domains=found.domains,
        spans=found.spans,
        changed={scenario.first_domain: changed},
    )
    return world, found.left_out


def _changes(protocols: Sequence[str], *, vectors: bool) -> Iterator[Change]:
    """Yield the changes that protocols ask for: those of their severities that suit the
    samples."""
    unfit = IMAGES_ONLY if vectors else VECTORS_ONLY
    for kind, levels in SEVERITIES.items():
        for level in levels:
            named = any(name.startswith(f"severity {level}") for name in protocols)
            if kind not in unfit and (named or (level == WORST and "turning" in protocols)):
                yield Change(kind, level)


def _change_all(
    payloads: Sequence[Any], change: Change, spread: NDArray[np.float64]
) -> list[NDArray[Any]]:
    severity = SEVERITIES[change.kind][change.severity]
    return [
        corrupt_values(
            decode_image(payload),
            change.kind,
            severity,
            spread,
            seeded("change", change.kind, change.severity, row),
        )
        for row, payload in enumerate(payloads)
    ]
