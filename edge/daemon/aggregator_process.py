"""An aggregator as a process of its own: its file, its broker, its timers."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from ..config import read_settings
from ..core import ConfigError
from ..fleet import AggregatorService, aggregate_path, aggregate_section, read_place
from ..storage import AggregateFile
from ..version import __version__
from .settings import resolve_paths

if TYPE_CHECKING:
    from ..mqtt import MqttClient

STOP_S: Final = 2.0
"""Longest wait for acknowledgements when an aggregator stops.  Chosen by hand."""


@contextmanager
def open_aggregator_service(home: Path) -> "Iterator[tuple[AggregatorService, MqttClient]]":
    """Open a home's aggregator with its broker; raises ConfigError for what its settings lack."""
    from ..mqtt import MqttClient, StatusPresence

    whole = read_settings(home)
    settings = aggregate_section(whole)
    if whole.mqtt is None:
        raise ConfigError(
            "starting the aggregator: the settings have no [mqtt]", "add the broker's address"
        )
    mqtt = resolve_paths(whole.mqtt, home)
    # A session that the broker kept would bring no retained message again: what was refused under
    # other settings, or taken out by a migration, would stay out.  Nothing is lost without one, as
    # all that is received here is retained.
    mqtt = msgspec.structs.replace(
        mqtt, client_id=f"auricle-{settings.name}-aggregator", session_expiry_s=0
    )
    with AggregateFile(aggregate_path(home), writable=True) as file:
        service = AggregatorService(settings, home, file, read_place(home))
        presence = StatusPresence(settings.name, __version__)
        client = MqttClient(mqtt, settings.name, lambda one: service.receive(one, client), presence)
        client.subscribe(service.filters)
        client.start()
        try:
            yield service, client
            service.aggregator.close()
        finally:
            client.stop(STOP_S)
            client.close()
