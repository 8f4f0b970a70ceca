"""What waits in the outbox or stands in the history is forgotten with its facts and names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from edge.audit.needles import fact_needles, name_needles, text_needle
from edge.audit.traces import scan
from edge.commands.control_socket import send_to_daemon
from edge.core.events import Enrol, ForgetRequest, GrowthReport, SeriesForecast
from edge.core.facts import Selector
from edge.daemon.publisher import message_keys, series_key
from edge.home.home import Home
from edge.mqtt.messages import Response
from edge.sources.measurement import Measurement, MeasurementMetadata
from tests.daemons import Process, Served, daemon_home, served
from tests.edge.daemon.test_console_queries import ask, body, observe
from tests.worlds import fact, vector

DOOR = '[streams.door]\nsource = "http"\n'


@pytest.fixture
def here(tmp_path: Path):
    """A daemon whose broker takes nothing, so that everything waits in the outbox."""
    with served(daemon_home(tmp_path / "home", DOOR)) as made:
        made.daemon.connection.problem = "blocked"
        yield made


def waiting(here: Served) -> bytes:
    """The bytes of the outbox and of its log on the disk."""
    here.daemon.outbox.commit()
    path = here.daemon.outbox.path
    parts = [path.with_name(path.name + suffix) for suffix in ("", "-wal")]
    return b"".join(part.read_bytes() for part in parts if part.exists())


def test_a_growth_report_leaves_with_the_facts_that_it_names(here: Served):
    """A report that lists facts worth checking is erased with any of them; others stay."""
    named = GrowthReport(
        domain="home",
        state="refused",
        version=0,
        search=("2 labels worth checking, these first: f1, f3",),
        observation_ids=("f1", "f3"),
    )
    other = GrowthReport(domain="home", state="started", version=1, detail="unrelated")
    here.daemon.loop.publish((named, other))
    assert b"these first: f1" in waiting(here)
    assert ask(here, "forget", select={"ids": ["f3"]})["done"]
    left = waiting(here)
    assert b"these first: f1" not in left
    assert b"unrelated" in left


def test_an_answer_leaves_with_the_observations_that_it_names(here: Served):
    """An answer to a command is erased with each observation in its body, however deep."""
    rows = {"items": [{"observation_id": "f1", "label": "a"}], "labels": ["b"]}
    response = Response(verb="gallery", id="c1", done=True, body=rows | {"ids": ["f2"]})
    assert message_keys(response) == ("f1", "f2")
    here.daemon.publisher.answer(response, "auricle/v1/gw1/response", b"", kept=True)
    assert b"gallery" in waiting(here)
    assert ask(here, "forget", select={"ids": ["f2"]})["done"]
    assert b"gallery" not in waiting(here)


def test_the_answer_to_a_forget_request_reaches_no_disk(here: Served):
    """The answer names what was forgotten, so that it waits in memory and is sent from there."""
    response = Response(
        verb="forget", id="c1", done=True, body={"selector": {"subject": "Trillian"}}
    )
    here.daemon.publisher.answer(response, "auricle/v1/gw1/response", b"", kept=True)
    assert b"Trillian" not in waiting(here)
    here.daemon.connection.problem = ""
    here.until(lambda: b"Trillian" in here.output.getvalue())


def test_messages_of_a_series_have_its_key():
    """Forecasts, which are about no stored observation, can be erased with their series."""
    empty = ((0.0,),)
    fields: dict[str, Any] = dict.fromkeys(SeriesForecast.__struct_fields__, empty)
    forecast = SeriesForecast(**fields | {"stream": "load", "observation_id": "load:1"})
    assert message_keys(forecast) == ("load:1", series_key("load"))


def test_no_file_names_a_forgotten_subject(here: Served):
    """After a forget by subject, no file of the home holds its name: neither the outbox with
    waiting messages, the history, nor the receipt; a second request leaves none either."""
    folder = here.daemon.folder
    observe_blocked(here, "Zaphod-1", subject="Zaphod")
    assert ask(here, "label", observation_id="Zaphod-1", label="a", domain="of-Zaphod")["done"]
    assert ask(here, "relabel", select={"domain": "home"}, label="b", domain="of-Zaphod")["done"]
    here.daemon.loop.chronicle.write()
    needles = (text_needle("name", "Zaphod"), text_needle("id", "Zaphod-1"))
    before = {one.path.partition("-wal")[0] for one in scan(folder, needles)}
    assert {"knowledge.db", "history.db", "outbox.db"} <= before
    assert ask(here, "relabel", select={"domain": "of-Zaphod"}, domain="home", label="b")["done"]
    receipt = body(here, "forget", select={"subject": "Zaphod"})
    assert receipt["selector"]["subject"] == "Zaphod"
    refused = ask(here, "forget", select={"subject": "Zaphod"})
    assert not refused["done"]
    here.daemon.loop.chronicle.write()
    here.daemon.outbox.commit()
    assert scan(folder, needles) == ()


@pytest.mark.parametrize(
    "select",
    [
        {"subject": "Zaphod"},
        {"recording": "run 7"},
        {"stream": "door", "from_ns": 5, "until_ns": 6},
        {"stream": "door", "domain": "home", "until_ns": 6},
    ],
)
def test_decisions_of_an_earlier_run_are_forgotten_by_whom_they_are_about(
    tmp_path: Path, select: dict[str, Any]
):
    """A decision about an observation that no run remembers leaves the outbox with a request that
    selects it by subject, recording or stream and time; others stay."""
    folder = daemon_home(tmp_path / "home", DOOR)
    with served(folder) as first:
        first.daemon.connection.problem = "blocked"
        given = {"subject": "Zaphod", "recording": "run 7", "captured_at_ns": 5}
        observe_blocked(first, "mine-1", **given)
        observe_blocked(first, "other-1", subject="Trillian", captured_at_ns=9)
        assert b"Zaphod" not in waiting(first)
    with served(folder) as again:
        again.daemon.connection.problem = "blocked"
        # A fact of the selection, since a request that matches nothing is refused.
        one = fact("f99", "a", subject="Zaphod", at=5)
        one = replace(one, stream="door", recording="run 7")
        again.daemon.loop.feed("", Enrol((one,)))
        assert ask(again, "forget", select=select)["done"]
        left = waiting(again)
        assert b"mine-1" not in left
        assert b"other-1" in left


def observe_blocked(here: Served, key: str, **given: Any) -> None:
    """Send a vector whose decision waits in the outbox."""
    before = here.daemon.outbox.entries
    observe_one(here, key, **given)
    here.until(lambda: here.daemon.outbox.entries > before)


def observe_one(here: Served, key: str, **given: Any) -> None:
    """Offer a vector to the stream."""
    metadata = MeasurementMetadata(id=key, **given)
    here.daemon.inbox.offer(Measurement("door", vector(1), metadata))


def test_a_daemon_process_leaves_no_trace_of_a_subject(tmp_path: Path):
    """A daemon in its own process observes, is told labels and corrections, forgets a subject, and
    stops: neither its log nor any other file of the home holds the name, an id or features."""
    folder = daemon_home(tmp_path / "home", '[streams.line]\nsource = "stdin"\n')
    process = Process(folder)
    rows = [vector(900 + number) for number in range(4)]
    for number, row in enumerate(rows):
        given = {"id": f"Zaphod-{number}", "subject": "Zaphod", "recording": "Zaphod-run"}
        process.say(json.dumps({"values": row.tolist(), **given}))
    heard = {"observation_id": ""}
    while heard.get("observation_id") != "Zaphod-3" or heard["schema"] != "auricle/v1/decision":
        heard = process.hear()
    sent: dict[str, str] = {}
    for number, label in enumerate(("a", "of Zaphod")):
        sent = {"observation_id": f"Zaphod-{number}", "label": label, "domain": "Zaphod-hall"}
        assert send_to_daemon(folder, {"verb": "label", "id": f"l{number}", **sent})["done"]
    assert not send_to_daemon(folder, {"verb": "label", "id": "l9", **sent | {"label": ""}})["done"]
    with Home(folder, writable=False) as home:
        geometry = home.runtime.knowledge.geometry
        features = [home.model.encode(row).values.tobytes() for row in rows]
    facts = [
        replace(fact(f"Zaphod-{number}", subject="Zaphod"), features=one, recording="Zaphod-run")
        for number, one in enumerate(features)
    ]
    needles = (*fact_needles(facts, geometry), *name_needles(facts))
    assert {one.kind for one in scan(folder, needles)} >= {"id", "name", "features"}
    select = {"subject": "Zaphod"}
    done = send_to_daemon(folder, {"verb": "forget", "id": "f1", "select": select})
    assert done["done"], done
    process.stop()
    assert scan(folder, needles) == ()


def test_receipts_are_published_without_the_names_of_their_requests(tmp_path: Path):
    """The message about a receipt, unlike the answer to its request, names nothing."""
    with served(daemon_home(tmp_path / "home", DOOR)) as made:
        observe(made, 1, id="mine", subject="Zaphod")
        made.daemon.loop.feed(
            "",
            ForgetRequest(request_id="r", selector=Selector(subject="Zaphod"), requested_at_ns=1),
        )
        made.until(lambda: made.kinds("receipt"))
        (receipt,) = made.kinds("receipt")
        assert len(receipt["selector"]["subject"]) == 64
        assert "Zaphod" not in str(receipt)


def test_damaged_copies_of_the_outbox_leave_with_an_erasure(here: Served):
    """A damaged outbox that was set aside may name what is forgotten: an erasure removes it."""
    copy = here.daemon.outbox.path.with_name("outbox.db.damaged-1")
    log = copy.with_name(copy.name + "-wal")
    copy.write_bytes(b"f1")
    log.write_bytes(b"f1")
    assert ask(here, "forget", select={"ids": ["f1"]})["done"]
    assert not copy.exists()
    assert not log.exists()
