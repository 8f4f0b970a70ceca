from __future__ import annotations

from msgspec.structs import replace

from edge.core.session.label_buffer import (
    BufferedObservation,
    LabelBuffer,
    ServedAccuracy,
    ServedAnswer,
)


def seen(domain: str = "home", at: int = 0) -> BufferedObservation:
    """An observation that waits for a domain."""
    return BufferedObservation(
        stream="s", subject="", captured_at_ns=at, domain=domain, features=b""
    )


def test_the_oldest_goes_first():
    """Beyond its size the buffer drops the oldest."""
    recent = LabelBuffer(2)
    for key in "abc":
        recent.add(key, seen())
    assert [key for key, _ in recent.items()] == ["b", "c"]
    assert recent.get("a") is None


def test_a_repeated_observation_counts_once():
    """The newest version of an observation is kept, as the newest."""
    recent = LabelBuffer(2)
    for key, at in (("a", 1), ("b", 2), ("a", 3), ("c", 4)):
        recent.add(key, seen(at=at))
    assert [key for key, _ in recent.items()] == ["a", "c"]
    kept = recent.get("a")
    assert kept is not None
    assert kept.captured_at_ns == 3


def test_dropping_ignores_unknown_ids():
    """Dropping unknown ids is no error."""
    recent = LabelBuffer()
    recent.add("a", seen())
    recent.drop({"a", "never seen"})
    assert len(recent) == 0


def test_a_renamed_domain_is_renamed_for_waiting_observations():
    """Observations assigned to a domain follow its new name; others do not."""
    recent = LabelBuffer()
    recent.add("a", seen("domain-2"))
    recent.add("b", seen("home"))
    assert recent.rename("domain-2", "scanner")
    assert [row.domain for _, row in recent.items()] == ["scanner", "home"]
    assert not recent.rename("domain-2", "scanner")


def test_answers_are_counted_by_domain():
    """Right and wrong answers are counted per domain."""
    tally = ServedAccuracy()
    for key, domain, right in (("1", "a", True), ("2", "a", False), ("3", "b", True)):
        tally.record(key, domain, right=right)
    assert tally.in_domain("a") == ServedAnswer(2, 1)
    assert tally.in_domain("a").accuracy == 0.5
    assert tally.in_domain("c").accuracy == 0.0


def test_a_corrected_label_counts_once():
    """The newest version of a label replaces the one before."""
    tally = ServedAccuracy()
    tally.record("1", "a", right=False)
    tally.record("1", "b", right=True)
    assert (tally.in_domain("a").count, tally.in_domain("b")) == (0, ServedAnswer(1, 1))


def test_the_oldest_answers_make_room():
    """Only the newest answers are kept."""
    tally = ServedAccuracy(size=2)
    for key in "123":
        tally.record(key, "a", right=key != "1")
    assert tally.in_domain("a") == ServedAnswer(2, 2)


def test_a_corrected_label_is_new_again():
    """An answer whose label is corrected counts as the newest."""
    tally = ServedAccuracy(size=2)
    for key in ("1", "2", "1", "3"):
        tally.record(key, f"domain {key}", right=True)
    assert [tally.in_domain(f"domain {key}").count for key in "123"] == [1, 0, 1]


def test_forgotten_and_renamed():
    """Forgotten observations count no more; renamed domains keep their answers."""
    tally = ServedAccuracy()
    tally.record("1", "a", right=True)
    tally.record("2", "a", right=True)
    tally.drop(["2", "nothing"])
    tally.rename("a", "b")
    assert tally.in_domain("b") == ServedAnswer(1, 1)


def test_one_recording_is_filed_together():
    """Consecutive observations of a recording follow two thirds of them; a run that is evenly
    divided, or without a name, does not."""
    recent = LabelBuffer()
    for at, domain in enumerate(("home", "hall", "hall", "hall", "home", "hall")):
        name = "" if at == 5 else "day 1" if at < 4 else "day 2"
        one = replace(seen(domain, at), recording=name)
        recent.add(f"o{at}", one)
    keys = [f"o{at}" for at in range(6)]
    assert recent.filed_domains([*keys, "gone"]) == dict(
        zip(keys, ["hall"] * 4 + ["home", "hall"], strict=True)
    )
    assert recent.filed_domains(["o0"]) == {"o0": "hall"}
    recent.move("o1", "home")
    assert list(recent.filed_domains(keys[:4]).values()) == ["home", "home", "hall", "hall"]
