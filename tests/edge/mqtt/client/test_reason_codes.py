"""Refusals of a broker, and how long they last."""

from __future__ import annotations

from edge.mqtt.client.reason_codes import REPEAT_S, ReasonCounters, ReasonLog


def test_a_refusal_lasts_until_it_is_granted_or_expires() -> None:
    """A refused subscription is reported until it is granted, a refused message for a minute."""
    now = [0.0]
    reasons = ReasonLog(ReasonCounters(), lambda: now[0])
    reasons.note("CONNACK", 135, "Not authorized", "")
    assert reasons.refusal == ""
    reasons.note("PUBACK", 16, "No matching subscribers", "a/b")
    assert reasons.refusal == ""
    reasons.note("PUBACK", 151, "Quota exceeded", "a/b")
    assert reasons.refusal == "a/b is refused: Quota exceeded"
    reasons.note("SUBACK", 135, "Not authorized", "c/+")
    now[0] += REPEAT_S
    assert reasons.refusal == "the subscription to c/+ is refused: Not authorized"
    reasons.note("SUBACK", 1, "Granted QoS 1", "c/+")
    assert reasons.refusal == ""
