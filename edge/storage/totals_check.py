"""Totals of concepts and ranks of facts: compared with the facts when a file is opened, and derived
from these again where they are damaged."""

import sqlite3
from pathlib import Path
from typing import Final

from ..core import DIGEST_BITS, StateCorruptError
from .concept_totals import DIGEST_BYTES
from .database import guard_errors, transaction
from .fact_reads import DAMAGED
from .schema import add_functions

FILL: Final = (
    "INSERT INTO concepts SELECT domain, label, COUNT(*), digest_of(id, stream, domain, label,"
    " captured_at_ns, features, subject, revision, recording) FROM facts GROUP BY domain, label"
)
STEPS: Final = (
    "DELETE FROM concepts",
    FILL,
    "DELETE FROM ranks",
    "INSERT INTO ranks SELECT domain, rank_of(id), id FROM facts ORDER BY 1, 2, 3",
)
"""Derive both tables from the facts, as the migration that made them does; see `add_functions`."""

COUNTED: Final = ("SELECT COUNT(*) FROM facts", "SELECT COUNT(*) FROM ranks")
PRESENT: Final = ("SELECT EXISTS (SELECT 1 FROM facts)", "SELECT EXISTS (SELECT 1 FROM ranks)")
"""How many facts and ranks there are, and whether there are any."""

WRONG: Final = "the totals of its concepts or the ranks of its facts are damaged"

READ_ONLY: Final = (
    "no fact is lost: start the daemon, or run a command that changes the home, such as"
    " `auricle learn`; both are derived again"
)


def settle_totals(path: Path, db: sqlite3.Connection, *, writable: bool, counts: bool) -> None:
    """Derive totals and ranks again if they do not add up to the digest that was written of all
    facts, and (counts) to their number.

    Raises StateCorruptError if the file is only read, or if the facts are damaged, too.  Cost: the
    rows of `concepts`; counts: a pass over two indexes, 80 MB for a million facts.  Deriving takes
    a pass over the facts.
    """
    with guard_errors(path, "opening"):
        agree = _agree(db, counts=counts)
    if agree:
        return
    if not writable:
        raise StateCorruptError(f"opening {path}: {WRONG}", READ_ONLY)
    add_functions(db)
    with transaction(db, path, "deriving totals and ranks again"):
        for step in STEPS:
            db.execute(step)
        _require_agreement(path, db)


def _require_agreement(path: Path, db: sqlite3.Connection) -> None:
    if not _agree(db, counts=True):
        wrong = f"{WRONG}, and so are the facts"
        raise StateCorruptError(f"opening {path}: {wrong}", DAMAGED)


def _agree(db: sqlite3.Connection, *, counts: bool) -> bool:
    """Return whether digests and numbers of concepts add up to those of all facts; without counts,
    digests alone, and whether all of the tables are empty or none is."""
    numbers = COUNTED if counts else PRESENT
    facts, ranks = (db.execute(one).fetchone()[0] for one in numbers)
    written = db.execute("SELECT value FROM meta WHERE name = 'digest'").fetchone()
    counted = total = 0
    for count, digest in db.execute("SELECT facts, digest FROM concepts"):
        if not (isinstance(count, int) and isinstance(digest, bytes)):
            return False
        if count < 1 or len(digest) != DIGEST_BYTES:
            return False
        counted, total = counted + count, total + int.from_bytes(digest, "big")
    expected = int.from_bytes(written[0] if written else b"", "big")
    known = counted if counts else counted > 0
    return bool(facts == ranks == known) and total % (1 << DIGEST_BITS) == expected
