"""Status notifications to systemd (sd_notify(3)), without a library.

Without NOTIFY_SOCKET in the environment nothing is sent.
"""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

US_PER_S: Final = 1_000_000
"""Microseconds in a second: WATCHDOG_USEC counts them."""


class SystemdNotifier:
    """Notifies the service manager.  environment: holds the address of its socket."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        self._status = ""
        period_us = environment.get("WATCHDOG_USEC", "")
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        given = period_us.isascii() and period_us.isdigit() and ours
        # Half the period, as sd_watchdog_enabled(3) recommends.
        self.watchdog_s = int(period_us) / US_PER_S / 2 if given else 0.0

    def ready(self) -> None:
        """Report that start-up or a reload is complete."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Report that settings are read again; `ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the service stops."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Reset the watchdog."""
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Report a line of status if it has changed."""
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
        # The daemon serves on without its manager.
        with suppress(OSError):
            if self._socket is None:
                self._socket = socket.socket(
                    socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
                )
                self._socket.setblocking(False)  # noqa: FBT003 - its name
            self._socket.sendto(text.encode(), address)
