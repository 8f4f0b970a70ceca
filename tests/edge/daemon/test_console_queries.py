"""The queries of a console over the control socket, with a live daemon in this process."""

from __future__ import annotations

import base64
import itertools
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np

from edge.commands.control_socket import send_to_daemon
from edge.core.events import DriftAlarm, Enrol, StoreLabelCandidates
from edge.core.facts import LabelCandidate
from edge.home.home import Home
from edge.sources.measurement import Measurement, MeasurementMetadata
from tests.daemons import Process, Served, daemon_home, served
from tests.homes import new_home
from tests.worlds import WIDTH, fact, vector

DOOR = '[streams.door]\nsource = "http"\n'
SERIES = '[streams.load]\nsource = "http"\nkind = "series"\n'
STDIN = '[streams.line]\nsource = "stdin"\n'
NUMBERS = itertools.count(1)


def ask(here: Served, verb: str, **fields: Any) -> dict[str, Any]:
    """Send a request as a local client does; return its answer."""
    line = json.dumps({"verb": verb, "id": f"q{next(NUMBERS)}", **fields}).encode()
    found: list[bytes] = []
    thread = threading.Thread(
        target=lambda: found.append(here.daemon.listeners.control.answer(line))
    )
    thread.start()
    here.until(lambda: not thread.is_alive())
    answer: dict[str, Any] = json.loads(found[0])
    return answer


def body(here: Served, verb: str, **fields: Any) -> dict[str, Any]:
    """The body of an answer that was given."""
    answer = ask(here, verb, **fields)
    assert answer["done"], answer
    made: dict[str, Any] = answer["body"]
    return made


def observe(here: Served, count: int, start: int = 0, stream: str = "door", **given: Any) -> None:
    """Send vectors and wait for their decisions."""
    before = len(here.kinds("decision"))
    for number in range(start, start + count):
        metadata = MeasurementMetadata(**given)
        here.daemon.inbox.offer(Measurement(stream, vector(number), metadata))
    here.until(lambda: len(here.kinds("decision")) == before + count)


def test_the_feed_continues_where_it_ended(tmp_path: Path):
    """Each message is returned once, with its kind and number; the status comes with it."""
    with served(daemon_home(tmp_path, DOOR)) as here:
        observe(here, 3)
        first = body(here, "feed", since=0)
        decisions = [one for one in first["messages"] if one["kind"] == "decision"]
        assert [one["observation_id"] for one in decisions] == ["door:1-1", "door:1-2", "door:1-3"]
        assert first["status"]["device"] == "gw1"
        assert body(here, "feed", since=first["cursor"])["messages"] == []
        observe(here, 1, start=3)
        again = body(here, "feed", since=first["cursor"])
        assert [one["number"] for one in again["messages"]] == [again["cursor"]]
        late = body(here, "feed", since=10**12)
        assert late["cursor"] == again["cursor"]


def test_the_feed_drops_what_was_forgotten(tmp_path: Path):
    """After a forget the feed holds no message about the observation, and all others."""
    with served(daemon_home(tmp_path, DOOR)) as here:
        observe(here, 1, id="mine", subject="anna")
        observe(here, 1, start=1, id="other")
        assert ask(here, "forget", select={"subject": "anna"})["done"]
        ids = [one.get("observation_id") for one in body(here, "feed")["messages"]]
        assert "mine" not in ids
        assert "other" in ids


