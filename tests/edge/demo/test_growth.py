from dataclasses import replace

import pytest

from edge.demo.growth import describe_verdict
from edge.sim.recording import GrowthAttemptRecord, GrowthEpisode

BLUEPRINT = "random: taps 0, width 64"
SERVING = GrowthEpisode(
    job_id="job",
    domain="hall",
    version=1,
    facts=40,
    asked_at=0,
    ended_at=0,
    until=None,
    state="serving",
    reason="",
    blueprint=BLUEPRINT,
    accuracy=0.96,
    incumbent=0.92,
    search=(),
    trials=(
        GrowthAttemptRecord(BLUEPRINT, 0.9, 0.96),
        GrowthAttemptRecord("none: taps 0", 0.4, 0.92),
    ),
)
TAKEN_OVER = replace(SERVING, trials=(GrowthAttemptRecord(BLUEPRINT, 0.9, 0.95),))
NOT_FIRST = replace(
    SERVING, trials=(*SERVING.trials, GrowthAttemptRecord("linear: taps 1", 0.4, 0.98))
)
WITHIN_CHANCE = "; a higher figure is within chance, and the search expects most of this one"
REFUSED = replace(SERVING, state="refused", blueprint="")
FAILED = replace(REFUSED, seconds=3.0, accuracy=None, reason="the worker failed: it was killed")


@pytest.mark.parametrize(
    ("episode", "text"),
    [
        (SERVING, f"{BLUEPRINT} serves: 96.0%, without it 92.0%"),
        (TAKEN_OVER, f"{BLUEPRINT} of another domain serves here, too: 96.0%, without it 92.0%"),
        (
            NOT_FIRST,
            f"{BLUEPRINT} serves: 96.0%, without it 92.0%{WITHIN_CHANCE}",
        ),
        (REFUSED, "without them 92.0%: the gain is within chance, the head alone keeps answering"),
        (FAILED, "the worker failed: it was killed; the head alone keeps answering, after 3.0 s"),
    ],
    ids=["grown here", "taken over", "not the highest", "refused", "failed"],
)
def test_the_end_of_a_growth_is_reported(episode, text):
    """One line says what serves and where it came from, or why the head alone keeps answering;
    an adaptor of another domain may look like a candidate of this one."""
    assert describe_verdict(episode).text == text
