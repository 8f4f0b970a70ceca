"""Fuzzing of all interfaces of a daemon: each broken message must be accepted, or rejected with a
reason.

Structure-aware: a valid message is taken apart and one thing in it is broken (a value, a type, a
length, a key, a byte).  The daemon counts observations, so that the sum of its counts must equal
the number sent; commands and requests are answered one by one.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbor2
import numpy as np

from benchmarks.faults import others as faults_others
from edge.config import MqttSettings
from edge.mqtt import InboundMessage, StatusPresence
from edge.mqtt import MqttClient as Client

from ..daemon.fixture import DEVICE, MosquittoBroker, begin, daemon_command, make_home, rss_mib

COLUMNS = 16
"""A small sensor: messages are short."""
BASE = f"auricle/v1/{DEVICE}"
STREAMS = {"j": "json", "c": "cbor", "r": "raw", "i": "image"}
VERBS = ("label", "relabel", "forget", "grow", "rollback", "adaptors", "status", "rebirth")
FACTS = 24
"""Too few for an adaptor to be tried."""
HTTP_SHARE = 0.1
"""Shares of messages to each interface; the rest are observations.  Chosen by hand."""
COMMAND_SHARE = 0.3
"""See HTTP_SHARE."""
STRAY_SHARE = 0.05
"""Messages on topics that no one serves; see HTTP_SHARE."""
OTHERS_SHARE = 0.05
"""Messages of other members of the network (`others.py`); see HTTP_SHARE."""
WARM_SHARE = 0.2
"""Memory is measured from here on: caches and allocator have grown by then."""
WAIT_S = 60.0
"""Generous: an answer takes milliseconds."""
READY_S = 60.0
"""Generous, so that a slow machine does not fail."""
SETTINGS = f"""
[commands]
enabled = {json.dumps(VERBS)}
per_minute = 100000
[http]
port = PORT
[streams.h]
source = "http"
[streams.n]
source = "topic"
kind = "series"
"""
COUNTED = re.compile(r'auricle_stream_(\w+)_total\{stream="(\w+)"\} (\S+)')
WRONG: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1 << 70,
    -(1 << 63),
    1e308,
    float("nan"),
    float("inf"),
    "",
    "\0",
    "x" * 300,
    "\N{GRINNING FACE}" * 99,
    "../../etc/passwd",
    "a/b#+",
    [],
    {},
    [[]],
    [None] * 16,
    {"a": {"b": []}},
)
HEADS = (
    b"POST /observe/h HTTP/1.1",
    b"GET /metrics HTTP/1.1",
    b"POST /observe/%68%00 HTTP/1.1",
    b"PUT /observe/h HTTP/1.1",
    b"POST /observe/h?id=a&id=b&nope=1 HTTP/1.1",
    b"GET /livez HTTP/9",
    b"POST /observe/h?sequence=-1 HTTP/1.1",
    b"\x16\x03\x01\x02",
    b"GET " + b"/" * 70_000,
    b"",
    b"POST /observe/../h HTTP/1.1",
    b"DELETE * HTTP/1.1",
    b"POST http://x/observe/h HTTP/1.1",
)
TAKEN = frozenset({200, 202})
LENGTHS = (b"-1", b"0", b"1e3", b"99999999999999", b"\xb2", b"5", b"1, 2", b"4096")


@dataclass(kw_only=True)
class FuzzOutcome:
    """The result.  crashes: the daemon ended.  bugs: unexpected exceptions in its log.
    unexplained: messages with neither effect nor reason."""

    messages: int = 0
    crashes: int = 0
    bugs: int = 0
    unexplained: int = 0
    growth_mib: float = 0.0
    by_door: dict[str, int] = field(default_factory=dict)


class Fuzzer:
    """Sends broken messages to one daemon and accounts for each of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.chance = folder, random.Random(seed)
        self.broker = MosquittoBroker(folder)
        self.broker.start()
        self.home = folder / "home"
        make_home(self.home, self.broker.port, COLUMNS, FACTS)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.http = int(free.getsockname()[1])
        topic = '[streams.{}]\nsource = "topic"\nformat = "{}"\n'
        more = "".join(topic.format(name, form) for name, form in STREAMS.items())
        with (self.home / "auricle.toml").open("a", encoding="utf-8") as file:
            file.write(SETTINGS.replace("PORT", str(self.http)) + more)
        self.others = faults_others.NetworkMessages(self.home, DEVICE, self.chance, self._mutated)
        with (self.home / "auricle.toml").open("a", encoding="utf-8") as file:
            file.write(faults_others.settings(DEVICE))
        self.sent = {"observe": 0, "command": 0, "http": 0, "stray": 0, "others": 0}
        self.answered = self.reasonless = self.rejected = self.births = self.announced = 0
        self.adopted = False
        name = "fuzzer"
        settings = MqttSettings(host="127.0.0.1", port=self.broker.port)
        self.client = Client(settings, name, self._read_output, StatusPresence(name, "1"))
        kinds = ("response", "rejected", "decision/+", "ack")
        others_topics = ("homeassistant/device/#", f"spBv1.0/{faults_others.GROUP}/NBIRTH/{DEVICE}")
        self.client.subscribe([*(f"{BASE}/{kind}" for kind in kinds), *others_topics])
        self.client.start()
        self.process = begin(daemon_command(self.home), folder / "log")

    def run(self, count: int) -> FuzzOutcome:
        """Send a number of messages."""
        result, memory = FuzzOutcome(), 0.0
        self._until(lambda: self._get("/readyz") == 200, READY_S)
        for number in range(count):
            self._send_one()
            if number % 50 == 0:
                result.crashes += self._restart()
            if number == int(count * WARM_SHARE):
                memory = rss_mib(self.process.pid)
        self._until(lambda: self.answered >= self.sent["command"], WAIT_S)
        self._until(lambda: not self._uncounted(), WAIT_S)
        result.unexplained = self.reasonless + self._uncounted() + self._without_effect()
        result.unexplained += max(self.sent["command"] - self.answered, 0)
        result.growth_mib = rss_mib(self.process.pid) - memory
        result.messages, result.by_door = count, dict(self.sent)
        self._close()
        result.bugs = (self.folder / "log").read_text("utf-8").count('"level": "error"')
        return result

    # --- messages --------------------------------------------------------------------------------

    def _send_one(self) -> None:
        draw = self.chance.random()
        if draw < HTTP_SHARE:
            self._request()
        elif draw < HTTP_SHARE + COMMAND_SHARE:
            self._publish("command", f"command/{self.chance.choice(VERBS)}", self._command())
        elif draw < HTTP_SHARE + COMMAND_SHARE + STRAY_SHARE:
            topic = self.chance.choice(("observe/unknown", "observe/%", "command", "observe/a/b"))
            self._publish("stray", topic, self._json())
        elif draw < HTTP_SHARE + COMMAND_SHARE + STRAY_SHARE + OTHERS_SHARE:
            self._publish_at("others", *self.others.message())
        else:
            stream = self.chance.choice((*STREAMS, "n", "s"))
            self._publish("observe", f"observe/{stream}", self._observation(stream))

    def _publish(self, door: str, topic: str, body: bytes) -> None:
        self._publish_at(door, f"{BASE}/{topic}", body)

    def _publish_at(self, door: str, topic: str, body: bytes) -> None:
        self._until(lambda: self.client.send_quota, WAIT_S)
        if self.client.publish(topic, body) is not None:
            self.sent[door] += 1
        self.client.pump(0.0)
        self.client.acked()

    def _observation(self, stream: str) -> bytes:
        match STREAMS.get(stream, "json"):
            case "cbor":
                return self._mutated(cbor2.dumps(self._wrong(self._document())))
            case "raw":
                count = self.chance.choice((16, 16, 15, 17, 0, 4096))
                with np.errstate(over="ignore"):
                    values = self._numbers(count).astype("<f4")
                return self._mutated(values.tobytes())
            case "image":
                width, height = self.chance.randrange(1, 9), self.chance.randrange(1, 70_000)
                return self._mutated(_png(width, height))
            case _:
                return self._json()

    def _json(self) -> bytes:
        if self.chance.random() < 0.05:
            depth = self.chance.choice((10, 1_000, 20_000))
            return self.chance.choice((b"[", b'{"values":')) * depth
        return self._mutated(json.dumps(self._wrong(self._document())).encode())

    def _document(self) -> dict[str, Any]:
        return {
            "values": self._numbers(16).round(3).tolist(),
            "id": f"f{self.chance.getrandbits(60):x}",
            "subject": "line-2",
            "sequence": 5,
            "captured_at_ns": time.time_ns(),
        }

    def _command(self) -> bytes:
        verb = self.chance.choice(VERBS)
        fields: dict[str, Any] = {"verb": verb, "id": f"c{self.chance.getrandbits(60):x}"}
        match verb:
            case "label":
                fields |= {"observation_id": "learn:1", "label": "a"}
            case "relabel":
                fields |= {"select": {"ids": ["unknown"]}, "label": "b"}
            case "forget":
                fields |= {"select": {"ids": ["unknown"]}}
            case "grow" | "rollback":
                fields["domain"] = "nowhere"
            case _:
                fields["expires_at_ns"] = time.time_ns() + 10**12
        if self.chance.random() < 0.1:
            whole = json.dumps(fields)
            fields = {"payload": whole, "key": "ann", "signature": "AAAA"}
        return self._mutated(json.dumps(self._wrong(fields)).encode())

    def _wrong(self, fields: dict[str, Any]) -> dict[str, Any]:
        """One field with a wrong value, missing, or added; or a list with one wrong member."""
        made, key = dict(fields), self.chance.choice(list(fields))
        wrong = self.chance.choice(WRONG)
        match self.chance.randrange(5):
            case 0:
                made[key] = wrong
            case 1:
                del made[key]
            case 2:
                made[self.chance.choice(("nope", "verbs", "", "value"))] = wrong
            case 3 if isinstance(made[key], list):
                made[key] = [*made[key][:-1], wrong]
            case _:
                pass
        return made

    def _mutated(self, whole: bytes) -> bytes:
        """The bytes, mostly unchanged; or truncated, changed, doubled, or empty."""
        body = bytearray(whole)
        match self.chance.randrange(10):
            case 0:
                del body[self.chance.randrange(len(body) + 1) :]
            case 1 if body:
                body[self.chance.randrange(len(body))] = self.chance.randrange(256)
            case 2:
                body += bytes(body)
            case 3 if self.chance.random() < 0.2:
                body.clear()
            case 4:
                at = self.chance.randrange(len(body) + 1)
                bomb = self.chance.choice((0x5B, 0x9B, 0xBB, 0xDB))
                body[at:at] = struct.pack(">BQ", bomb, 1 << 62)
            case _:
                pass
        return bytes(body)

    def _numbers(self, count: int) -> Any:
        values = np.random.default_rng(self.chance.getrandbits(32)).normal(0, 2, count)
        if count and self.chance.random() < 0.1:
            values[0] = self.chance.choice((np.nan, np.inf, 1e38, -1e300))
        return values

    # --- HTTP ------------------------------------------------------------------------------------

    def _request(self) -> None:
        self.sent["http"] += 1
        body = self._json()
        head = self.chance.choice(HEADS) if self.chance.random() < 0.5 else HEADS[0]
        length = str(len(body)).encode()
        if self.chance.random() < 0.3:
            length = self.chance.choice(LENGTHS)
        kind = self.chance.choice((b"application/json", b"application/json", b"text/plain", b""))
        host = self.chance.choice((b"localhost", b"localhost", b"evil.example", b""))
        lines = [head, b"Host: " + host, b"Content-Type: " + kind, b"Content-Length: " + length]
        self.chance.shuffle(lines[1:])
        whole = self._mutated(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self.reasonless += not self._explained(whole)

    def _explained(self, whole: bytes) -> bool:
        """Return whether the HTTP interface accepted the request or gave a reason.  A client that
        stops before the end of a request's head gets no answer."""
        try:
            with socket.create_connection(("127.0.0.1", self.http), 5) as line:
                line.sendall(whole)
                line.shutdown(socket.SHUT_WR)
                answer = http.client.HTTPResponse(line)
                answer.begin()
                status, body = answer.status, answer.read()
        except http.client.RemoteDisconnected:
            return b"\r\n\r\n" not in whole
        except http.client.HTTPException:
            return False
        except OSError:
            return False
        return status in TAKEN or bool(json.loads(body)["reason"])

    def _get(self, page: str) -> int:
        try:
            line = http.client.HTTPConnection("127.0.0.1", self.http, timeout=5)
            line.request("GET", page)
            self.page = line.getresponse()
            self.text = self.page.read().decode()
            line.close()
        except OSError:
            return 0
        return self.page.status

    # --- accounting ------------------------------------------------------------------------------

    def _read_output(self, arrival: InboundMessage) -> None:
        self.client.acknowledge(arrival.ticket)
        self.announced += arrival.topic.startswith("homeassistant/")
        self.births += arrival.topic.startswith("spBv1.0/")
        if not arrival.topic.startswith("auricle/"):
            return
        message = json.loads(arrival.payload)
        proper = f"revision {faults_others.VALID_REVISION}"
        self.adopted = self.adopted or message.get("detail") == proper
        if message["schema"].endswith("/response"):
            self.answered += 1
            self.reasonless += not (message["done"] or message["reason"])
        if message["schema"].endswith("/rejected"):
            self.rejected += 1
            self.reasonless += not message["reason"]

    def _uncounted(self) -> int:
        """Count observations that the daemon neither answered, rejected nor dropped."""
        if self._get("/metrics") != 200:
            return self.sent["observe"]
        counts: dict[str, dict[str, int]] = {}
        for kind, stream, value in COUNTED.findall(self.text):
            counts.setdefault(stream, {})[kind] = int(float(value))
        received = {name: one for name, one in counts.items() if name != "h"}
        missing = self.sent["observe"] - sum(one["received"] for one in received.values())
        ends = ("decided", "forecasts", "rejected", "dropped")
        left = (one["received"] - sum(one[e] for e in ends) for one in received.values())
        return abs(missing) + sum(left)

    def _without_effect(self) -> int:
        """Count valid messages of other members without effect at the end."""
        before = self.announced, self.births
        proper = self.others.valid_messages()
        for topic, body in proper:
            self._publish_at("others", topic, body)
        called = len(proper) > 2

        def unheard() -> int:
            silent = (not self.adopted) + (self.announced == before[0])
            return silent + (called and self.births == before[1])

        self._until(lambda: not unheard(), WAIT_S)
        return unheard()

    def _restart(self) -> int:
        """Restart the daemon if it has ended; returns 1 if it had."""
        if self.process.poll() is None:
            return 0
        self.process = begin(daemon_command(self.home), self.folder / "log")
        self._until(lambda: self._get("/readyz") == 200, READY_S)
        return 1

    def _until(self, done: Callable[[], object], wait_s: float) -> None:
        until = time.monotonic() + wait_s
        while not done() and time.monotonic() < until:
            self.client.pump(0.01)
            self.client.acked()

    def _close(self) -> None:
        self.client.stop(1.0)
        self.client.close()
        self.process.terminate()
        self.process.wait()
        self.broker.kill()


def _png(width: int, height: int) -> bytes:
    """Return the start of a PNG that claims a size."""
    header = struct.pack(">IIBBBBB", width * 1000, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + b"\0" * 40
