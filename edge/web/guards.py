"""What every request and every response must keep, whatever its screen: where it comes from, how
often it may come, and which headers protect its page."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from microdot import Request, Response

SUPERVISOR: Final = "172.30.32.2"
"""The only address from which Home Assistant's ingress comes, by its documentation for add-ons."""

PER_MINUTE: Final = 1_200
"""Requests a minute of one session: a page with 500 thumbnails loads twice.  Chosen by hand; effect
not measured."""

ACTIONS_PER_MINUTE: Final = 240
"""Actions a minute of one session: four a second by keyboard.  Chosen by hand; effect not measured.
"""

GUESSES_PER_MINUTE: Final = 10
"""Attempts in vain to open a link a minute of one address.  Chosen by hand; effect not measured."""

BUCKETS_MAX: Final = 1_024
"""Addresses and sessions whose rate is counted.  Chosen by hand; effect not measured."""

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; font-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors {ancestors}"
)
"""No inline script or style, no other origin.  `data:` and `blob:` are pictures that a script made.
"""

RAW_POLICY: Final = "default-src 'none'; sandbox; frame-ancestors 'none'"
"""For measurements, whose bytes come from outside: a browser shows them and runs nothing."""


def set_headers(request: Request, response: Response) -> Response:
    """Add the headers that protect a page."""
    ancestors = "'self'" if via_ingress(request) else "'none'"
    headers = {
        "Content-Security-Policy": POLICY.format(ancestors=ancestors),
        "X-Content-Type-Options": "nosniff",
        # With no-referrer, browsers would send forms with the origin `null`.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
        "Cache-Control": "no-store",
    }
    if not via_ingress(request):
        headers["X-Frame-Options"] = "DENY"
    for name, value in headers.items():
        if name not in response.headers:
            response.headers[name] = value
    return response


def via_ingress(request: Request) -> bool:
    """Return whether a request comes through Home Assistant's ingress."""
    return "X-Ingress-Path" in request.headers and _address(request) == SUPERVISOR


def cookie_path(request: Request) -> str:
    """Return the path of the session's cookie: that of the ingress, or all of the server."""
    given = request.headers.get("X-Ingress-Path", "")
    plain = given.startswith("/") and all(char.isalnum() or char in "/_-." for char in given)
    return given.rstrip("/") + "/" if via_ingress(request) and plain else "/"


def wrong_origin(request: Request, names: Iterable[str]) -> str:
    """Return why a request does not come from the console's own address; empty if it does.

    A page of another site can point its own name at this address (DNS rebinding), so names are
    checked; an address cannot be rebound.  names: accepted in addition to localhost and addresses.
    """
    if "X-Ingress-Path" in request.headers and not via_ingress(request):
        return "only Home Assistant's supervisor may send X-Ingress-Path"
    host = request.headers.get("Host", "")
    if not via_ingress(request) and not _known(host, names):
        return f"this console does not answer to the name {host[:100]!r}"
    if request.method in {"GET", "HEAD"}:
        return ""
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != host:
        return "the request comes from a page of another site"
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return "the request comes from a page of another site"
    return ""


def _known(host: str, names: Iterable[str]) -> bool:
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name.lower() == "localhost" or name.lower() in {one.lower() for one in names}:
        return True
    with suppress(ValueError):
        ipaddress.ip_address(name.strip("[]"))
        return True
    return False


def _address(request: Request) -> str:
    return str(request.client_addr[0])


class RateLimits:
    """Token buckets (Turner 1986) by key: each allows `per_minute` and bursts of as many.

    clock: monotonic seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str) -> bool:
        """Use one of a key's tokens; False if none is left."""
        now = self._clock()
        left, filled_at = self._left.pop(key, (float(self._per_minute), now))
        left = min(left + (now - filled_at) * self._per_minute / 60, float(self._per_minute))
        self._left[key] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > BUCKETS_MAX:
            self._left.popitem(last=False)
        return left >= 1

    def give_back(self, key: str) -> None:
        """Return a key's token: what it was used for does not count."""
        if key in self._left:
            left, filled_at = self._left[key]
            self._left[key] = (left + 1, filled_at)
