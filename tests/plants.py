"""Controllers for tests: servers of Modbus and OPC UA in processes that can be killed.

Each is made with the library that the source uses as a client, takes commands as lines of JSON on
its standard input, and answers each with a line.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.daemons import DIE_WITH_PARENT

READY_S = 60.0
URI = "http://example.com/plant"


class Plant:
    """A server in its own process.  kind: `modbus` or `opcua`; options: of `serve_modbus` or
    `serve_opcua`."""

    def __init__(self, kind: str, **options: Any) -> None:
        self.kind, self.options = kind, options
        self._start()

    def _start(self) -> None:
        code = "import sys; from tests.plants import main; main(sys.argv[1:])"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, self.kind, json.dumps(self.options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
            preexec_fn=DIE_WITH_PARENT,  # noqa: PLW1509 - a call of C alone
        )
        self._hear()

    def say(self, **command: Any) -> None:
        """Give a command, and wait until it is done."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command).encode() + b"\n")
        self.process.stdin.flush()
        self._hear()

    def freeze(self) -> None:
        """Stop the process without ending it: connections stay open, nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        """Start the server again after `kill`."""
        self._start()

    def _hear(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == b"done\n", f"the server of the test failed: {line!r}"


async def _commands(obey: Any) -> None:
    """Serve commands from standard input until it ends."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        await obey(json.loads(line))
        print("done", flush=True)  # noqa: T201 - the answer


async def serve_modbus(options: dict[str, Any]) -> None:
    """Serve 200 registers, which start as their address.  Commands: {"set": {address: word}},
    {"fail": [addresses], "code": exception}, {"delay_s": seconds}."""
    from pymodbus.constants import ExcCodes
    from pymodbus.server import ModbusSerialServer, ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    words = {address: address for address in range(200)}
    state: dict[str, Any] = {"fail": [], "code": 2, "delay_s": 0.0}

    async def act(*access: Any) -> ExcCodes | None:
        _, start, address, count, registers, _ = access
        await asyncio.sleep(state["delay_s"])
        if any(address <= one < address + count for one in state["fail"]):
            return ExcCodes(state["code"])
        for place in range(count):
            registers[address + place - start] = words[address + place]
        return None

    async def obey(command: dict[str, Any]) -> None:
        words.update({int(key): value for key, value in command.pop("set", {}).items()})
        state.update(command)

    block = SimData(0, values=list(range(200)), datatype=DataType.REGISTERS)
    device = SimDevice(id=1, simdata=[block], action=act)
    server: Any
    if "port" in options:
        server = ModbusTcpServer(device, address=("127.0.0.1", options["port"]))
    else:
        server = ModbusSerialServer(
            device, port=options["serial"], baudrate=options["baud"], parity="N"
        )
    await server.serve_forever(background=True)
    print("done", flush=True)  # noqa: T201 - it is ready
    await _commands(obey)


async def serve_opcua(options: dict[str, Any]) -> None:
    """Serve the variables `temperature` (with unit and range), `pressure` and `state`.  Commands:
    {"write": name, "value": …, "status": name of a code, "age_s": …}, {"delete": name}."""
    from asyncua import Server
    from asyncua.server.user_managers import User, UserManager, UserRole

    ua: Any = import_module("asyncua.ua")

    class Users(UserManager):
        """Accepts one user."""

        # The names are those of its interface.
        def get_user(self, iserver, username=None, password=None, certificate=None):  # noqa: ARG002
            """Return the user, None if the password is wrong."""
            good = username == options["user"] and password == options["password"]
            return User(role=UserRole.User) if good else None

    server = Server(user_manager=Users() if "user" in options else None)
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{options['port']}/")
    if "certificate" in options:
        server.set_security_policy([ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt])
        await server.load_certificate(options["certificate"])
        await server.load_private_key(options["key"])
    else:
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    await server.register_namespace("http://example.com/other")
    space = await server.register_namespace(URI)
    nodes = {}
    for name, value in (("temperature", 20.0), ("pressure", 3.0), ("state", "running")):
        ident = ua.NodeId(name, space)
        nodes[name] = await server.nodes.objects.add_variable(ident, name, value)
    unit = ua.EUInformation(UnitId=4_408_652, DisplayName=ua.LocalizedText("°C"))
    await nodes["temperature"].add_property(0, "EngineeringUnits", unit)
    await nodes["temperature"].add_property(0, "EURange", ua.Range(Low=0.0, High=200.0))

    async def obey(command: dict[str, Any]) -> None:
        if "delete" in command:
            await server.delete_nodes([nodes[command["delete"]]])
            return
        from datetime import UTC, datetime, timedelta

        stamp = datetime.now(UTC) - timedelta(seconds=command.get("age_s", 0.0))
        value = ua.DataValue(
            ua.Variant(command["value"]),
            ua.StatusCode(getattr(ua.StatusCodes, command.get("status", "Good"))),
            SourceTimestamp=stamp,
            ServerTimestamp=datetime.now(UTC),
        )
        await nodes[command["write"]].write_value(value)

    async with server:
        print("done", flush=True)  # noqa: T201 - it is ready
        await _commands(obey)


def main(arguments: list[str]) -> None:
    """Serve until standard input ends."""
    kind, options = arguments
    serve = {"modbus": serve_modbus, "opcua": serve_opcua}[kind]
    asyncio.run(serve(json.loads(options)))