def test_a_fresh_home_shows_its_recent_observations(tmp_path: Path):
    """On the first day everything is new: recent observations can be listed, shown and labelled."""
    folder = new_home(tmp_path)
    with (folder / "auricle.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[device]\nname = "gw1"\n{DOOR}')
    with served(folder) as here:
        observe(here, 4)
        page = body(here, "gallery", state="recent", order="newest")
        assert page["counts"] == {"waiting": 0, "recent": 4, "labelled": 0}
        assert page["total"] == 4
        assert {one["stream"] for one in page["items"]} == {"door"}
        chosen = page["items"][0]["id"]
        found = body(here, "values", observation_ids=[chosen])
        assert len(found["rows"][chosen]) == len(found["names"]) == WIDTH
        assert body(here, "explain", observation_id=chosen)["known"] is None
        assert ask(here, "label", observation_id=chosen, label="calm", domain="hall")["done"]
        page = body(here, "gallery", state="recent")
        assert page["counts"] == {"waiting": 0, "recent": 3, "labelled": 1}
        labelled = body(here, "gallery", state="labelled")["items"]
        assert [(one["id"], one["label"]) for one in labelled] == [(chosen, "calm")]
        assert body(here, "explain", observation_id=chosen)["learned"] == "calm"


def test_recent_observations_are_guessed_only_for_a_page_of_them(tmp_path: Path):
    """A page of waiting observations costs no guess of the recent ones, which may be hundreds a
    second."""
    with served(daemon_home(tmp_path, DOOR, facts=40)) as here:
        observe(here, 12)
        assert body(here, "gallery", state="waiting")["pending"] == 0
        here.until(lambda: body(here, "gallery", state="waiting")["counts"]["recent"] == 12)
        assert body(here, "gallery", state="waiting")["pending"] == 0
        assert not any(one["guessed"] for one in body(here, "gallery", state="recent")["items"])
        here.until(lambda: body(here, "gallery", state="recent")["pending"] == 0)
        assert all(one["guessed"] for one in body(here, "gallery", state="recent")["items"])


def test_guesses_follow_the_knowledge(tmp_path: Path):
    """Recent observations get today's guess without being asked for, and another after a label."""
    with served(daemon_home(tmp_path, DOOR, facts=40)) as here:
        observe(here, 12)

        def page() -> dict[str, Any]:
            return body(here, "gallery", state="recent", limit=500)

        page()
        here.until(lambda: page()["pending"] == 0)
        items = page()["items"]
        assert all(one["guessed"] for one in items)
        assert {one["guess"] for one in items} <= {"a", "b"}
        only = body(here, "gallery", state="recent", guess="a")
        assert only["total"] == sum(one["guess"] == "a" for one in items)
        body(here, "gallery", state="recent", order="similar")
        here.until(
            lambda: (
                not body(here, "gallery", state="recent", order="similar")["grouping"]
                and all(
                    one["group"] >= 0
                    for one in body(here, "gallery", state="recent", order="similar")["items"]
                )
            )
        )


def test_raw_inputs_of_recent_observations_are_kept_for_a_client(tmp_path: Path):
    """Pictures stay in memory once a client has asked, although the disk keeps none."""
    with served(daemon_home(tmp_path, DOOR)) as here:
        body(here, "feed")
        home = here.daemon.homes[""].home
        assert home is not None
        here.until(lambda: home.keeps_raw)
        raws = home.raws_in_memory
        raws.add("door:x", np.zeros((4, 4, 3), np.uint8))
        raw = body(here, "raw", observation_id="door:x")["raw"]
        assert base64.b64decode(raw).startswith(b"P6 4 4 255\n")


def test_the_history_survives_a_restart(tmp_path: Path):
    """Labels of a second are one event; starts, stops and labels are there after a restart."""
    folder = daemon_home(tmp_path, DOOR)
    with served(folder) as here:
        observe(here, 3)
        for number in (1, 2, 3):
            done = ask(here, "label", observation_id=f"door:1-{number}", label="a", domain="home")
            assert done["done"]
        events = body(here, "history")["events"]
        assert [one["kind"] for one in events] == ["label", "restart"]
        assert events[0]["text"] == "3 observations were labelled a in home"
    with served(folder) as here:
        events = body(here, "history", limit=2)
        assert [one["fields"]["state"] for one in events["events"]] == ["started", "stopped"]
        assert events["more"]
        last = events["events"][-1]["number"]
        rest = body(here, "history", before=last)["events"]
        assert [one["kind"] for one in rest] == ["label", "restart"]
        assert body(here, "history", kinds=["label"])["events"] == rest[:1]


def test_the_history_names_no_observation_and_forgets_its_events(tmp_path: Path):
    """No id, subject or recording enters the file; an event about a forgotten observation goes."""
    folder = daemon_home(tmp_path, DOOR)
    with served(folder) as here:
        observe(here, 1, id="the-observation", subject="the-subject", recording="the-recording")
        alarm = here.daemon.loop.chronicle
        here.daemon.publish(
            DriftAlarm(
                stream="door",
                observation_id="the-observation",
                captured_at_ns=7,
                raised=True,
                window_p=0.001,
                domain="domain-2",
            )
        )
        alarm.write()
        assert [one["kind"] for one in body(here, "history", kinds=["alarm"])["events"]] == [
            "alarm"
        ]
        assert ask(here, "forget", select={"subject": "the-subject"})["done"]
        assert body(here, "history", kinds=["alarm"])["events"] == []
    for path in folder.glob("history.db*"):
        content = path.read_bytes()
        for name in (b"the-observation", b"the-subject", b"the-recording", b"domain-2"):
            assert name not in content, (path, name)


def test_a_series_is_returned_with_its_forecasts(tmp_path: Path):
    """Samples, forecasts and coverage of a series; an unknown one is refused with the known."""
    with served(daemon_home(tmp_path, SERIES)) as here:
        for number in range(40):
            metadata = MeasurementMetadata(captured_at_ns=10**9 * (number + 1))
            here.daemon.inbox.offer(
                Measurement("load", {"u": float(number % 5), "v": 1.0}, metadata)
            )
        here.until(lambda: len(here.kinds("forecast")) == 40)
        found = body(here, "series", stream="load", forecasts=3)
        assert found["channels"] == ["u", "v"]
        assert found["values"][0][:6] == [0, 1, 2, 3, 4, 0]
        assert len(found["at_ns"]) == 40
        assert len(found["forecasts"]) == 3
        assert found["forecasts"][-1]["made_at_ns"] == 40 * 10**9
        assert found["pace_s"] == 1.0
        refused = ask(here, "series", stream="lod")
        assert (refused["done"], refused["hint"]) == (False, "series with samples: load")


def test_a_forget_does_what_its_preview_has_shown(tmp_path: Path):
    """The preview counts what the receipt then counts, and changes nothing."""
    with served(daemon_home(tmp_path, DOOR, facts=20)) as here:
        observe(here, 2, subject="anna")
        preview = body(here, "forget-preview", select={"domain": "home", "label": "a"})
        assert preview["facts"] == 10
        assert preview["concepts"] == [
            {"domain": "home", "label": "a", "facts": 10, "remaining": 0}
        ]
        recent = body(here, "forget-preview", select={"subject": "anna"})
        assert (recent["facts"], recent["recent"]) == (0, 2)
        assert not ask(here, "forget-preview", select={})["done"]
        receipt = body(here, "forget", select={"domain": "home", "label": "a"})
        assert receipt["facts_forgotten"] == 10
        listed = body(here, "receipts")
        assert listed["total"] == 1
        assert listed["receipts"][0]["request_id"] == receipt["request_id"]


def test_knowledge_is_described(tmp_path: Path):
    """Concepts with counts and newest times, and each domain with calibration and adaptor."""
    with served(daemon_home(tmp_path, DOOR, facts=20)) as here:
        found = body(here, "knowledge")
        assert [(one["label"], one["facts"]) for one in found["concepts"]] == [("a", 10), ("b", 10)]
        assert found["facts"] == 20
        (domain,) = found["domains"]
        assert domain["adaptor"]["serves"]
        assert domain["served"] == {"count": 0, "right": 0}


def test_ten_thousand_candidates_are_paged(tmp_path: Path):
    """All are counted, each is on one page, and the features are not loaded for it."""
    folder = daemon_home(tmp_path, DOOR)
    with Home(folder) as home:
        for start in range(0, 10_000, 1_000):
            home.store.apply(
                StoreLabelCandidates(
                    tuple(
                        LabelCandidate(
                            observation_id=f"c{number}",
                            stream=f"s{number % 3}",
                            subject="",
                            domain="domain-2",
                            captured_at_ns=number,
                            score=1 / (1 + number % 14),
                            features=vector(number % 50).astype(np.uint8).tobytes(),
                        )
                        for number in range(start, start + 1_000)
                    )
                )
            )
    with served(folder) as here:
        first = body(here, "gallery", order="newest", limit=500)
        assert (first["total"], first["counts"]["waiting"]) == (10_000, 10_000)
        found = [one["id"] for one in first["items"]]
        for offset in range(500, 10_000, 500):
            page = body(here, "gallery", order="newest", limit=500, offset=offset)
            found += [one["id"] for one in page["items"]]
        assert found == [f"c{number}" for number in reversed(range(10_000))]
        assert body(here, "gallery", stream="s1")["total"] == 3_333
        best = body(here, "gallery", limit=1)["items"][0]
        assert best["score"] == 1
        assert body(here, "gallery", offset=10_000)["items"] == []
        listed = body(here, "candidates")["flagged"]
        assert len(listed) == 256


def test_labelled_observations_of_one_stream_are_paged(tmp_path: Path):
    """The total is that of the stream and the label, and each page but the last is full."""
    folder = daemon_home(tmp_path, DOOR, facts=40)
    with Home(folder) as home:
        given = (fact(f"d{n}", "ab"[n % 2], at=100 + n, stream="door") for n in range(10))
        home.feed(Enrol(tuple(given)))
    with served(folder) as here:
        page = body(here, "gallery", state="labelled", stream="door")
        assert (page["total"], len(page["items"])) == (10, 10)
        only = {"state": "labelled", "stream": "door", "guess": "b", "limit": 3}
        first = body(here, "gallery", **only)
        assert (first["total"], len(first["items"])) == (5, 3)
        rest = body(here, "gallery", offset=3, **only)["items"]
        found = [one["id"] for one in (*first["items"], *rest)]
        assert sorted(found) == ["d1", "d3", "d5", "d7", "d9"]


def test_the_feed_is_answered_while_the_loop_is_busy(tmp_path: Path):
    """The socket's thread answers from memory: no turn of the loop is needed."""
    with served(daemon_home(tmp_path, DOOR)) as here:
        observe(here, 2)
        answer = here.daemon.listeners.control.answer(b'{"verb":"feed","id":"x"}')
        assert len(json.loads(answer)["body"]["messages"]) >= 2


def test_hostile_names_come_back_as_they_are(tmp_path: Path):
    """Markup, right-to-left text, emoji and 200 characters are data; longer ones are refused."""
    with served(daemon_home(tmp_path, DOOR)) as here:
        for number, name in enumerate(
            ("<script>alert(1)</script>", "\u05e9\u05dc\u05d5\u05dd \U0001f408", "x" * 200)
        ):
            observe(here, 1, start=number, id=f"o{number}")
            assert ask(here, "label", observation_id=f"o{number}", label=name)["done"]
            items = body(here, "gallery", state="labelled", guess=name)["items"]
            assert [one["label"] for one in items] == [name]
        assert not ask(here, "gallery", guess="x" * 201)["done"]
        assert not ask(here, "gallery", limit=501)["done"]
        assert not ask(here, "gallery", state="lost")["done"]


def test_an_alarm_leaves_its_length_and_the_time_to_an_answer(tmp_path: Path):
    """An alarm is recorded from start to end; a domain that is new since has its time to answer."""
    with served(daemon_home(tmp_path, DOOR)) as here:
        fields: dict[str, Any] = {"stream": "door", "observation_id": "o", "window_p": 0.001}
        here.daemon.publish(
            DriftAlarm(raised=True, domain="domain-2", captured_at_ns=10**9, **fields)
        )
        here.daemon.loop.chronicle.write()
        home = here.daemon.homes[""].home
        assert home is not None
        home.feed(Enrol((fact("n1", "c", domain="attic", at=3),)))
        here.daemon.publish(
            DriftAlarm(raised=False, domain="attic", captured_at_ns=121 * 10**9, **fields)
        )
        events = body(here, "history", kinds=["alarm", "answered"])["events"]
        assert [one["kind"] for one in events] == ["answered", "alarm", "alarm"]
        assert events[0]["fields"] == {"from_ns": 10**9, "seconds": 120.0}
        assert events[0]["text"] == "attic is answered, 2.0 min after door entered it"
        assert events[1]["fields"]["from_ns"] == 10**9


def test_a_crash_is_distinguished_from_a_stop(tmp_path: Path):
    """The event of a start after a run that did not stop in order has `crashed`."""
    folder = daemon_home(tmp_path, STDIN)
    first = Process(folder)
    first.kill()
    second = Process(folder)
    second.stop()
    third = Process(folder)
    answer = send_to_daemon(folder, {"verb": "history", "id": "h1", "kinds": ["restart"]})
    third.stop()
    crashed = [one["fields"].get("crashed") for one in answer["body"]["events"]]
    assert crashed == [False, None, True, False]
