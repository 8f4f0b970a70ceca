"""Reports of aggregators: which revision of a child each aggregate above it has taken in, and when.

The aggregator that sums a child publishes one for it, retained, and adds to it what the aggregators
above report in turn.  So a device learns when its withdrawal has reached each sum.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from ..core import EdgeError
from ..signing import Count, SignedManifest, Text, read_signed, sign_file
from ..storage import AppliedRow

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

HEAD: Final = b"auricle-applied-1\n"

REPORT_BYTES_MAX: Final = 64 << 10
"""Largest report that is read: sixty levels with names of 200 characters fit."""


class Applied(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An aggregate that holds nothing older of a child than this revision, since a time."""

    aggregate: Text
    revision: Count
    at_ns: Count


class AppliedReport(SignedManifest, frozen=True, kw_only=True):
    """All aggregates above a child.  device: the aggregator that reports.  refused: why the newest
    revision is not summed, empty if it is."""

    device: Text
    child: Text
    applied: tuple[Applied, ...] = ()
    refused: str = ""


def write_report(
    device: str,
    child: str,
    rows: Iterable[AppliedRow],
    refused: str,
    key: "Ed25519PrivateKey | None",
) -> bytes:
    """Encode the report of an aggregator for one of its children."""
    applied = tuple(
        Applied(aggregate=one.aggregate, revision=one.revision, at_ns=one.at_ns) for one in rows
    )
    report = AppliedReport(device=device, child=child, applied=applied, refused=refused)
    return sign_file(HEAD, report, b"", key)


def read_report(raw: bytes, child: str, keys: "Mapping[str, Ed25519PublicKey]") -> AppliedReport:
    """Decode and verify a report for a child; raises EdgeError with the reason."""
    if len(raw) > REPORT_BYTES_MAX:
        raise EdgeError(f"reading a report of an aggregator: {len(raw)} bytes are too many", "")
    report, _ = read_signed(HEAD, raw, AppliedReport, lambda one: one.device, keys)
    if report.child != child:
        raise EdgeError(f"reading a report of an aggregator: it is for {report.child}", "")
    return report


def find_other_of_name(report: AppliedReport, newest: int) -> str:
    """Return why an aggregator does not sum what this child published last, at the revision
    `newest`, though it has refused nothing: it holds a revision of the child's name that the child
    has never published.  Empty if it does not."""
    rows = [one.revision for one in report.applied if one.aggregate == report.device]
    found = max(rows, default=0)
    if found <= newest:
        return ""
    return (
        f"{report.device} holds revision {found} of {report.child}, newer than {newest}, the last"
        " one from here: another home publishes under this name, or this one is from a backup"
    )
