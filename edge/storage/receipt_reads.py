"""The receipts of a knowledge file, for reading, and what is known under the home's key."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final

from ..core import Concept, Receipt, Selector
from .digest_key import DigestKey
from .receipt_rows import name_pattern, receipt_digest, receipt_from_body, veil_receipt
from .receipt_times import decode_receipts

HASHES_MAX: Final = 1_024
"""Hashes of names kept: of streams, and of the subjects and recordings of the last minutes."""


class ReceiptReads(ABC):
    """The part of a `StoreReader` that reads receipts; it has the attributes named here.

    _key: of the home.  _keys: of tombstones, by number.  _hashes: of the last names.
    """

    _key: DigestKey
    _keys: list[tuple[int, bytes]]
    _hashes: dict[str, str]

    @abstractmethod
    def concepts(self) -> Mapping[Concept, int]:
        """See `facts.Ledger`."""

    @abstractmethod
    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""

    def receipts(self) -> tuple[dict[str, Any], ...]:
        """Return all receipts, oldest first, as `veiled` returns them.  When other devices have
        dropped something is known later than the receipt; the times so far are filled in."""
        rows = self._rows("SELECT body FROM receipts ORDER BY number")
        return tuple(decode_receipts(self._rows, (row[0] for row in rows)))

    def receipt_count(self) -> int:
        """Count the completed forget requests."""
        return int(self._rows("SELECT COUNT(*) FROM receipts")[0][0])

    def receipt(self, request_id: str, selector: Selector) -> Receipt | None:
        """See `facts.Ledger`.  The texts of a request are stored as keyed hashes; the receipt
        contains those of `selector` if their hashes agree.  Raises StateError where the home's key
        cannot be used, before anything is forgotten."""
        self._key.mark()
        rows = self._rows(
            "SELECT body FROM receipts WHERE json_extract(body, '$.request_id') = ?"
            " ORDER BY number DESC LIMIT 1",
            (request_id,),
        )
        if not rows:
            return None
        return receipt_from_body(rows[0][0], selector, self._key, self._keys[0][1])

    def veiled(self, receipt: Receipt) -> Receipt:
        """Return a receipt as it is stored and published: keyed hashes in place of what its request
        named, and of names that the ledger does not hold any more."""
        return veil_receipt(receipt, self._key, self.concepts())

    def hash_name(self, name: str) -> str:
        """Return the hash of a name under the home's key; the last ones are kept."""
        if len(self._hashes) >= HASHES_MAX:
            self._hashes.clear()
        found = self._hashes.get(name)
        if found is None:
            found = self._hashes[name] = self._key.of("name", name)
        return found

    def name_pattern(self, selector: Selector) -> re.Pattern[bytes] | None:
        """Return what finds the names of a forget request in messages, see `name_pattern`."""
        return name_pattern(selector, self.concepts())

    def key_digest(self, request_id: str, digest: str) -> str:
        """See `facts.Ledger`."""
        return receipt_digest(self._key, request_id, digest)
