"""Knowledge on the move: backup put back, facts exported, another ledger merged."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core import Ack, EdgeError, Enrol, StateError
from .actions import after, told
from .durable import SIDE_FILES, discard, place, sync_folder
from .files import WriterLock, guarded
from .home import Home, read_settings
from .store import Store


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did.  count: facts new or changed; detail: what became of the others;
    forgotten: own facts that the other ledger had forgotten."""

    count: int
    detail: str
    forgotten: int
    knowledge_digest: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did.  kept: where the file before it lies now, or nothing; forgotten: facts of
    the backup that had been forgotten since, and are again."""

    file: str
    kept: str
    forgotten: int


def export_facts(store: Store, target: Path) -> int:
    """Write all facts to a new .npz, durably; `auricle learn` in a home of the same card takes them
    back as they are, and numpy reads them.  Returns the number of facts.

    `features`: uint8 [n, width] as quantised; `card`: the fingerprint of their encoder card.
    """
    if target.exists():
        raise StateError(f"exporting to {target}: the file exists already", "choose another name")
    facts = [fact for page in store.pages() for fact in page]
    width = len(facts[0].features) if facts else 0
    rows = np.frombuffer(b"".join(fact.features for fact in facts), np.uint8)
    names = ("id", "stream", "domain", "label", "subject")
    columns = {name: np.array([getattr(fact, name) for fact in facts], np.str_) for name in names}
    fresh = target.with_name(target.name + ".new")
    try:
        with guarded(target, "exporting to"), fresh.open("wb") as file:
            np.savez_compressed(
                file,
                card=np.array(store.card_fingerprint),
                features=rows.reshape(len(facts), width),
                captured_at_ns=np.array([fact.captured_at_ns for fact in facts], np.int64),
                revision=np.array([fact.revision for fact in facts], np.int64),
                **columns,
            )
        with guarded(target, "exporting to"):
            place(fresh, target)
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    return len(facts)


def merge_store(home: Home, other: Store) -> Merged:
    """Take in another store's facts; what either has forgotten stays forgotten here.

    A home without a geometry of its own takes the other's.
    """
    if other.card_fingerprint != home.store.card_fingerprint:
        raise StateError(
            f"merging {other.path}: its features come from another encoder card",
            "merge ledgers of the same card only",
        )
    forgotten = home.bury_from(other)
    home.adopt_geometry(other)
    facts = tuple(fact for page in other.pages() for fact in page)
    ack: Ack = told(home.feed(Enrol(facts)))
    digest = after(f"{ack.count} facts were taken in and kept", home.stamp)
    return Merged(ack.count, ack.detail, forgotten, digest)


def restore_home(folder: Path, backup: Path) -> Restored:
    """Put a backup in the place of a home's knowledge file, under the writer's lock.

    The file in the way, if any, is kept beside it; what it had forgotten is forgotten again.
    """
    target = folder / read_settings(folder).knowledge.file
    lock = WriterLock(target)
    try:
        kept = replace_store(backup, target)
    finally:
        lock.release()
    forgotten = _forget_again(folder, kept) if kept is not None else 0
    return Restored(str(target), str(kept or ""), forgotten)


def replace_store(backup: Path, target: Path) -> Path | None:
    """Put a checked copy of a backup in the place of a knowledge file nobody has open; returns
    where the file before it lies now.

    The old file moves with its log and before the new one comes: SQLite would apply a log left
    behind to the new file.
    """
    fresh = target.with_name(target.name + ".new")
    with guarded(target, "restoring"):
        discard(fresh)
        try:
            with Store.open(backup, writable=False) as store:
                complaints = store.check()
                if complaints:
                    raise StateError(
                        f"restoring {backup}: it is damaged: {complaints[0]}", "use an older backup"
                    )
                store.backup(fresh)
            kept = _move_away(target) if target.exists() else None
            place(fresh, target)
        finally:
            discard(fresh)
    return kept


def _move_away(target: Path) -> Path:
    """Rename a database with its log to the first free name `.before-restore...`."""
    number = 1
    while (kept := target.with_name(f"{target.name}.before-restore-{number}")).exists():
        number += 1
    for suffix in ("", *SIDE_FILES):
        part = target.with_name(target.name + suffix)
        if part.exists():
            part.replace(kept.with_name(kept.name + suffix))
    sync_folder(target.parent)
    return kept


def _forget_again(folder: Path, kept: Path) -> int:
    """Forget in the restored file what the one before it had forgotten; nothing where that one is
    damaged or of another card."""
    try:
        before = Store.open(kept, writable=False)
    except EdgeError:
        return 0
    with before, Home(folder) as home:
        if before.card_fingerprint != home.store.card_fingerprint:
            return 0
        forgotten = home.bury_from(before)
        home.stamp()
    return forgotten
