"""The OPC UA source: variables of a server, by subscription or by polling (extra `industrial`).

asyncua implements the protocol, in an event loop of the source's own thread.  `opcua_session.py`
holds the connection; this file makes measurements of its values.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..config import OpcUaStream
from ..extras import install_command
from .measurement import InvalidMeasurement, Measurement
from .plant import PlantSampler, ProbedValue
from .polling import PollingPause, UnavailableError

if TYPE_CHECKING:
    from .opcua_session import OpcUaSession

SLICE_S: Final = 0.1
"""Seconds between two checks whether the source stops.  Chosen by hand; effect not measured."""


class OpcUaSource:
    """Measures the newest values of a server at an interval; `live`.  base: folder of
    relative paths."""

    live = True

    def __init__(self, stream: str, settings: OpcUaStream, base: Path) -> None:
        self.problem = ""
        self._stream, self._settings, self._base = stream, settings, base

    def read(self, pause: PollingPause) -> Iterator[Measurement | InvalidMeasurement]:
        """See `PollingReader`."""
        session = self._new_session()
        with asyncio.Runner() as runner:
            try:
                runner.run(session.open())
                sampler = PlantSampler(
                    self._stream,
                    self._settings,
                    self._settings.nodes,
                    session.bands,
                    reports_all=self._settings.mode == "poll",
                )
                while not pause.stopped:
                    started_s = time.monotonic()
                    values = runner.run(session.values())
                    found = sampler.measure(values, session.now_ns())
                    self.problem = sampler.problem
                    if found is not None:
                        yield found
                    runner.run(_rest(started_s + self._settings.every_s, pause))
            finally:
                runner.run(session.close())

    def delivered(self, measurement: Measurement) -> None:
        """See `PollingReader`."""

    def probe(self) -> list[ProbedValue]:
        """Connect, read every value once, and disconnect.  Raises UnavailableError."""
        session = self._new_session()
        with asyncio.Runner() as runner:
            try:
                runner.run(session.open(subscribe=False))
                values = runner.run(session.values())
            finally:
                runner.run(session.close())
        return [
            ProbedValue(node.name, one.value, node.unit or unit, one.problem)
            for node, unit, one in zip(self._settings.nodes, session.units, values, strict=True)
        ]

    def _new_session(self) -> "OpcUaSession":
        try:
            from .opcua_session import OpcUaSession
        except ImportError as error:
            raise UnavailableError(
                f"reading OPC UA needs asyncua: {install_command('industrial')}"
            ) from error
        return OpcUaSession(self._settings, self._base)


async def _rest(until_s: float, pause: PollingPause) -> None:
    """Let the event loop work until a time, or until the source stops."""
    # `pause` belongs to another thread, which cannot set an event of this loop.
    while not pause.stopped and (left_s := until_s - time.monotonic()) > 0:  # noqa: ASYNC110
        await asyncio.sleep(min(left_s, SLICE_S))
