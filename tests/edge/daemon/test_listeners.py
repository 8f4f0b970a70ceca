from __future__ import annotations

import itertools
import json
import threading
from pathlib import Path
from typing import Any

from edge.sources.measurement import Measurement, MeasurementMetadata
from tests.daemons import Served, daemon_home, served
from tests.worlds import vector

DOOR = '[http]\nport = 0\n[streams.door]\nsource = "http"\n'


def ask(here: Served, question: bytes) -> Any:
    """Send a request as the control socket does: from another thread, while the loop turns."""
    answers: list[bytes] = []
    thread = threading.Thread(
        target=lambda: answers.append(here.daemon.listeners.control.answer(question))
    )
    thread.start()
    here.until(lambda: answers)
    thread.join()
    return json.loads(answers[0])


def test_the_status_is_answered_from_the_snapshot(tmp_path: Path):
    """The status needs no turn of the loop."""
    with served(daemon_home(tmp_path)) as here:
        answer = json.loads(here.daemon.listeners.control.answer(b'{"verb":"status"}'))
        assert (answer["done"], answer["body"]["device"]) == (True, "gw1")


def test_a_daemon_that_stands_still_is_no_daemon_that_serves(tmp_path: Path):
    """If the loop stands still, the request for the status is refused with the reason."""
    with served(daemon_home(tmp_path)) as here:
        here.daemon.loop.turned_at -= 60
        answer = json.loads(here.daemon.listeners.control.answer(b'{"verb":"status"}'))
        assert (answer["done"], answer["reason"]) == (
            False,
            "the daemon has not responded for 60 s",
        )


def test_a_label_from_the_local_machine_is_learned(tmp_path: Path):
    """Local requests are trusted, go through the loop, and are durable when they are answered."""
    with served(daemon_home(tmp_path, DOOR)) as here:
        here.daemon.inbox.offer(Measurement("door", vector(3), MeasurementMetadata("x1")))
        here.until(lambda: here.kinds("decision"))
        answer = ask(here, b'{"verb":"label","id":"l1","observation_id":"x1","label":"a"}')
        assert answer["done"]
        home = here.daemon.homes[""].home
        assert home is not None
        assert home.store.get("x1") is not None


def test_an_invalid_local_request_is_refused(tmp_path: Path):
    """An invalid request is refused with a reason, without the loop."""
    with served(daemon_home(tmp_path)) as here:
        answer = json.loads(here.daemon.listeners.control.answer(b"[1, 2"))
        assert (answer["done"], "no request" in answer["reason"]) == (False, True)


def test_an_unknown_home_is_refused_with_the_nearest(tmp_path: Path):
    """Every command refuses an unknown home, even those that are answered from the snapshot."""
    daemon_home(tmp_path / "far")
    with served(daemon_home(tmp_path, '[homes]\nattic = "far"\n')) as here:
        for verb in ("status", "health", "pause", "grow"):
            more = {"domain": "hall"} if verb == "grow" else {}
            question = {"verb": verb, "id": verb, "home": "atic", **more}
            answer = ask(here, json.dumps(question).encode())
            assert (answer["done"], answer["reason"]) == (False, "there is no home 'atic'")
            assert answer["hint"] == "did you mean attic?"
        assert json.loads(
            here.daemon.listeners.control.answer(b'{"verb":"status","home":"attic"}')
        )["done"]


def test_a_label_right_behind_its_vector_waits_for_it(tmp_path: Path):
    """Commands after the label do not overtake it, so a forget reaches the fact that it taught.
    While observations are paused, no command waits."""
    with served(daemon_home(tmp_path, DOOR)) as here:
        daemon = here.daemon
        result: list[Any] = []
        numbers = itertools.count()

        def order(**fields: object) -> None:
            line = json.dumps({"id": str(next(numbers)), **fields}).encode()
            made: Any = daemon.handler.local(line, lambda answer: result.append(json.loads(answer)))
            assert daemon.inbox.add_command(made) == ""

        for number in range(100):
            daemon.inbox.offer(
                Measurement("door", vector(number), MeasurementMetadata(f"x{number}"))
            )
        order(verb="label", observation_id="x99", label="a")
        order(verb="forget", select={"ids": ["x99"]})
        here.until(lambda: len(result) == 2)
        assert [one["done"] for one in result] == [True, True]
        assert result[1]["body"]["facts_forgotten"] == 1
        order(verb="pause")
        here.until(lambda: daemon.loop.paused)
        daemon.inbox.offer(Measurement("door", vector(1), MeasurementMetadata("late")))
        order(verb="label", observation_id="late", label="a")
        here.until(lambda: len(result) == 4)
        assert "expired" in result[3]["reason"]
