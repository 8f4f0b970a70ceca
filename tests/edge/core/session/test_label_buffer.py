from __future__ import annotations

from edge.core.session.label_buffer import BufferedObservation, LabelBuffer


def seen(domain: str = "home", at: int = 0) -> BufferedObservation:
    """An observation that waits for a domain."""
    return BufferedObservation(
        stream="s", subject="", captured_at_ns=at, domain=domain, features=b""
    )


def test_the_oldest_goes_first():
    """Beyond its size the window drops what came first."""
    recent = LabelBuffer(2)
    for key in "abc":
        recent.put(key, seen())
    assert [key for key, _ in recent.items()] == ["b", "c"]
    assert recent.get("a") is None


def test_a_repeated_observation_counts_once():
    """The newest version of an observation stays, at the newest place."""
    recent = LabelBuffer(2)
    for key, at in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        recent.put(key, seen(at=at))
    assert [key for key, _ in recent.items()] == ["a", "c"]
    kept = recent.get("a")
    assert kept is not None
    assert kept.captured_at_ns == 3


def test_dropping_takes_what_is_there():
    """Dropping unknown ids is no error."""
    recent = LabelBuffer()
    recent.put("a", seen())
    recent.drop({"a", "never seen"})
    assert len(recent) == 0


def test_a_renamed_domain_is_renamed_for_what_waits():
    """Observations waiting for a domain wait for its new name; others stay."""
    recent = LabelBuffer()
    recent.put("a", seen("domain-2"))
    recent.put("b", seen("home"))
    assert recent.rename("domain-2", "scanner")
    assert [row.domain for _, row in recent.items()] == ["scanner", "home"]
    assert not recent.rename("domain-2", "scanner")
