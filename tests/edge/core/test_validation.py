from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from edge.core.events import Enrol, FitGeometry, ForgetRequest, Label, Observation, Relabel
from edge.core.facts import Selector
from edge.core.validation import find_invalid
from tests.worlds import WIDTH, fact

GOOD = fact("x")
SELECTOR = Selector(label="a")


def forget(selector: Selector) -> ForgetRequest:
    """A request to forget a selection."""
    return ForgetRequest(request_id="r", selector=selector)


SOUND = [
    Observation(stream="s", sequence=1, captured_at_ns=0, payload=b"anything"),
    Observation(stream="s", sequence=1, captured_at_ns=2**63 - 1, payload=None, id="y" * 200),
    Label("x", "two words, café", "domain 2"),
    Enrol(()),
    Enrol((GOOD, msgspec.structs.replace(GOOD, stream="", subject=""))),
    Relabel(Selector(), "b"),
    forget(SELECTOR),
    ForgetRequest(
        request_id="r",
        selector=Selector(ids=frozenset({"x"}), from_ns=0, until_ns=5),
        requested_at_ns=7,
    ),
    FitGeometry(),
]

PLAIN = Observation(stream="s", sequence=1, captured_at_ns=0, payload=b"")

FLAWED = [
    (Observation(stream="s", sequence=1, captured_at_ns=-1, payload=b""), "captured_at_ns"),
    (Observation(stream="", sequence=1, captured_at_ns=0, payload=b"", id="y"), "stream"),
    (Observation(stream="s", sequence=-1, captured_at_ns=0, payload=b""), "sequence"),
    (forget(None), "selector"),  # type: ignore[arg-type]
    (forget(Selector(ids="o12")), "selector.ids"),  # type: ignore[arg-type]
    (Observation(stream="s", sequence=1, captured_at_ns=2**63, payload=b""), "captured_at_ns"),
    (replace(PLAIN, captured_at_ns=1.5), "captured_at_ns"),  # type: ignore[arg-type]
    (Observation(stream="s", sequence=1, captured_at_ns=0, payload=b"", id="\x00"), "id"),
    (Observation(stream="s" * 200, sequence=1, captured_at_ns=0, payload=b""), "id"),
    (Observation(stream="s", sequence=1, captured_at_ns=0, payload=b"", subject="a\tb"), "subject"),
    (Label("x", ""), "label"),
    (Label("x", "  "), "label"),
    (Label("x", "a\nb"), "label"),
    (Label("x", "a" * 10_000), "label"),
    (Label("x", None), "label"),  # type: ignore[arg-type]
    (Label("x", "\ud800"), "label"),
    (Label("", "a"), "observation_id"),
    (Label("x", "a", "\x7f"), "domain"),
    (Enrol((GOOD, msgspec.structs.replace(GOOD, features=bytes(WIDTH - 1)))), "features"),
    (Enrol((msgspec.structs.replace(GOOD, features=[0] * WIDTH),)), "features"),
    (Enrol((msgspec.structs.replace(GOOD, id=""),)), "id"),
    (Enrol((msgspec.structs.replace(GOOD, domain=""),)), "domain"),
    (Enrol((msgspec.structs.replace(GOOD, captured_at_ns=-5),)), "captured_at_ns"),
    (Enrol((msgspec.structs.replace(GOOD, revision=2**63),)), "revision"),
    (Enrol((msgspec.structs.replace(GOOD, stream="\x1b[31m"),)), "stream"),
    (Relabel(SELECTOR), "a new label or a new domain"),
    (Relabel(SELECTOR, "x" * 201), "label"),
    (Relabel(Selector(domain="\n"), "b"), "domain"),
    (ForgetRequest(request_id="", selector=SELECTOR), "request_id"),
    (ForgetRequest(request_id="r", selector=SELECTOR, requested_at_ns=-1), "requested_at_ns"),
    (forget(Selector(ids=frozenset({"\ud800"}))), "id"),
    (forget(Selector(from_ns=-(2**70))), "from_ns"),
    (forget(Selector(until_ns=2**63)), "until_ns"),
    (forget(Selector(from_ns="")), "from_ns"),  # type: ignore[arg-type]
    (forget(Selector(subject=0)), "subject"),  # type: ignore[arg-type]
    (forget(Selector(ids=frozenset({1, "a"}))), "id"),  # type: ignore[arg-type]
    (Enrol(None), "facts"),  # type: ignore[arg-type]
    (Enrol(("x",)), "facts"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("event", SOUND, ids=repr)
def test_a_sound_event_has_no_flaw(event):
    """A valid event passes, with a payload of any kind."""
    assert find_invalid(event, WIDTH) == ""


@pytest.mark.parametrize(("event", "name"), FLAWED, ids=lambda value: repr(value)[:60])
def test_a_flaw_names_its_field(event, name):
    """The reason names the field and the found value, in a bounded length."""
    found = find_invalid(event, WIDTH)
    assert name in found
    assert "found" in found or "given" in found
    assert len(found) < 250


def test_a_flawed_fact_is_named():
    """Of many facts the reason names the invalid one."""
    assert "'y'" in find_invalid(
        Enrol((GOOD, msgspec.structs.replace(GOOD, id="y", label=""))), WIDTH
    )
