"""Transfer of knowledge: restore a backup, export facts, merge another ledger."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import encoder

from ..config import read_settings
from ..core import EdgeError, Enrol, Fact, StateError, columns_differ, unnamed_side
from ..storage import (
    Store,
    WriterLock,
    copy_updated,
    guard_errors,
    remove_file,
    replace_file,
    sync_folder,
)
from .actions import acknowledged, after_change
from .home import Home
from .input_model import open_encoder


@dataclass(frozen=True, slots=True)
class MergeSummary:
    """The result of a merge.  count: new or changed facts; detail: outcome of the others;
    forgotten: own facts that the other ledger had forgotten."""

    count: int
    detail: str
    forgotten: int
    knowledge_digest: str


@dataclass(frozen=True, slots=True)
class RestoreSummary:
    """The result of a restore.  kept: path of the replaced file, or ''; forgotten: facts of the
    backup that had been forgotten since and were forgotten again."""

    file: str
    kept: str
    forgotten: int


def export_facts(store: Store, target: Path) -> int:
    """Write all facts to a new .npz, durably.  Returns the number of facts.

    `auricle learn` imports them unchanged into a home of the same card, and numpy reads them.
    `features`: uint8 [n, width], quantised; `card`: fingerprint of their encoder card; `columns`:
    names of the encoder's input columns, if it has any.
    """
    if target.exists():
        raise StateError(f"exporting to {target}: the file exists already", "choose another name")
    facts = [fact for page in store.pages() for fact in page]
    fresh = target.with_name(target.name + ".new")
    try:
        with guard_errors(target, "exporting to"), fresh.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **_arrays(facts, store))
        with guard_errors(target, "exporting to"):
            replace_file(fresh, target, private=True)
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    return len(facts)


def _arrays(facts: list[Fact], store: Store) -> dict[str, NDArray[Any]]:
    rows = np.frombuffer(b"".join(fact.features for fact in facts), np.uint8)
    texts = ("id", "stream", "domain", "label", "subject", "recording")
    numbers = ("captured_at_ns", "revision")
    columns = store.columns()
    return {
        "card": np.array(store.card_fingerprint),
        **({"columns": np.array(columns, np.str_)} if columns else {}),
        "features": rows.reshape(len(facts), len(facts[0].features) if facts else 0),
        **{name: np.array([getattr(fact, name) for fact in facts], np.str_) for name in texts},
        **{name: np.array([getattr(fact, name) for fact in facts], np.int64) for name in numbers},
    }


def merge_store(home: Home, other: Store) -> MergeSummary:
    """Merge another store's facts; facts that either has forgotten stay forgotten."""
    if other.card_fingerprint != home.store.card_fingerprint:
        raise StateError(
            f"merging {other.path}: its features come from another encoder card",
            "merge ledgers of the same card only",
        )
    own, others = home.store.columns(), other.columns()
    wrong = columns_differ(own, others)
    if wrong:
        raise StateError(
            f"merging {other.path}: {wrong}", "merge ledgers of the same columns, in the same order"
        )
    forgotten = home.forget_buried(other)
    facts = tuple(fact for page in other.pages() for fact in page)
    ack = acknowledged(home.feed(Enrol(facts)))
    # Afterwards: the other's facts need not bow to its own tombstones, only to those here.
    home.store.adopt_tombstones(other)
    digest = after_change(f"{ack.count} facts were merged and kept", home.refit_geometry)
    detail = "; ".join(filter(None, (ack.detail, unnamed_side(own, others))))
    return MergeSummary(ack.count, detail, forgotten, digest)


def restore_home(folder: Path, backup: Path) -> RestoreSummary:
    """Replace a home's knowledge file with a backup, under the writer's lock.

    The replaced file is kept under another name; facts that it had forgotten are forgotten again.
    """
    settings = read_settings(folder)
    target = folder / settings.knowledge.file
    with open_encoder(folder, settings) as model:
        card = model.card
    lock = WriterLock(target)
    try:
        kept = replace_store(backup, target, card)
    finally:
        lock.release()
    with Store.open(target, card) as store:
        store.renew_key()
    forgotten = _forget_again(folder, kept) if kept is not None else 0
    # An erasure removes old copies, including this one.
    return RestoreSummary(str(target), str(kept) if kept and kept.exists() else "", forgotten)


def replace_store(backup: Path, target: Path, card: encoder.Card) -> Path | None:
    """Replace a closed knowledge file with a checked copy of a backup; returns the new path of the
    replaced file.  card: of the encoder in use, which must be the backup's.

    The old file is moved first, with its log: SQLite would apply a remaining log to the new file.
    """
    fresh, updated = (target.with_name(target.name + end) for end in (".new", ".updated"))
    with guard_errors(target, "restoring"):
        remove_file(fresh)
        remove_file(updated)
        try:
            with Store.open(copy_updated(backup, updated), card, writable=False) as store:
                complaints = store.check()
                if complaints:
                    raise StateError(
                        f"restoring {backup}: it is damaged: {complaints[0]}", "use an older backup"
                    )
                store.backup(fresh)
            kept = _move_away(target)
            replace_file(fresh, target, private=True)
        finally:
            remove_file(fresh)
            remove_file(updated)
    return kept


def _move_away(target: Path) -> Path | None:
    """Rename a database, or its remains after an interrupted restore, to the first free name
    `.before-restore-...`; None without a file."""
    if target.is_dir():
        raise StateError(f"restoring {target}: a folder is in the way", "move it away")
    _with_suffix(target, "-shm").unlink(missing_ok=True)
    number = 1
    while (kept := target.with_name(f"{target.name}.before-restore-{number}")).exists():
        number += 1
    parts = [suffix for suffix in ("", "-wal") if _with_suffix(target, suffix).exists()]
    for suffix in parts:
        _with_suffix(target, suffix).replace(_with_suffix(kept, suffix))
    sync_folder(target.absolute().parent)
    return kept if parts else None


def _with_suffix(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _forget_again(folder: Path, kept: Path) -> int:
    """Forget in the restored file the facts that the replaced one had forgotten, copy what it had
    published, and its column names if the backup has none; do nothing if that one is damaged or of
    another card.

    A forget request since the backup may have covered its recalibration, which is then dropped, and
    facts in the records of actions, which are always dropped.
    """
    try:
        before = Store.open(kept, writable=False)
    except EdgeError:
        return 0
    with before, Home(folder) as home:
        if before.card_fingerprint != home.store.card_fingerprint:
            return 0
        if before.columns() and not home.store.columns():
            home.store.name_columns(before.columns(), home.model.card)
        if before.receipt_count() > home.store.receipt_count() and home.store.recalibrations():
            home.store.drop_recalibrations()
        home.store.action_records.drop()
        home.store.publications.adopt(before.publications)
        forgotten = home.forget_buried(before)
        home.store.adopt_tombstones(before)
        home.stamp()
    return forgotten
