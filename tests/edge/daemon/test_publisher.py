from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.config.device import OutboxSettings
from edge.core.events import Acknowledgement, Decision
from edge.daemon import publisher as room
from edge.daemon.clock import DaemonClock
from edge.daemon.publisher import Publisher
from edge.daemon.stdout_client import StdoutClient
from edge.mqtt.envelope import MessageEncoder
from edge.mqtt.messages import ClockJump
from edge.mqtt.packets import LOST, PublishedMessage, ReplyAddress
from edge.outbox.outbox import Outbox

DECISION = Decision(
    observation_id="s:1",
    stream="s",
    captured_at_ns=7,
    known=True,
    domain="hall",
    label="a",
    guess="a",
    score=1.0,
    p_value=0.5,
    window_p=1.0,
    alarm=False,
)


class Mouth:
    """A broker whose answers the test sets."""

    def __init__(self) -> None:
        self.online, self.send_quota, self.unclean_disconnects = True, 10, 0
        self.published: list[tuple[str, dict[str, object], ReplyAddress | None]] = []
        self.answers: list[PublishedMessage] = []

    def publish(self, topic: str, payload: bytes, **more: object) -> int | None:
        """Accept a message, while there is room."""
        if not self.send_quota:
            return None
        self.send_quota -= 1
        response = more["response"]
        self.published.append((topic, json.loads(payload), response))  # type: ignore[arg-type]
        return len(self.published)

    def acked(self) -> tuple[PublishedMessage, ...]:
        """The answers since the last call."""
        answers, self.answers = tuple(self.answers), []
        return answers


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    """A publisher over a real outbox."""
    with Outbox(tmp_path / "outbox.db", OutboxSettings()) as outbox:
        yield Publisher(outbox, MessageEncoder("gw1"), Mouth(), DaemonClock())


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic clock, in seconds, which only the test advances."""
    moment = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: moment[0])
    return moment


@pytest.fixture
def timed(tmp_path: Path, now: list[float]) -> Iterator[Publisher]:
    """A publisher over a real outbox, both on that clock."""
    path, settings = tmp_path / "outbox.db", OutboxSettings()
    with Outbox(path, settings, clock_ns=lambda: int(now[0] * 1e9)) as outbox:
        yield Publisher(outbox, MessageEncoder("gw1"), Mouth(), DaemonClock())


def test_decisions_go_at_once_and_acknowledgements_when_durable(publisher: Any, monkeypatch):
    """A failed commit holds acknowledgements back, but not the actions after it, which the
    connection waits for."""
    settled: list[int] = []
    publisher.publish(DECISION)
    publisher.publish(Acknowledgement("s:1", 1))
    publisher.after_commit(lambda: settled.append(1))
    monkeypatch.setattr(publisher.outbox, "commit", lambda: False)
    publisher.flush()
    assert [message["schema"] for _, message, _ in publisher.channel.published] == [
        "auricle/v1/decision"
    ]
    assert settled == [1]
    monkeypatch.undo()
    publisher.flush()
    assert [message["schema"] for _, message, _ in publisher.channel.published][1:] == [
        "auricle/v1/ack"
    ]
    assert settled == [1]


def test_an_answer_goes_to_the_requester(publisher: Any):
    """It has the topic and the correlation data of the request."""
    publisher.answer(Acknowledgement("s:1", 1), "auricle/v1/ann/response/x", b"n1", kept=True)
    publisher.flush()
    ((topic, _, reply),) = publisher.channel.published
    assert (topic, reply) == ("auricle/v1/ann/response/x", ReplyAddress(b"n1"))


def test_lost_messages_are_sent_again_and_refused_ones_reported(publisher: Any):
    """A lost message is sent again; one refused by a reason code becomes a gap."""
    publisher.publish(DECISION)
    publisher.publish(DECISION)
    publisher.flush()
    publisher.channel.answers = [PublishedMessage(1, LOST), PublishedMessage(2, 135)]
    publisher.process_acks()
    publisher.flush()
    assert [message["sequence"] for _, message, _ in publisher.channel.published] == [1, 2, 1]
    publisher.publish_losses()
    publisher.flush()
    gap = publisher.channel.published[-1][1]
    assert (gap["schema"], gap["first"], gap["reason"]) == ("auricle/v1/gap", 2, "refused")


def test_without_room_messages_wait_in_order(publisher: Any):
    """A message that found no room is the first that is due again."""
    publisher.channel.send_quota = 2
    for _ in range(4):
        publisher.publish(DECISION)
    publisher.flush()
    publisher.channel.send_quota = 5
    publisher.flush()
    assert [message["sequence"] for _, message, _ in publisher.channel.published] == [1, 2, 3, 4]


def test_any_dataclass_can_be_published(publisher: Any):
    """Message types that the encoder does not know go to `event/`."""
    publisher.publish(ClockJump(5.0, "set"))
    publisher.flush()
    assert publisher.channel.published[0][0] == "auricle/v1/gw1/event/clock-jump"


def test_a_printer_writes_lines_until_its_reader_goes():
    """Each message is a line and counts as delivered; a closed output is a problem, not an
    error."""
    output = io.BytesIO()
    printer = StdoutClient(output)
    assert printer.publish("t", b"{}") == 1
    printer.pump(0.0)
    assert output.getvalue() == b"{}\n"
    assert [sent.accepted for sent in printer.acked()] == [True]
    output.close()
    assert printer.publish("t", b"{}") is None
    assert (printer.online, printer.send_quota) == (False, 0)
    assert "standard output" in printer.problem
    printer.close()


def test_a_quota_is_waited_for_and_nothing_is_lost(timed: Any, now: list[float]):
    """After "Quota exceeded" a message is sent later, after pauses that grow until one is accepted,
    and then start again."""
    timed.publish(Acknowledgement("s:1", 1))
    pauses = []
    for answer in (room.QUOTA, room.QUOTA, room.QUOTA, 0):
        timed.flush()
        count, begun = len(timed.channel.published), now[0]
        timed.channel.answers = [PublishedMessage(count, answer)]
        timed.process_acks()
        while answer and len(timed.channel.published) == count:
            now[0] += 0.5
            timed.flush()
        pauses.append(now[0] - begun)
    assert pauses == [1.0, 2.0, 4.0, 0.0]
    assert [one["sequence"] for _, one, _ in timed.channel.published] == [1] * 4
    assert not timed.outbox.losses
    assert not timed.outbox.entries
    timed.publish(DECISION)
    timed.flush()
    timed.channel.answers = [PublishedMessage(5, room.QUOTA)]
    timed.process_acks()
    now[0] += 1.0
    timed.flush()
    assert len(timed.channel.published) == 6


def test_a_refused_gap_is_reported_again(timed: Any, now: list[float]):
    """Its losses are not lost with it; a broker that keeps refusing gets one gap a minute."""
    timed.publish(DECISION)
    for refused in (1, 2):
        timed.flush()
        timed.channel.answers = [PublishedMessage(refused, 135)]
        timed.process_acks()
        timed.publish_losses()
    timed.flush()
    assert len(timed.channel.published) == 2
    now[0] += room.GAP_PAUSE_S
    timed.publish_losses()
    timed.flush()
    gap = timed.channel.published[-1][1]
    assert (gap["first"], gap["last"], gap["count"], gap["reason"]) == (1, 2, 2, "refused")
