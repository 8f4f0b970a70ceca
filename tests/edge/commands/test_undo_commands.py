"""Labels in bulk, labels taken back, and undo, through the control socket: carried out once, with
an answer that names the changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edge.commands.handler import LOST
from edge.core.events import Enrol, Observation, StoreLabelCandidates
from edge.core.facts import LabelCandidate
from edge.core.limits import UNDO_NS
from edge.home import agreement
from edge.storage import tables
from tests.edge.commands.contexts import NOW, Office
from tests.worlds import clouds, fact

WAITING = 60


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A handler over a home with 300 facts of two labels around two centres, where observations
    around a third one wait for a label."""
    made = Office(tmp_path)
    rows = clouds((1, 2), 150, spread=9)
    facts = (fact(f"f{n:03}", "ab"[n // 150], "hall", n + 1) for n in range(300))
    given = zip(facts, rows, strict=True)
    made.home.feed(Enrol(tuple(replace(one, features=row.tobytes()) for one, row in given)))
    made.home.refit_geometry()
    made.home.store.apply(
        StoreLabelCandidates(
            tuple(
                LabelCandidate(
                    observation_id=f"c{n}",
                    stream="cam",
                    subject="",
                    domain="hall",
                    captured_at_ns=500 + n,
                    score=0.5,
                    features=row.tobytes(),
                )
                for n, row in enumerate(clouds((3,), WAITING, spread=9, seed=4))
            )
        )
    )
    yield made
    made.home.close()


def ask(office: Office, verb: str, name: str = "c1", **fields: Any) -> dict[str, Any]:
    """Send a command through the control socket; its answer."""
    answers: list[bytes] = []
    line = json.dumps({"verb": verb, "id": name, **fields}).encode()
    order = office.handler.local(line, answers.append)
    if order is not None:
        office.handler.execute(order)
    while office.handler.advance():
        continue
    found: dict[str, Any] = json.loads(answers[0])
    return found


def labels(*numbers: int, label: str = "c") -> list[dict[str, str]]:
    """Labels of waiting observations."""
    return [{"observation_id": f"c{n}", "label": label} for n in numbers]


def test_many_labels_in_one_command(office: Office) -> None:
    """The answer says how many were stored, which were refused and why, how many of the waiting
    observations agree now, and how many still wait."""
    given = [*labels(*range(40)), {"observation_id": "nowhere", "label": "c"}, *labels(3)]
    body = ask(office, "label-many", labels=given)["body"]
    assert body["labelled"] == 40
    reasons = [(one["observation_id"], one["reason"]) for one in body["refused"]]
    assert [name for name, _ in reasons] == ["nowhere", "c3"]
    assert "expired" in reasons[0][1]
    assert "twice" in reasons[1][1]
    (agreed,) = body["agree"]
    assert (agreed["label"], agreed["waiting"]) == ("c", WAITING - 40)
    assert body["waiting"] == body["compared"] == WAITING - 40
    assert body["warnings"] == []
    assert 0 < body["took_ms"] <= body["counted_ms"]
    observed = Observation(
        stream="cam", sequence=9, captured_at_ns=9, payload=clouds((3,), 1, 9, seed=8)[0]
    )
    (decision, *_) = office.home.feed(observed)
    assert decision.guess == "c"  # type: ignore[union-attr]


def test_agreement_does_not_count_what_agreed_before(office: Office) -> None:
    """After more labels of the same concept, no observation agrees that did before."""
    ask(office, "label-many", "c1", labels=labels(*range(40)))
    body = ask(office, "label-many", "c2", labels=labels(*range(40, 45)))["body"]
    assert (body["labelled"], body["agree"], body["waiting"]) == (5, [], WAITING - 45)


def test_counting_ends_in_time(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where many wait, those that were compared within the limit count."""
    monkeypatch.setattr(agreement, "SECONDS_MAX", 0.0)
    body = ask(office, "label-many", labels=labels(0, 1))["body"]
    assert (body["waiting"], body["labelled"]) == (WAITING - 2, 2)
    assert body["compared"] < WAITING - 2


def test_a_probable_typo_is_warned_about_once(office: Office) -> None:
    """Each new name is compared with the known ones, whatever the number of its labels."""
    office.home.feed(Enrol((fact("named", "lizard", "hall", 900),)))
    body = ask(office, "label-many", labels=labels(0, 1, 2, label="lizzard"))["body"]
    assert len(body["warnings"]) == 1


def test_observations_too_old_for_a_full_concept_are_named(office: Office) -> None:
    """They are refused with a reason, and an undo lets them wait again."""
    office.set('keep = "newest"')
    kept = office.home.settings.knowledge.facts_per_concept
    newer = tuple(fact(f"n{n}", "full", "hall", 10_000 + n) for n in range(kept))
    office.home.feed(Enrol(newer))
    body = ask(office, "label-many", labels=labels(0, 1, label="full"))["body"]
    assert body["labelled"] == 0
    assert [one["observation_id"] for one in body["refused"]] == ["c0", "c1"]
    assert "full" in body["refused"][0]["reason"]
    assert len(office.home.store.candidate_index()) == WAITING - 2
    assert ask(office, "undo", "u1", undo_id=body["undo_id"])["done"]
    assert len(office.home.store.candidate_index()) == WAITING


def test_many_labels_are_carried_out_once(office: Office) -> None:
    """The same command again gets the same answer; after a crash before the answer, it is known to
    be done, and nothing is learned twice."""
    first = ask(office, "label-many", labels=labels(*range(10)))
    again = ask(office, "label-many", labels=labels(*range(10)))
    assert again == first | {"repeated": True}
    line = json.dumps({"verb": "label-many", "id": "c2", "labels": labels(20, 21)}).encode()
    order = office.handler.local(line, lambda _: None)
    assert order is not None
    office.handler.execute(order)
    office.crash()
    assert office.home.store.get("c20") is not None
    answer = ask(office, "label-many", "c2", labels=labels(20, 21))
    assert (answer["done"], answer["repeated"], answer["hint"]) == (True, True, LOST)
    assert len(ask(office, "actions", "a1")["body"]["actions"]) == 2


def test_an_undo_survives_a_restart(office: Office) -> None:
    """Knowledge and facts are those before the labels, after a restart in between; `actions` lists
    what was done, and undone."""
    digests = (office.home.runtime.digest(), office.home.store.digest())
    undo_id = ask(office, "label-many", labels=labels(*range(10)))["body"]["undo_id"]
    office.crash()
    (listed,) = ask(office, "actions", "a1")["body"]["actions"]
    assert listed == {
        "undo_id": undo_id,
        "verb": "label-many",
        "at_ns": NOW,
        "text": "labelled 10 observations as c",
        "undoable": True,
        "expires_at_ns": NOW + UNDO_NS,
    }
    body = ask(office, "undo", "u1", undo_id=undo_id)["body"]
    assert body == {"undone": True, "facts": 10, "text": "labelled 10 observations as c"}
    assert (office.home.runtime.digest(), office.home.store.digest()) == digests
    (listed,) = ask(office, "actions", "a2")["body"]["actions"]
    assert (listed["undoable"], listed["text"]) == (False, "labelled 10 observations as c (undone)")
    again = ask(office, "undo", "u2", undo_id=undo_id)
    assert not again["done"]
    assert "already" in again["reason"]


@pytest.mark.parametrize(
    ("verb", "fields"),
    [
        ("label", {"observation_id": "c1", "label": "c"}),
        ("relabel", {"select": {"label": "a"}, "label": "b"}),
        ("unlabel", {"observation_ids": ["f001", "f002"]}),
    ],
)
def test_each_change_can_be_undone(office: Office, verb: str, fields: dict[str, Any]) -> None:
    """The answer has the id of the undo, which restores knowledge and facts."""
    digests = (office.home.runtime.digest(), office.home.store.digest())
    body = ask(office, verb, **fields)["body"]
    assert office.home.store.digest() != digests[1]
    assert ask(office, "undo", "u1", undo_id=body["undo_id"])["done"]
    assert (office.home.runtime.digest(), office.home.store.digest()) == digests


def test_a_change_of_nothing_has_nothing_to_undo(office: Office) -> None:
    """A label that is known already has no undo."""
    assert "undo_id" not in ask(office, "label", observation_id="f001", label="a")["body"]
    assert ask(office, "label-many", "c2", labels=[])["reason"]
    body = ask(office, "label-many", "c3", labels=labels(99))["body"]
    assert (body["labelled"], body["undo_id"], len(body["refused"])) == (0, "", 1)


def test_old_actions_are_deleted_while_the_daemon_runs(office: Office) -> None:
    """Ten minutes later the record is gone, and an undo is refused with what to do."""
    undo_id = ask(office, "label", observation_id="c1", label="c")["body"]["undo_id"]
    office.context.at_ns += UNDO_NS
    late = ask(office, "undo", "u1", undo_id=undo_id)
    assert "ten minutes" in late["reason"]
    office.handler.maintain()
    assert office.home.store.actions() == ()


def test_an_unknown_merge_of_domains_is_refused(office: Office) -> None:
    """There is nothing to undo; the answer has the reason."""
    answer = ask(office, "undo-merge", merge_id="none")
    assert not answer["done"]
    assert "merge" in answer["reason"]


@pytest.mark.parametrize("verb", ["label-many", "unlabel", "undo", "actions"])
def test_a_broker_cannot_send_them(office: Office, verb: str) -> None:
    """They are for people at the device."""
    assert not office.ask(verb, undo_id="x").done


def test_a_full_disk_loses_no_label(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the change cannot be written, nothing is labelled, the observations wait, and the same
    command succeeds later."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tables, "delete_candidates", full)
        with pytest.raises(Exception, match="No space"):
            ask(office, "label-many", labels=labels(*range(5)))
    assert office.home.store.get("c0") is None
    assert len(office.home.store.candidate_index()) == WAITING
    assert ask(office, "label-many", labels=labels(*range(5)))["body"]["labelled"] == 5
    assert office.home.store.check() == ()
