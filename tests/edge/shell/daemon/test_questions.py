from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from tests.daemons import Served, daemon_home, served
from tests.worlds import vector


def ask(here: Served, question: bytes) -> Any:
    """Ask as the control socket does: in a thread of its own, while the loop turns."""
    answers: list[bytes] = []
    thread = threading.Thread(target=lambda: answers.append(here.daemon.questions.ask(question)))
    thread.start()
    here.until(lambda: answers)
    thread.join()
    return json.loads(answers[0])


def test_the_status_is_answered_from_the_snapshot(tmp_path: Path):
    """Without waiting for the loop."""
    with served(daemon_home(tmp_path)) as here:
        answer = json.loads(here.daemon.questions.ask(b'{"verb":"status"}'))
        assert (answer["done"], answer["body"]["device"]) == (True, "gw1")


def test_a_label_of_somebody_on_this_machine_is_learned(tmp_path: Path):
    """Local requests are trusted, go through the loop, and are durable when they are answered."""
    from edge.shell.sources import Given, Measurement

    with served(
        daemon_home(tmp_path, '[http]\nport = 0\n[streams.door]\nsource = "http"\n')
    ) as here:
        here.daemon.intake.offer(Measurement("door", vector(3), Given("x1")))
        here.until(lambda: here.kinds("decision"))
        answer = ask(here, b'{"verb":"label","id":"l1","observation_id":"x1","label":"a"}')
        assert answer["done"]
        home = here.daemon.homes[""].home
        assert home is not None
        assert home.store.get("x1") is not None


def test_what_is_no_request_is_refused(tmp_path: Path):
    """With a reason, and without the loop."""
    with served(daemon_home(tmp_path)) as here:
        answer = json.loads(here.daemon.questions.ask(b"[1, 2"))
        assert (answer["done"], "no request" in answer["reason"]) == (False, True)
