"""The console's side of the control socket: one JSON line each way, without threads.

Each question has a connection of its own, and few are open at once, so that the console leaves most
of the daemon's connections to other programs.
"""

import asyncio
import os
import secrets
import socket
from pathlib import Path
from typing import Any, Final

import msgspec

SOCKET: Final = "auricle.sock"
REPLY_BYTES_MAX: Final = 16 << 20
"""Longest answer, as in edge/commands/control_socket.py."""

CONNECTIONS_MAX: Final = 4
"""Questions at once: half of the clients that the daemon serves."""

ANSWER_S: Final = 15.0
"""Seconds until an answer: as long as the command line waits."""


class AskError(Exception):
    """A question without the wanted answer.  reason, hint: for the page."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason, self.hint = reason, hint


class DaemonOfflineError(AskError):
    """No daemon answers."""


class DaemonClient:
    """Asks the daemon of a home.  folder: the home."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._free = asyncio.Semaphore(CONNECTIONS_MAX)

    async def ask(self, verb: str, fields: dict[str, Any], wait_s: float = ANSWER_S) -> Any:
        """Return the body of an answer.

        Raises AskError if the daemon refuses, DaemonOfflineError if none answers in time.
        """
        request = {"verb": verb, "id": secrets.token_hex(16)} | fields
        try:
            async with self._free, asyncio.timeout(wait_s):
                line = await self._exchange(msgspec.json.encode(request) + b"\n")
        except TimeoutError:
            raise DaemonOfflineError(
                f"the daemon has not answered for {wait_s:g} s", "it may be starting or busy"
            ) from None
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
            raise DaemonOfflineError(
                "the daemon is not responding", "it may be stopped or starting"
            ) from error
        answer = msgspec.json.decode(line)
        if not answer.get("done"):
            raise AskError(str(answer.get("reason")), str(answer.get("hint") or ""))
        return answer.get("body") or {}

    async def _exchange(self, line: bytes) -> bytes:
        reader, writer = await self._connect()
        try:
            writer.write(line)
            await writer.drain()
            return await reader.readuntil(b"\n")
        finally:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect.  An address has at most 107 bytes (unix(7)), so the folder is given by its file
        descriptor."""
        descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.settimeout(0.0)
                address = f"/proc/self/fd/{descriptor}/{SOCKET}"
                await asyncio.get_running_loop().sock_connect(connection, address)
            except BaseException:
                connection.close()
                raise
        finally:
            os.close(descriptor)
        return await asyncio.open_unix_connection(sock=connection, limit=REPLY_BYTES_MAX)
