"""`auricle forget` through the daemon of a home: preview, order, and its receipt in the end."""

import time
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from ...commands import (
    ForgetCommand,
    ForgetPreviewCommand,
    ReceiptsCommand,
    Request,
    Select,
    StatusCommand,
    response_body,
    send_to_daemon,
)
from ...core import ConfigError, Receipt, Selector, TransportError
from ...home import ForgetPreview
from ..label_client import new_id
from ..views import common as views

RECEIPT_S: Final = 900.0
"""Seconds until a receipt: as long as the console waits (edge/web/forget_jobs.py)."""

LOOK_S: Final = 0.2
"""Seconds between two questions for the receipt.  Chosen by hand; effect not measured."""


def daemon_runs(home: Path) -> bool:
    """Return whether a daemon runs for a home."""
    return send_to_daemon(home, StatusCommand(id=new_id())) is not None


def as_select(selector: Selector) -> Select:
    """Return a selector as a command takes it; raises ConfigError for more than it may name."""
    given = {name: getattr(selector, name) for name in Select.__struct_fields__}
    given["ids"] = None if selector.ids is None else sorted(selector.ids)
    try:
        return msgspec.convert(given, Select)
    except msgspec.ValidationError as error:
        raise ConfigError(f"forgetting through the daemon: {error}", "choose fewer facts") from None


def preview_by_daemon(home: Path, selector: Selector) -> ForgetPreview:
    """Return what a request would do."""
    body = _ask(home, ForgetPreviewCommand(id=new_id(), select=as_select(selector)))
    return msgspec.convert(body, ForgetPreview)


def count_by_daemon(home: Path, selector: Selector) -> str:
    """Print what a request would do to series; return what it reaches, in words.  Raises
    ConfigError if it matches nothing."""
    seen = preview_by_daemon(home, selector)
    for one in seen.series:
        click.echo(views.series_effect(one), err=True)
    samples = sum(one.samples for one in seen.series)
    parts = (
        (seen.facts, "facts"),
        (seen.candidates, "observations that wait for a label"),
        (seen.recent, "recent observations"),
        (samples, "samples of series"),
    )
    found = [f"{count} {name}" for count, name in parts if count]
    return ", ".join(found) or "what was recalibrated"


def forget_by_daemon(home: Path, request: ForgetCommand) -> Receipt:
    """Order a request, and wait for its receipt, with the names that it gave.  Raises EdgeError if
    the daemon refuses, TransportError if the receipt does not come in time."""
    found = _ask(home, request)
    until = time.monotonic() + RECEIPT_S
    if found.get("pending"):
        views.errors.print(f"{found['facts']} facts are excluded; the receipt follows")
    problem = ""
    while found.get("pending"):
        if time.monotonic() > until:
            raise TransportError(
                f"waiting for the receipt of {request.id}: {problem or 'it is not complete yet'}",
                "it goes on in the daemon; `auricle inspect` lists it",
            )
        time.sleep(LOOK_S)
        body = _ask(home, ReceiptsCommand(id=new_id()))
        if body["problem"] and body["problem"] != problem:
            problem = body["problem"]
            views.show_warning(f"the request waits: {problem}")
        if not [one for one in body["pending"] if one["request_id"] == request.id]:
            # The same request again gives its receipt.
            found = _ask(home, request)
    return msgspec.convert(found, Receipt)


def _ask(home: Path, request: Request) -> dict[str, Any]:
    answer = send_to_daemon(home, request)
    if answer is None:
        raise TransportError(
            "forgetting through the daemon: it has stopped", "repeat the command: it is idempotent"
        )
    return response_body(answer)
