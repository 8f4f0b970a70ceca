"""Load generation: sends vectors through a broker at full speed or at a fixed rate."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from edge.config import MqttSettings
from edge.mqtt import InboundMessage, MqttClient, StatusPresence

from .fixture import DECISION_TOPIC, OBSERVE_TOPIC, program

READY_S = 60.0
"""Generous, so that a slow machine does not fail."""
DONE_S = 20.0
"""Generous: contestants answer thousands of vectors a second."""
WINDOW = 200
"""Vectors in flight: keeps every contestant busy.  Chosen by hand; effect not measured."""
PROBE = f"{DECISION_TOPIC}/probe"


@dataclass(frozen=True)
class Pace:
    """Latency in milliseconds from sending a vector to its answer, at a rate of vectors per
    second."""

    per_second: float
    p50_ms: float
    p99_ms: float
    answered: int


class LoadDriver:
    """A client that sends vectors and receives answers."""

    def __init__(self, port: int) -> None:
        # No persistent session: answers of another run would be mistaken for those of this one.
        settings = MqttSettings(
            host="127.0.0.1",
            port=port,
            receive_max=1_000,
            inflight_max=1_000,
            session_expiry_s=0,
        )
        self.received = 0
        self.length = 0
        self._sent_s: deque[float] = deque()
        self._delays: list[float] = []
        self._broker = MqttClient(
            settings, "driver", self._read_output, StatusPresence("driver", "1")
        )
        self._broker.subscribe([DECISION_TOPIC])
        self._broker.start()

    def _read_output(self, arrival: InboundMessage) -> None:
        self._broker.acknowledge(arrival.ticket)
        self.received += 1
        self.length = len(arrival.payload)
        if self._sent_s:
            self._delays.append(time.perf_counter() - self._sent_s.popleft())

    def await_answer(self, vector: str) -> None:
        """Send now and then until an answer arrives, and all messages in flight have arrived."""
        until = time.monotonic() + READY_S
        while not self.received:
            assert time.monotonic() < until, "no answer arrived"
            self._broker.publish(OBSERVE_TOPIC, vector.encode())
            self._pump(0.2)
        quiet = self.received - 1
        while quiet != self.received:
            quiet = self.received
            self._pump(0.5)

    def _pump(self, seconds: float) -> None:
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            self._broker.pump(left)
            self._broker.acked()

    def pace(self, lines: list[str], per_second: float) -> Pace:
        """Send vectors at a fixed rate and time each answer; answers arrive in order."""
        self._sent_s.clear()
        self._delays.clear()
        payloads = [line.encode() for line in lines]
        begun = time.perf_counter()
        for number, payload in enumerate(payloads):
            due = begun + number / per_second
            while (left := due - time.perf_counter()) > 0:
                self._broker.pump(left)
                self._broker.acked()
            if self._broker.publish(OBSERVE_TOPIC, payload) is not None:
                self._sent_s.append(time.perf_counter())
        self._pump(1.0)
        delays = np.array(self._delays) * 1e3
        return Pace(
            per_second,
            float(np.percentile(delays, 50)),
            float(np.percentile(delays, 99)),
            len(delays),
        )

    def close(self) -> None:
        """Disconnect."""
        self._broker.stop(1.0)
        self._broker.close()


def flood(port: int, lines: Path, count: int) -> float:
    """Return answers per second, with up to `WINDOW` vectors in flight: queues hold no more than
    that, so that no message is dropped.  mosquitto's own clients send and receive."""
    client = ["-p", str(port), "-V", "5", "-q", "1"]
    received = ["-t", DECISION_TOPIC, "-t", PROBE, "-F", "%U %t"]
    subscriber = subprocess.Popen(
        [program("stdbuf"), "-oL", program("mosquitto_sub"), *client, *received],
        stdout=subprocess.PIPE,
    )
    assert subscriber.stdout
    try:
        _await_subscription(client, subscriber.stdout.fileno())
        publisher = [program("mosquitto_pub"), *client, "-t", OBSERVE_TOPIC, "-l"]
        with subprocess.Popen(publisher, stdin=subprocess.PIPE) as process:
            assert process.stdin
            vectors = lines.read_bytes().splitlines(keepends=True)[:count]
            times = _exchange(vectors, process.stdin, subscriber.stdout.fileno())
    finally:
        subscriber.kill()
        subscriber.wait()
    return (len(times) - 1) / (times[-1] - times[0])


def _exchange(vectors: list[bytes], vectors_in: IO[bytes], output: int) -> list[float]:
    """Send vectors as answers arrive; returns the time of each answer, in seconds."""
    times: list[float] = []
    sent, rest, topic = 0, b"", DECISION_TOPIC.encode()
    while len(times) < len(vectors):
        due = vectors[sent : len(times) + WINDOW]
        vectors_in.write(b"".join(due))
        vectors_in.flush()
        sent += len(due)
        ready, _, _ = select.select([output], [], [], DONE_S)
        assert ready, f"{len(times)} answers to {sent} vectors, and then none"
        *received, rest = (rest + os.read(output, 1 << 16)).split(b"\n")
        times += [float(one.split()[0]) for one in received if one.endswith(topic)]
    return times


def _await_subscription(client: list[str], output: int) -> None:
    """Wait until the subscription receives messages; subscribing takes time on a busy machine."""
    until = time.monotonic() + READY_S
    while not select.select([output], [], [], 0.2)[0]:
        assert time.monotonic() < until, "the subscription received no message"
        publish = [program("mosquitto_pub"), *client, "-t", PROBE, "-m", "probe"]
        subprocess.run(publish, check=True)
