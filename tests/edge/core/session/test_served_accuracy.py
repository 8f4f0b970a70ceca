from __future__ import annotations

from edge.core.session.served_accuracy import ServedAccuracy, ServedAnswer


def test_answers_are_counted_by_domain():
    """Right and wrong answers of one domain leave those of another alone."""
    tally = ServedAccuracy()
    for key, domain, right in (("1", "a", True), ("2", "a", False), ("3", "b", True)):
        tally.put(key, domain, right=right)
    assert tally.of("a") == ServedAnswer(2, 1)
    assert tally.of("a").accuracy == 0.5
    assert tally.of("c").accuracy == 0.0


def test_a_corrected_label_counts_once():
    """The newest version of a label replaces the one before."""
    tally = ServedAccuracy()
    tally.put("1", "a", right=False)
    tally.put("1", "b", right=True)
    assert (tally.of("a").count, tally.of("b")) == (0, ServedAnswer(1, 1))


def test_the_oldest_answers_make_room():
    """Only the newest answers are kept."""
    tally = ServedAccuracy(size=2)
    for key in "123":
        tally.put(key, "a", right=key != "1")
    assert tally.of("a") == ServedAnswer(2, 2)


def test_a_corrected_label_is_new_again():
    """An answer whose label is corrected is the newest, and not the next to make room."""
    tally = ServedAccuracy(size=2)
    for key in ("1", "2", "1", "3"):
        tally.put(key, f"domain {key}", right=True)
    assert [tally.of(f"domain {key}").count for key in "123"] == [1, 0, 1]


def test_forgotten_and_renamed():
    """Forgotten observations count no more; renamed domains keep their answers."""
    tally = ServedAccuracy()
    tally.put("1", "a", right=True)
    tally.put("2", "a", right=True)
    tally.drop(["2", "nothing"])
    tally.rename("a", "b")
    assert tally.of("b") == ServedAnswer(1, 1)
