"""Telling systemd how the service stands (sd_notify(3)), without a library.

Without NOTIFY_SOCKET in the environment nothing is sent.
"""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

US: Final = 1_000_000


class SystemdNotifier:
    """Speaks to the service manager.  environment: where the manager says how to reach it."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        self._status = ""
        period_us = environment.get("WATCHDOG_USEC", "")
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        given = period_us.isascii() and period_us.isdigit() and ours
        # Half the period, as sd_watchdog_enabled(3) recommends.
        self.watchdog_s = int(period_us) / US / 2 if given else 0.0

    def ready(self) -> None:
        """All is open, and the loop turns."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Settings are read again; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The service ends."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """The work loop has turned."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Say in a line what is going on, where it has changed."""
        line = " ".join(text.split())
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, text: str) -> None:
        if not self._address:
            return
        # A leading @ stands for the abstract namespace.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        # A manager that is gone is no reason to stop serving.
        with suppress(OSError):
            if self._socket is None:
                self._socket = socket.socket(
                    socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
                )
                self._socket.setblocking(False)  # noqa: FBT003 - its name
            self._socket.sendto(text.encode(), address)
