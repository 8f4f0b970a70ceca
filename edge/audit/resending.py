"""Re-sending: what happens when the forgotten items come again.

After Shumailov et al. 2024, "UnUnlearning: unlearning is not sufficient for content regulation",
section 3: forgotten knowledge returns through the context of use.  A home's context is what it
receives: the items are sent again without labels, as the same facts, and as facts with other ids.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from msgspec.structs import replace

import encoder

from ..core import (
    Acknowledgement,
    Decision,
    Enrol,
    Event,
    Fact,
    FactBatch,
    Observation,
    Rejected,
)
from .findings import Figure, Finding

SOURCE: Final = "Shumailov et al. 2024, UnUnlearning, section 3"

ITEMS_MAX: Final = 64
"""Items sent again: bounds the time to a second."""

Feed = Callable[[Event], tuple[Any, ...]]


def resend_unlabelled(served: Feed, twin: Feed, rows: FactBatch) -> Finding:
    """Send items without labels to the home's copy and to its twin, and compare their decisions."""
    count = min(len(rows), ITEMS_MAX)
    differing = 0
    for number in range(count):
        found, expected = (_decide(feed, rows, number) for feed in (served, twin))
        differing += found != expected
    return Finding(
        key="resent_unlabelled",
        title="Items sent again without labels",
        evidence="tested",
        outcome="fails" if differing else "holds",
        text=f"{differing} of {count} decisions differ from those of a twin that never saw them."
        if differing
        else f"All {count} items are decided exactly as by a twin that never saw them.",
        source=SOURCE,
        figures=(Figure(name="decided otherwise", value=differing),),
    )


def resend_labelled(served: Feed, facts: tuple[Fact, ...]) -> tuple[Finding, ...]:
    """Send items with their labels to the home's copy: under the same ids, then changed a little
    under other ids, then unchanged under other ids.  This changes the copy."""
    sent = facts[:ITEMS_MAX]
    same = _learned(served(Enrol(sent)))
    changed = _learned(
        served(Enrol(tuple(_changed(fact, number) for number, fact in enumerate(sent))))
    )
    renamed = tuple(replace(fact, id=f"resent {number}") for number, fact in enumerate(sent))
    other = _learned(served(Enrol(renamed)))
    again = max(other, changed)
    return (
        Finding(
            key="resent_same_ids",
            title="Facts sent again under their ids",
            evidence="tested",
            outcome="fails" if same else "holds",
            text=f"{same} of {len(sent)} were learned again."
            if same
            else f"All {len(sent)} were refused: their ids are remembered as keyed hashes.",
            source=SOURCE,
            figures=(Figure(name="learned again", value=same),),
        ),
        Finding(
            key="resent_other_ids",
            title="Facts sent again under other ids",
            evidence="not covered" if again else "tested",
            outcome="open" if again else "holds",
            text=f"Of {len(sent)}, {other} were learned as new facts unchanged, and {changed}"
            " changed a little. Whoever sends an item again in this way teaches it again."
            if again
            else f"All {len(sent)} were refused, unchanged and changed a little.",
            todo="Stop the source of these items, or forget with `--duplicates near` where that is"
            " possible."
            if again
            else "",
            source=SOURCE,
            figures=(
                Figure(name="unchanged, learned as new", value=other),
                Figure(name="changed a little, learned as new", value=changed),
            ),
        ),
    )


def _changed(fact: Fact, number: int) -> Fact:
    """Return a fact under another id, with every eighth level one higher or lower."""
    levels = np.frombuffer(fact.features, np.uint8).copy()
    part = levels[::8]
    part[:] = np.where(part > 0, part - 1, 1)
    return replace(fact, id=f"resent changed {number}", features=levels.tobytes())


def _decide(feed: Feed, rows: FactBatch, number: int) -> Decision | None:
    features = encoder.Features(np.array(rows.features[number]))
    sent = Observation(stream="audit", sequence=number, captured_at_ns=number + 1, payload=features)
    return next((one for one in feed(sent) if isinstance(one, Decision)), None)


def _learned(messages: tuple[Any, ...]) -> int:
    """Count the facts that were learned, of the messages of an enrolment."""
    if any(isinstance(one, Rejected) for one in messages):
        return 0
    return sum(one.count for one in messages if isinstance(one, Acknowledgement))
