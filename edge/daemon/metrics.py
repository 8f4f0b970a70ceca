"""Prometheus metrics of a daemon's status.  docs/howto/daemon.md lists every metric."""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..mqtt import BrokerStatus, DaemonStatus

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
MIB: Final = 1 << 20
"""Bytes in a mebibyte."""

STREAM_COUNTERS: Final = {
    "received": "Measurements received.",
    "decided": "Decisions made.",
    "forecasts": "Forecasts made, one per accepted sample of a series.",
    "change_points": "Change points found in a series.",
    "alarms": "Drift alarms raised.",
    "dropped": "Measurements dropped: the queue was full, or they exceeded rate_max.",
    "rejected": "Invalid measurements.",
}


class Metrics(Collector):
    """Turns the newest status into text; `text` may be called in any thread."""

    def __init__(self, snapshot: Callable[[], DaemonStatus | None]) -> None:
        self._snapshot = snapshot
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        """Return all metrics."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; nothing before the first snapshot."""
        now = self._snapshot()
        if now is None:
            return
        info = GaugeMetricFamily(
            "auricle_info", "Device and version.", labels=["device", "version"]
        )
        info.add_metric([now.device, now.version], 1)
        yield info
        yield _gauge("auricle_serving", "1 while there is no problem.", now.state == "serving")
        yield _gauge("auricle_uptime_seconds", "Seconds since the start.", now.uptime_s)
        yield _gauge("auricle_resident_bytes", "Resident memory.", now.rss_mib * MIB)
        yield _gauge(
            "auricle_cpu_percent", "Percent of one core, between snapshots.", now.cpu_percent
        )
        yield _gauge(
            "auricle_written_bytes_per_day",
            "Bytes written to disks, extrapolated to a day.",
            now.written_bytes_day,
        )
        yield _gauge("auricle_clock_set", "0 while the wall clock is not set.", now.clock == "set")
        unrouted = "Messages on topics without a stream or command."
        yield CounterMetricFamily("auricle_unrouted_messages", unrouted, value=now.unrouted)
        yield from _streams(now)
        yield from _homes(now)
        yield from _delivery(now)


def _streams(now: DaemonStatus) -> Iterator[Metric]:
    for name, text in STREAM_COUNTERS.items():
        counter = CounterMetricFamily(f"auricle_stream_{name}", text, labels=["stream"])
        for stream in now.streams:
            counter.add_metric([stream.name], getattr(stream, name))
        yield counter
    gauges = {
        "waiting": "Measurements that wait for a decision.",
        "alarmed": "1 during a drift alarm.",
        "input_problem": "1 while all measurements are rejected.",
    }
    for name, text in gauges.items():
        gauge = GaugeMetricFamily(f"auricle_stream_{name}", text, labels=["stream"])
        for stream in now.streams:
            value = getattr(stream, name)
            gauge.add_metric([stream.name], float(bool(value) if isinstance(value, str) else value))
        yield gauge

    yield from _false_alarms(now)


def _false_alarms(now: DaemonStatus) -> Iterator[Metric]:
    gauges = {
        "": ("observed_rate", "Observed false-alarm rate."),
        "_low": ("observed_low", "Lower end of the 95 % interval of the observed rate."),
        "_high": ("observed_high", "Upper end of the 95 % interval of the observed rate."),
    }
    for end, (name, text) in gauges.items():
        gauge = GaugeMetricFamily(f"auricle_stream_false_alarm_rate{end}", text, labels=["stream"])
        for stream in now.streams:
            value = getattr(stream, name)
            if value is not None:
                gauge.add_metric([stream.name], value)
        yield gauge
    text = "1 while a lasting alarm waits for a person's answer."
    asked = GaugeMetricFamily("auricle_stream_alarm_question", text, labels=["stream"])
    for stream in now.streams:
        asked.add_metric([stream.name], float(stream.question_at_ns > 0))
    yield asked


def _homes(now: DaemonStatus) -> Iterator[Metric]:
    opened = GaugeMetricFamily("auricle_home_open", "1 while a home serves.", labels=["home"])
    facts = GaugeMetricFamily("auricle_home_facts", "Facts in the ledger.", labels=["home"])
    chosen = GaugeMetricFamily(
        "auricle_home_false_alarm_rate", "False-alarm rate as chosen.", labels=["home"]
    )
    exchangeable = GaugeMetricFamily(
        "auricle_home_exchangeable_domains",
        "Domains whose facts are calibrated as independent: without usable times.",
        labels=["home"],
    )
    for home in now.homes:
        opened.add_metric([home.name], float(bool(home.encoder)))
        facts.add_metric([home.name], home.facts)
        chosen.add_metric([home.name], home.false_alarm_rate)
        exchangeable.add_metric([home.name], sum(one.exchangeable for one in home.calibration))
    yield opened
    yield facts
    yield chosen
    yield exchangeable


def _delivery(now: DaemonStatus) -> Iterator[Metric]:
    outbox = now.outbox
    yield _gauge("auricle_outbox_waiting", "Messages that wait for the broker.", outbox.waiting)
    yield _gauge("auricle_outbox_bytes", "Bytes that wait for the broker.", outbox.nbytes)
    yield _gauge("auricle_outbox_oldest_seconds", "Age of the oldest message.", outbox.oldest_s)
    yield _gauge("auricle_outbox_failing", "1 while the disk fails.", bool(outbox.problem))
    yield CounterMetricFamily("auricle_outbox_dropped", "Messages dropped.", value=outbox.dropped)
    yield CounterMetricFamily("auricle_outbox_gaps", "Gap messages published.", value=outbox.gaps)
    if now.broker is not None:
        yield from _broker(now.broker)


def _broker(broker: BrokerStatus) -> Iterator[Metric]:
    yield _gauge("auricle_broker_online", "1 while the broker is connected.", broker.online)
    yield CounterMetricFamily("auricle_broker_connects", "Connections.", value=broker.connects)
    reasons = CounterMetricFamily(
        "auricle_broker_reasons", "MQTT reason codes by packet and name.", labels=["reason"]
    )
    for name, count in broker.reasons.items():
        reasons.add_metric([name], count)
    yield reasons


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=float(value))
