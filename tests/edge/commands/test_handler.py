"""The command handler: each command runs once and is answered; a repeated one gets the same
answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge.commands.handler import LOST
from edge.config.commands import CommandSettings
from edge.config.fleet import FleetSettings
from edge.core.errors import StateError
from edge.core.events import AlarmQuestion, Enrol, Observation, StoreLabelCandidates
from edge.core.facts import LabelCandidate
from edge.home import labelling
from edge.storage import command_journal as journal
from tests.drifts import SHIFT, samples, timed_home
from tests.edge.commands.contexts import NOW, Office
from tests.worlds import WIDTH, fact, vector


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """A handler over a home with a few facts."""
    made = Office(tmp_path)
    made.home.feed(Enrol(tuple(fact(f"f{n}", "ab"[n % 2], at=n) for n in range(8))))
    yield made
    made.home.close()


def test_a_label_is_learned_and_answered_at_the_response_topic(office: Office):
    """The answer is durable, and has the correlation data and the topic of the request."""
    office.home.feed(Observation(stream="s", sequence=1, captured_at_ns=1, payload=vector(1)))
    payload = b'{"verb":"label","id":"c1","observation_id":"s:1","label":"a"}'
    office.handler.execute(office.order(payload, "label"))
    ((response, topic, correlation, kept),) = office.context.published
    assert (response.done, response.body["count"], response.id) == (True, 1, "c1")
    assert (topic, correlation, kept) == ("auricle/v1/desk/response/ann", b"n1", True)
    assert office.home.store.get("s:1") is not None


@pytest.mark.parametrize(
    ("verb", "fields", "warnings"),
    [
        ("label", {"label": "dgo"}, ["label"]),
        ("label", {"label": "dog", "domain": "homee"}, ["domain"]),
        ("label", {"label": "dog"}, []),
        ("relabel", {"label": "dgo", "domain": "hmoe"}, ["label", "domain"]),
    ],
)
def test_a_probable_typo_is_carried_out_and_warned_about(office: Office, verb, fields, warnings):
    """The answer names the known label or domain; the command waits for no confirmation."""
    office.ask("relabel", "c0", select={"label": "a"}, label="dog")
    office.home.feed(Observation(stream="s", sequence=1, captured_at_ns=1, payload=vector(1)))
    about = {"observation_id": "s:1"} if verb == "label" else {"select": {"label": "b"}}
    result = office.ask(verb, **about, **fields)
    assert result.done
    found = result.body.get("warnings", [])
    assert [one.split()[1] for one in found] == warnings
    assert office.ask(verb, **about, **fields) == msgspec.structs.replace(result, repeated=True)


def local(office: Office, verb: str, **fields: object) -> dict[str, Any]:
    """Send a command through the control socket."""
    answers: list[bytes] = []
    line = json.dumps({"verb": verb, "id": "c1", **fields}).encode()
    order = office.handler.local(line, answers.append)
    if order is not None:
        office.handler.execute(order)
    found: dict[str, Any] = json.loads(answers[0])
    return found


def flag(office: Office, raw: bytes) -> None:
    """Let an observation with a raw input wait for a label."""
    kept = LabelCandidate(
        observation_id="s:1",
        stream="s",
        subject="",
        domain="d",
        captured_at_ns=5,
        score=1.0,
        features=bytes(vector(1)),
    )
    office.home.store.apply(StoreLabelCandidates((kept,)))
    office.home.store.store_raw_inputs({"s:1": raw})


def test_raw_inputs_and_explanations_stay_on_the_machine(office: Office):
    """The control socket answers them each time; over a broker there is no such command."""
    flag(office, b"\x00picture")
    for _ in range(2):
        found = local(office, "raw", observation_id="s:1")
        assert (found["done"], found["repeated"]) == (True, False)
        assert base64.b64decode(found["body"]["raw"]) == b"\x00picture"
        assert local(office, "explain", observation_id="s:1")["body"]["guess"] in {"a", "b"}
    assert local(office, "raw", observation_id="s:2")["body"] == {"raw": ""}
    assert "does not wait" in local(office, "explain", observation_id="s:2")["reason"]
    for verb in ("raw", "explain"):
        result = office.ask(verb, observation_id="s:1")
        assert (result.done, f"there is no command {verb!r}" in result.reason) == (False, True)


def test_a_geometry_is_fitted_on_request(office: Office):
    """A home that was taught fact by fact has no geometry; the command fits it, each time."""
    assert not local(office, "knowledge")["body"]["geometry"]["fitted"]
    before = office.home.runtime.digest()
    for _ in range(2):
        assert local(office, "fit-geometry")["body"] == {"facts": 8}
        assert local(office, "knowledge")["body"]["geometry"]["fitted"]
    assert office.home.runtime.digest() != before


def test_a_member_of_a_fleet_fits_no_geometry_by_itself(office: Office):
    """Nor where none is frozen yet: what members have exchanged would no longer add up."""
    fleet = msgspec.structs.replace(office.home.settings, fleet=FleetSettings(name="hall"))
    office.home.settings = fleet
    assert not office.home.shares_geometry
    refused = local(office, "fit-geometry")
    assert not refused["done"]
    assert "other devices" in refused["reason"]
    assert office.home.store.geometry() is None


def test_a_fit_that_is_refused_is_not_answered_as_done(office: Office):
    """While facts are being erased nothing is fitted, and the answer says so."""
    erasing = property(lambda _runtime: True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(office.home.runtime), "erasing", erasing)
        refused = local(office, "fit-geometry")
    assert not refused["done"]
    assert "being erased" in refused["reason"]
    assert not local(office, "knowledge")["body"]["geometry"]["fitted"]


def test_an_explanation_names_columns_as_the_home_does(office: Office):
    """Columns are c1, c2, ... until the home has names for them."""
    flag(office, b"")
    names = {f"x{number}" for number in range(WIDTH)}
    for wanted in ({f"c{number + 1}" for number in range(WIDTH)}, names):
        found = local(office, "explain", observation_id="s:1")["body"]["columns"]
        assert {one["name"] for one in found} == wanted
        office.home.store.name_columns(sorted(names), office.home.model.card)


def test_a_raw_input_too_large_for_an_answer_is_refused(office: Office, monkeypatch):
    """The refusal has its size and a hint."""
    monkeypatch.setattr(labelling, "RAW_ANSWER_BYTES_MAX", 10)
    flag(office, bytes(11))
    found = local(office, "raw", observation_id="s:1")
    assert (found["done"], "11 bytes" in found["reason"], found["hint"] != "") == (
        False,
        True,
        True,
    )


def test_an_answer_goes_nowhere_else(office: Office):
    """A response topic that could be taken for a message or a command is not used."""
    order = office.order(b"{", "label", response_topic="auricle/v1/gw1/command/forget")
    assert order.topic == "auricle/v1/gw1/response"


def test_a_repeated_command_gets_the_stored_answer(office: Office):
    """Also after a restart; it is executed once."""
    first = office.ask("relabel", select={"label": "a"}, label="z")
    assert (first.done, first.body["count"]) == (True, 4)
    fed = len(office.context.fed)
    again = office.ask("relabel", select={"label": "a"}, label="z")
    assert again == msgspec.structs.replace(first, repeated=True)
    office.crash()
    assert office.ask("relabel", select={"label": "a"}, label="z") == again
    assert fed == 1
    assert office.context.fed == []


def test_a_rejection_is_an_answer_too(office: Office):
    """A rejection is stored and repeated."""
    first = office.ask("label", observation_id="unknown:1", label="a")
    assert (first.done, first.repeated) == (False, False)
    assert "expired" in first.reason
    assert office.ask("label", observation_id="unknown:1", label="a") == msgspec.structs.replace(
        first, repeated=True
    )


def test_an_id_is_used_once(office: Office):
    """Another command with the same id is refused as a replay."""
    office.ask("pause")
    result = office.ask("pause", expires_at_ns=NOW + 5)
    assert (result.done, "replayed" in result.reason) == (False, True)


def test_a_forget_request_is_answered_by_its_receipt_again(office: Office):
    """The journal holds no answer with forgotten ids; the receipt does, hashed."""
    first = office.ask("forget", select={"ids": ["f1", "f2"]})
    assert (first.done, first.body["facts_forgotten"]) == (True, 2)
    assert sorted(first.body["selector"]["ids"]) == ["f1", "f2"]
    office.crash()
    again = office.ask("forget", select={"ids": ["f2", "f1"]}.copy())
    # The order of ids is part of the very words: another payload is another command.
    assert again.done is False
    same = office.ask("forget", select={"ids": ["f1", "f2"]})
    assert sorted(same.body["selector"].pop("ids")) == ["f1", "f2"]
    first.body["selector"].pop("ids")
    assert same == msgspec.structs.replace(first, repeated=True)


def test_an_erasure_takes_earlier_answers_with_it(office: Office):
    """The outcome stays known; the answers are erased."""
    done = office.ask("relabel", "c0", select={"ids": ["f1"]}, label="z")
    assert done.done
    office.ask("forget", select={"ids": ["f1"]})
    result = office.ask("relabel", "c0", select={"ids": ["f1"]}, label="z")
    assert (result.done, result.repeated, result.hint) == (True, True, LOST)


def test_after_a_crash_before_the_answer_nothing_is_done_twice(office: Office, monkeypatch):
    """The mark is in the transaction of the change; only the answer is lost."""

    def cut(*_: object, **__: object) -> None:
        raise StateError("the power went")

    monkeypatch.setattr(type(office.home.store.journal), "record", cut)
    assert office.ask("relabel", select={"label": "a"}, label="z").done
    monkeypatch.undo()
    office.crash()
    result = office.ask("relabel", select={"label": "a"}, label="z")
    assert (result.done, result.repeated, result.hint) == (True, True, LOST)
    assert office.context.fed == []


def test_refusals_before_anything_is_done(tmp_path: Path):
    """Excess, retained and expired commands, unknown and closed homes, and a full journal are
    refused."""
    times = iter([0.0, 0.0, 0.0, 0.0, 60.0] + [120.0] * 99)
    enabled = CommandSettings(enabled=("pause", "grow"), per_minute=2)
    office = Office(tmp_path, enabled, lambda: next(times))
    payload = b'{"verb":"pause","id":"c1"}'
    orders = [
        office.order(payload, "pause", retained=True),
        office.order(payload, "pause", expiry_s=0),
        office.order(payload, "pause"),
        office.order(b'{"verb":"resume","id":"c1"}', "resume"),
    ]
    reasons = []
    for order in orders:
        office.handler.execute(order)
        reasons.append(office.answered().reason)
    assert "retained" in reasons[0]
    assert "expired on its way" in reasons[1]
    assert reasons[2] == "too many commands: 2 a minute are accepted"
    assert "not enabled" in reasons[3]
    assert not office.context.paused
    order = office.order(b'{"verb":"pause","id":"c2","home":"attik"}', "pause")
    office.handler.execute(order)
    assert office.answered().hint == "did you mean attic?"
    order = office.order(b'{"verb":"pause","id":"c2","home":"attic"}', "pause")
    with pytest.raises(StateError, match="not open"):
        office.handler.execute(order)
    office.home.close()


def test_a_full_journal_refuses(office: Office, monkeypatch):
    """A journal whose commands may all be repeated refuses more; later there is room."""
    monkeypatch.setattr(journal, "ENTRIES_MAX", 2)
    for number in (1, 2):
        assert office.ask("pause", f"c{number}", expires_at_ns=NOW + 100).done
    order = office.order(b'{"verb":"pause","id":"c3"}', "pause")
    with pytest.raises(StateError, match="journal of commands is full"):
        office.handler.execute(order)
    office.handler.refuse(order, "no room")
    result = office.answered()
    assert (result.id, result.reason, result.done) == ("c3", "no room", False)
    office.context.at_ns = NOW + 101
    assert office.ask("pause", "c3").done


def test_commands_of_the_loop_and_of_the_home(office: Office):
    """Pause and resume, rebirth, reload, adaptors, candidates, grow and rollback work."""
    states = []
    for verb, key in (("pause", "p"), ("resume", "r"), ("pause", "p")):
        office.ask(verb, key)
        states.append(office.context.paused)
    assert states == [True, False, False], "an old command redelivered changes nothing"
    assert office.ask("rebirth", "b").done
    assert office.context.births == 1
    assert office.ask("reload", "l").body == {"did": ["nothing changed"]}
    health = office.ask("health", "h").body
    assert list(health["problems"]) == ["the camera is gone"]
    assert set(health) < set(office.ask("status", "s").body)
    (head,) = office.ask("adaptors", "a").body["adaptors"]
    assert (head["domain"], head["facts"]) == ("home", 8)
    waiting = {
        "flagged": (),
        "columns": (),
        "labels": ("a", "b"),
        "domains": ("home",),
        "alarms": (),
    }
    assert office.ask("candidates", "w").body == waiting
    result = office.ask("rollback", "k", domain="home")
    assert (result.done, "no adaptor serves there" in result.reason) == (False, True)
    assert "no such domain has facts here" in office.ask("grow", "g", domain="moon").reason


def a_question(office: Office) -> AlarmQuestion:
    """The question that the home of an office asks after its stream has drifted."""
    for number, row in enumerate([*samples(20, seed=1), *samples(40, SHIFT, seed=2)]):
        office.home.feed(
            Observation(stream="cam", sequence=number, captured_at_ns=number, payload=row)
        )
    (asked,) = office.home.runtime.alarm_questions()
    return asked


@pytest.mark.parametrize("named", ["alarm_id", "stream", "both"])
def test_a_lasting_alarm_is_confirmed_by_command(tmp_path: Path, named: str):
    """The id or the stream is enough; the answer is durable with the change, so that a repeated
    command gets it again after a crash, and a new one finds no question."""
    office = Office(timed_home(tmp_path / "home"))
    asked = a_question(office)
    given = {"alarm_id": asked.alarm_id, "stream": "cam"}
    fields = given if named == "both" else {named: given[named]}
    first = office.ask("confirm", "c1", harmless=True, **fields)
    assert (first.done, first.body["detail"]) == (True, "the level was re-based")
    assert list(office.home.store.recalibrations()) == ["cam"]
    office.crash()
    assert office.ask("confirm", "c1", harmless=True, **fields) == msgspec.structs.replace(
        first, repeated=True
    )
    again = office.ask("confirm", "c2", harmless=True, **fields)
    assert (again.done, "no such alarm waits" in again.reason) == (False, True)
    assert again.hint
    office.home.close()


def test_a_crash_after_a_confirmation_keeps_its_mark(tmp_path: Path, monkeypatch):
    """The change and the mark of its command are one transaction: after a crash before the answer
    is written, the repeated command is known to be done."""
    office = Office(timed_home(tmp_path / "home"))
    asked = a_question(office)
    monkeypatch.setattr(journal.CommandJournal, "record", lambda *_, **_options: None)
    office.ask("confirm", "c1", harmless=True, alarm_id=asked.alarm_id)
    office.crash()
    again = office.ask("confirm", "c1", harmless=True, alarm_id=asked.alarm_id)
    assert (again.done, again.hint) == (True, LOST)
    office.home.close()


def test_people_on_the_machine_need_no_key(tmp_path: Path):
    """A command through the control socket is trusted, and answered to its client."""
    office = Office(tmp_path, CommandSettings())
    result: list[bytes] = []
    order = office.handler.local(b'{"verb":"pause","id":"c1"}', result.append)
    assert order is not None
    office.handler.execute(order)
    assert json.loads(result[0])["body"] == {"paused": True}
    assert office.handler.local(b'{"verb":"paus"}', result.append) is None
    assert json.loads(result[1])["hint"] == "did you mean pause?"
    office.home.close()
