"""When other devices dropped what a receipt names: known later than the receipt, and filled in when
it is read."""

from collections.abc import Iterable
from typing import Any

import msgspec

from .fact_reads import RowReader
from .publications import WITHDRAWN, Withdrawal


def decode_receipts(rows: RowReader, bodies: Iterable[str]) -> list[dict[str, Any]]:
    """Return stored receipts as data, with the times known so far.  rows: runs a query."""
    meta = rows("SELECT value FROM meta WHERE name = ?", (WITHDRAWN,))
    body = bytes(meta[0][0]) if meta else b""
    held = msgspec.json.decode(body, type=tuple[Withdrawal, ...]) if body else ()
    times = {one.order_id: one.dropped for one in held}
    receipts = [msgspec.json.decode(one) for one in bodies]
    for receipt in receipts:
        for order in receipt.get("devices", ()):
            found = times.get(order["order_id"], {}).get(order["device"], 0)
            if found:
                order["dropped_at_ns"] = found
    return receipts
