"""A daemon's snapshot in the words of Prometheus.  docs/howto/daemon.md lists every metric."""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..mqtt import BrokerStatus, DaemonStatus

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
KIB: Final = 1 << 10

STREAM_COUNTERS: Final = {
    "received": "Measurements that came.",
    "decided": "Decisions made.",
    "forecasts": "Forecasts made: samples of a series that were taken.",
    "changes": "Change points found in a series.",
    "alarms": "How often the stream has left known ground.",
    "dropped": "Measurements dropped: too many waited, or they came too fast.",
    "rejected": "Measurements that could not be used.",
}


class Metrics(Collector):
    """Turns the newest snapshot into text; `text` is for any thread."""

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
        yield _gauge("auricle_serving", "1 where nothing is in trouble.", now.state == "serving")
        yield _gauge("auricle_uptime_seconds", "Since the start.", now.uptime_s)
        yield _gauge("auricle_resident_bytes", "Resident memory.", now.rss_mib * KIB * KIB)
        yield _gauge("auricle_cpu_percent", "Of one core, between snapshots.", now.cpu_percent)
        yield _gauge(
            "auricle_written_bytes_per_day",
            "Written to disks, at this rate.",
            now.written_bytes_day,
        )
        yield _gauge("auricle_clock_set", "0 while the wall clock is not set.", now.clock == "set")
        strays = "Messages at topics that nothing takes."
        yield CounterMetricFamily("auricle_strays", strays, value=now.strays)
        yield from _streams(now)
        yield from _homes(now)
        yield from _delivery(now)


def _streams(now: DaemonStatus) -> Iterator[Metric]:
    for name, told in STREAM_COUNTERS.items():
        counter = CounterMetricFamily(f"auricle_stream_{name}", told, labels=["stream"])
        for stream in now.streams:
            counter.add_metric([stream.name], getattr(stream, name))
        yield counter
    gauges = {
        "waiting": "Measurements that wait.",
        "alarmed": "1 where the stream has left known ground.",
        "rejecting": "1 where nothing that comes can be used.",
    }
    for name, told in gauges.items():
        gauge = GaugeMetricFamily(f"auricle_stream_{name}", told, labels=["stream"])
        for stream in now.streams:
            value = getattr(stream, name)
            gauge.add_metric([stream.name], float(bool(value) if isinstance(value, str) else value))
        yield gauge


def _homes(now: DaemonStatus) -> Iterator[Metric]:
    opened = GaugeMetricFamily("auricle_home_open", "1 where a home serves.", labels=["home"])
    facts = GaugeMetricFamily("auricle_home_facts", "Facts known.", labels=["home"])
    for home in now.homes:
        opened.add_metric([home.name], float(bool(home.encoder)))
        facts.add_metric([home.name], home.facts)
    yield opened
    yield facts


def _delivery(now: DaemonStatus) -> Iterator[Metric]:
    outbox = now.outbox
    yield _gauge("auricle_outbox_waiting", "Messages that wait.", outbox.waiting)
    yield _gauge("auricle_outbox_bytes", "Bytes that wait.", outbox.nbytes)
    yield _gauge("auricle_outbox_oldest_seconds", "Age of the oldest.", outbox.oldest_s)
    yield _gauge("auricle_outbox_failing", "1 where the disk fails.", bool(outbox.trouble))
    yield CounterMetricFamily("auricle_outbox_dropped", "Messages dropped.", value=outbox.dropped)
    yield CounterMetricFamily("auricle_outbox_gaps", "Gap messages told.", value=outbox.gaps)
    if now.broker is not None:
        yield from _broker(now.broker)


def _broker(broker: BrokerStatus) -> Iterator[Metric]:
    yield _gauge("auricle_broker_online", "1 where the broker is connected.", broker.online)
    yield CounterMetricFamily("auricle_broker_connects", "Connections.", value=broker.connects)
    reasons = CounterMetricFamily(
        "auricle_broker_reasons", "Reason codes of MQTT, by packet and name.", labels=["reason"]
    )
    for name, count in broker.reasons.items():
        reasons.add_metric([name], count)
    yield reasons


def _gauge(name: str, told: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, told, value=float(value))
