"""The Modbus source: registers of a device over TCP or a serial line (extra `industrial`).

pymodbus implements the protocol; this file plans the requests and interprets the answers.
"""

import logging
import os
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from ..config import ModbusRegister, ModbusStream
from ..extras import install_command
from .measurement import InvalidMeasurement, Measurement
from .plant import PlantSampler, PlantValue, ProbedValue, deadband_of, missing_value, scaled_value
from .polling import PollingPause, UnavailableError

PORT: Final = 502
"""The port that IANA assigned to Modbus."""

WORDS_MAX: Final = 125
"""Registers of one request (Modbus Application Protocol 1.1b3, section 6.3)."""

RETRIES: Final = 1
"""Repetitions of a request: a lost answer on a serial line is common.  Chosen by hand."""

FORMATS: Final = {
    "int16": ">h",
    "uint16": ">H",
    "int32": ">i",
    "uint32": ">I",
    "float32": ">f",
    "float64": ">d",
}
"""Formats of `struct` for a value whose first word is the highest."""

EXCEPTIONS: Final = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledged, not ready yet",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "the device behind the gateway does not answer",
}
"""Exception codes (Modbus Application Protocol 1.1b3, section 7)."""

SEPARABLE: Final = frozenset({1, 2, 3})
"""Exception codes that one register of a block can cause for all."""

UNREACHABLE: Final = frozenset({10, 11})
"""Exception codes of a gateway whose device is gone."""

Block = tuple[ModbusRegister, ...]


class ModbusSource:
    """Reads all registers at an interval; `live`: the device does not wait."""

    live = True

    def __init__(self, stream: str, settings: ModbusStream) -> None:
        self.problem = ""
        self._stream, self._settings = stream, settings

    def read(self, pause: PollingPause) -> Iterator[Measurement | InvalidMeasurement]:
        """See `PollingReader`."""
        registers = self._settings.registers
        sampler = PlantSampler(
            self._stream,
            self._settings,
            registers,
            [deadband_of(one, one.range) for one in registers],
            reports_all=True,
        )
        device = ModbusDevice(self._settings)
        try:
            while not pause.stopped:
                started_s = time.monotonic()
                found = sampler.measure(device.values(), time.time_ns())
                self.problem = sampler.problem
                if found is not None:
                    yield found
                pause.wait(max(0.0, self._settings.every_s - (time.monotonic() - started_s)))
        finally:
            device.close()

    def delivered(self, measurement: Measurement) -> None:
        """See `PollingReader`."""

    def probe(self) -> list[ProbedValue]:
        """Connect, read every value once, and disconnect.  Raises UnavailableError."""
        device = ModbusDevice(self._settings)
        try:
            values = device.values()
        finally:
            device.close()
        return [
            ProbedValue(point.name, one.value, point.unit, one.problem)
            for point, one in zip(self._settings.registers, values, strict=True)
        ]


class ModbusDevice:
    """An open connection to a device.  Raises UnavailableError if there is none."""

    def __init__(self, settings: ModbusStream) -> None:
        self._settings = settings
        self._blocks = blocks_of(settings.registers)
        self._client = _connect(settings)

    def values(self) -> list[PlantValue]:
        """Read every register, in the order of the settings.  Raises UnavailableError if the device
        does not answer.

        Cost: one request for each block of adjacent registers.
        """
        found: dict[str, PlantValue] = {}
        blocks: list[Block] = []
        for block in self._blocks:
            answer = self._request(block)
            if isinstance(answer, int) and answer in SEPARABLE and len(block) > 1:
                # From now on each of them alone: a missing one must not hide the others.
                parts: list[Block] = [(one,) for one in block]
                answers = [self._request(part) for part in parts]
            else:
                parts, answers = [block], [answer]
            blocks += parts
            for part, one in zip(parts, answers, strict=True):
                found |= {register.name: _value_of(register, part, one) for register in part}
        self._blocks = blocks
        return [found[register.name] for register in self._settings.registers]

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _request(self, block: Block) -> list[int] | int:
        """Return the words or bits of a block, or the code of the exception that the device
        answered."""
        from pymodbus.exceptions import ModbusException

        read = {
            "holding": self._client.read_holding_registers,
            "input": self._client.read_input_registers,
            "coil": self._client.read_coils,
            "discrete": self._client.read_discrete_inputs,
        }[block[0].table]
        start = block[0].address
        count = max(one.address + one.words for one in block) - start
        where = f"{self._settings.address}, device {self._settings.device}"
        try:
            answer = read(start, count=count, device_id=self._settings.device)
        except (ModbusException, OSError) as error:
            raise UnavailableError(f"{where} does not answer: {str(error)[:200]}") from error
        if answer.isError():
            code = int(getattr(answer, "exception_code", 0))
            if code in UNREACHABLE or not code:
                raise UnavailableError(f"{where}: {EXCEPTIONS.get(code, str(answer)[:200])}")
            return code
        return list(answer.registers or answer.bits)


