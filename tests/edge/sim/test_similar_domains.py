"""Similar domains, end to end: what a device opens, and whether it recognises a revisit."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from edge.sim.recording import RunRecording
from edge.sim.scenarios import expand_variants, parse_scenario
from edge.sim.simulation import simulate

VISITS = ("plain", "faint", "plain", "grey", "faint", "plain", "grey")


@pytest.mark.timeout(600)  # two runs of some 700 observations with checks of the store
def test_two_similar_scanners_are_opened_once_each(source: Path) -> None:
    """The first part of the shipped scenario: two new domains, then all three again.  After
    sudden changes the device has exactly these; gradual ones miss none."""
    path = source / "examples/scenarios/similar-6.toml"
    content = tomllib.loads(path.read_text("utf-8"))
    first = content["phases"][:4]
    assert [one["domain"] for one in first] == list(VISITS[:4])
    again = [
        {"domain": name, "observations": 60, "label_fraction": 0.1, "label_delay": 50}
        for name in VISITS[4:]
    ]
    used = {name: content["domains"][name] for name in set(VISITS)}
    ramps = {
        name: value
        for name, value in content["variants"]["gradual"].items()
        if name.split(".")[1] in used
    }
    variants = {"sudden": {}, "gradual": ramps}
    content |= {"phases": [*first, *again], "domains": used, "variants": variants}
    for name, scenario in expand_variants(parse_scenario(content)):
        (recording,) = simulate(scenario).recordings
        assert isinstance(recording, RunRecording)
        metrics = recording.metrics
        assert metrics["changes_missed"] == 0.0, name
        assert (metrics["routing_accuracy_window"] or 0.0) > 0.9, name
        if name == "sudden":
            assert metrics["domains_opened"] == 3.0
