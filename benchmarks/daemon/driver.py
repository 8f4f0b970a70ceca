"""Driving whatever answers vectors through a broker: as fast as it goes, or at a pace."""

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

from .fixture import ASKED, TOLD, program

READY_S = 60.0
DONE_S = 20.0
WINDOW = 200
PROBE = f"{TOLD}/probe"


@dataclass(frozen=True)
class Pace:
    """Milliseconds from sending a vector to its answer, at so many vectors a second."""

    per_second: float
    p50_ms: float
    p99_ms: float
    answered: int


class LoadDriver:
    """One client that sends vectors and hears answers."""

    def __init__(self, port: int) -> None:
        # No session outlives it: answers of another run would pass for those of this one.
        settings = MqttSettings(
            host="127.0.0.1",
            port=port,
            receive_max=1_000,
            inflight_max=1_000,
            session_expiry_s=0,
        )
        self.heard = 0
        self.length = 0
        self._sent_s: deque[float] = deque()
        self._delays: list[float] = []
        self._broker = MqttClient(settings, "driver", self._hear, StatusPresence("driver", "1"))
        self._broker.subscribe([TOLD])
        self._broker.start()

    def _hear(self, arrival: InboundMessage) -> None:
        self._broker.acknowledge(arrival.ticket)
        self.heard += 1
        self.length = len(arrival.payload)
        if self._sent_s:
            self._delays.append(time.perf_counter() - self._sent_s.popleft())

    def await_answer(self, vector: str) -> None:
        """Send now and then until somebody answers, and all that is on its way has come."""
        until = time.monotonic() + READY_S
        while not self.heard:
            assert time.monotonic() < until, "nobody answers"
            self._broker.publish(ASKED, vector.encode())
            self._pump(0.2)
        quiet = self.heard - 1
        while quiet != self.heard:
            quiet = self.heard
            self._pump(0.5)

    def _pump(self, seconds: float) -> None:
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            self._broker.pump(left)
            self._broker.acked()

    def pace(self, lines: list[str], per_second: float) -> Pace:
        """Send vectors at a pace, and time each answer; answers come in order."""
        self._sent_s.clear()
        self._delays.clear()
        payloads = [line.encode() for line in lines]
        begun = time.perf_counter()
        for number, payload in enumerate(payloads):
            due = begun + number / per_second
            while (left := due - time.perf_counter()) > 0:
                self._broker.pump(left)
                self._broker.acked()
            if self._broker.publish(ASKED, payload) is not None:
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
        """Leave."""
        self._broker.stop(1.0)
        self._broker.close()


def flood(port: int, lines: Path, count: int) -> float:
    """Answers a second, with up to `WINDOW` vectors on their way: no more than that wait anywhere,
    so that nobody has to drop any.  mosquitto's own clients send and hear."""
    client = ["-p", str(port), "-V", "5", "-q", "1"]
    heard = ["-t", TOLD, "-t", PROBE, "-F", "%U %t"]
    hearing = subprocess.Popen(
        [program("stdbuf"), "-oL", program("mosquitto_sub"), *client, *heard],
        stdout=subprocess.PIPE,
    )
    assert hearing.stdout
    try:
        _await_ear(client, hearing.stdout.fileno())
        said = [program("mosquitto_pub"), *client, "-t", ASKED, "-l"]
        with subprocess.Popen(said, stdin=subprocess.PIPE) as saying:
            assert saying.stdin
            vectors = lines.read_bytes().splitlines(keepends=True)[:count]
            times = _exchange(vectors, saying.stdin, hearing.stdout.fileno())
    finally:
        hearing.kill()
        hearing.wait()
    return (len(times) - 1) / (times[-1] - times[0])


def _exchange(vectors: list[bytes], ask: IO[bytes], output: int) -> list[float]:
    """Send vectors as answers come; returns when each answer came, in seconds."""
    times: list[float] = []
    sent, rest, told = 0, b"", TOLD.encode()
    while len(times) < len(vectors):
        due = vectors[sent : len(times) + WINDOW]
        ask.write(b"".join(due))
        ask.flush()
        sent += len(due)
        ready, _, _ = select.select([output], [], [], DONE_S)
        assert ready, f"{len(times)} answers to {sent} vectors, and then none"
        *heard, rest = (rest + os.read(output, 1 << 16)).split(b"\n")
        times += [float(one.split()[0]) for one in heard if one.endswith(told)]
    return times


def _await_ear(client: list[str], output: int) -> None:
    """Return once what is published is heard: a subscription takes its time on a busy machine."""
    until = time.monotonic() + READY_S
    while not select.select([output], [], [], 0.2)[0]:
        assert time.monotonic() < until, "nothing is heard of what is published"
        told = [program("mosquitto_pub"), *client, "-t", PROBE, "-m", "heard?"]
        subprocess.run(told, check=True)