def blocks_of(registers: Sequence[ModbusRegister]) -> list[Block]:
    """Return registers in blocks that one request reads: adjacent ones of a table.  Gaps are never
    read: a device may refuse addresses that it does not document."""
    blocks: list[list[ModbusRegister]] = []
    for one in sorted(registers, key=lambda one: (one.table, one.address, one.words)):
        block = blocks[-1] if blocks else []
        if block and block[0].table == one.table:
            end = max(other.address + other.words for other in block)
            if one.address <= end and one.address + one.words - block[0].address <= WORDS_MAX:
                block.append(one)
                continue
        blocks.append([one])
    return [tuple(block) for block in blocks]


def _value_of(register: ModbusRegister, block: Block, answer: list[int] | int) -> PlantValue:
    if isinstance(answer, int):
        text = EXCEPTIONS.get(answer, "unknown")
        return missing_value(f"exception {answer}, {text}, at {register.table} {register.address}")
    at = register.address - block[0].address
    words = answer[at : at + register.words]
    if len(words) < register.words:
        return missing_value(f"the answer ends before {register.table} {register.address}")
    if register.table in {"coil", "discrete"}:
        return scaled_value(register, float(words[0]))
    if register.order == "little":
        words.reverse()
    data = struct.pack(f">{len(words)}H", *words)
    (raw,) = struct.unpack(FORMATS[register.type], data)
    if raw == register.missing:
        return missing_value(f"the device reports {raw:g}, which means no value")
    return scaled_value(register, float(raw))


def _connect(settings: ModbusStream) -> Any:
    """Return a connected client of pymodbus."""
    try:
        from pymodbus.client import ModbusSerialClient, ModbusTcpClient
    except ImportError as error:
        raise UnavailableError(
            f"reading Modbus needs pymodbus: {install_command('industrial')}"
        ) from error
    # The source reports failures itself, once each.
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    address = settings.address
    client: Any
    if address.startswith("/"):
        client = ModbusSerialClient(
            address,
            baudrate=settings.baud,
            parity=settings.parity[0].upper(),
            stopbits=settings.stop_bits,
            timeout=settings.timeout_s,
            retries=RETRIES,
        )
    else:
        host, port = _host_and_port(address)
        client = ModbusTcpClient(host, port=port, timeout=settings.timeout_s, retries=RETRIES)
    if client.connect():
        return client
    client.close()
    raise UnavailableError(f"{address} cannot be opened: {_failure(settings)}")


def _host_and_port(address: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{address}")
        return parts.hostname or "", parts.port or PORT
    except ValueError as error:
        raise UnavailableError(f"{address} is not HOST or HOST:PORT: {error}") from error


def _failure(settings: ModbusStream) -> str:
    """Return why a connection failed; pymodbus gives no reason."""
    address = settings.address
    if address.startswith("/"):
        if not os.path.exists(address):  # noqa: PTH110 - a device, not a file of ours
            return "there is no such port"
        if not os.access(address, os.R_OK | os.W_OK):
            return "no permission; on Debian add the user to the group dialout"
        return "another program has it open, or it is not a serial port"
    try:
        with socket.create_connection(_host_and_port(address), settings.timeout_s):
            return "it closed the connection"
    except OSError as error:
        return error.strerror or str(error)
