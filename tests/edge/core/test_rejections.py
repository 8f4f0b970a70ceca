from __future__ import annotations

import numpy as np
import pytest

from edge.core import limits
from edge.core.events import (
    Acknowledgement,
    Enrol,
    ForgetRequest,
    Label,
    Observation,
    Rejected,
    Relabel,
)
from edge.core.facts import Selector
from tests.worlds import WIDTH, World, fact, vector


@pytest.mark.parametrize(
    "event",
    [
        Observation(stream="s", sequence=9, captured_at_ns=0, payload=np.full(WIDTH, np.nan)),
        Observation(stream="s", sequence=9, captured_at_ns=0, payload=np.full(WIDTH, np.inf)),
        Observation(stream="s", sequence=9, captured_at_ns=0, payload=np.zeros(WIDTH - 1)),
        Observation(stream="s", sequence=9, captured_at_ns=0, payload=np.zeros((2, WIDTH))),
        Observation(stream="s", sequence=9, captured_at_ns=0, payload=b""),
        Observation(stream="s", sequence=9, captured_at_ns=0, payload=None),
        Observation(stream="s", sequence=9, captured_at_ns=0, payload="text"),
        Observation(stream="s", sequence=9, captured_at_ns=-1, payload=np.zeros(WIDTH)),
        Observation(stream="s", sequence=9, captured_at_ns=0, payload=np.zeros(WIDTH), id="\x00"),
        Label("s:0", ""),
        Label("s:0", "a" * 10_000),
        Label("s:0", "a\x00b"),
        Label("s:0", "a", "\n"),
        Label("\ud800", "a"),
        Label("never seen", "a"),
        Enrol((fact("y"), fact("z", ""))),
        Enrol((fact("y"), fact("z", at=-1))),
        Enrol((fact("y"), fact("z", width=WIDTH + 1))),
        Relabel(Selector(label="a")),
        Relabel(Selector(label="a"), "\x07"),
        ForgetRequest(request_id="r", selector=Selector()),
        ForgetRequest(request_id="", selector=Selector(label="a")),
        ForgetRequest(request_id="r", selector=Selector(ids=frozenset(map(str, range(5000))))),
        Relabel(Selector(ids=frozenset(map(str, range(5000)))), "b"),
        ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"\ud800"}))),
    ],
    ids=lambda event: type(event).__name__,
)
def test_a_bad_event_is_rejected_and_changes_nothing(event):
    """Bad input is answered with a reason and a hint; knowledge, ledger and window stay."""
    world = World([fact("x")])
    world.observe(vector(5), 0)
    facts, digest = world.ledger.facts(), world.runtime.digest()
    rejected = world.ask(event, Rejected)
    assert rejected.reason
    assert rejected.hint
    assert len(rejected.reason) < 400
    assert len(rejected.subject_id) <= limits.TEXT_CHARS_MAX
    assert (world.ledger.facts(), world.runtime.digest()) == (facts, digest)
    assert world.ask(Label("s:0", "b"), Acknowledgement).count == 1
