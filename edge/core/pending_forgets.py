"""Forget requests that are not complete: their facts are excluded, their receipt is not issued yet.

A request is carried out in three steps.  It is made durable, with the first of its facts erased in
the same transaction; the others follow a slice at a time.  What the facts have shaped serves no
more, and is derived again beside serving.  Once it is complete, the receipt is stored and the
record of the request goes.
"""

from typing import Literal

import msgspec

from .receipt import DuplicateGuard, Receipt, SeriesRange
from .structs import FrozenStruct

ForgetState = Literal["excluded", "deriving"]


class PendingForget(FrozenStruct, frozen=True, kw_only=True):
    """A forget request that was accepted.

    receipt: with everything that is known before the derivations; its selector names what is
    forgotten, so it must not outlast the request.  domains: with facts of it.  unlabelled: ids of
    observations that it matches besides facts.  refits: it wants a geometry fitted without its
    facts.  shaped: the geometry in use may have been fitted to facts of it.  renames: domains that
    name its subject and keep facts, with their new names.  remove_files: it orders the removal of
    files that hold its facts.  extremes: columns in which an erased fact of it was at an end of the
    range of the encoder card, as far as they are known.
    """

    receipt: Receipt
    domains: tuple[str, ...]
    unlabelled: tuple[str, ...] = ()
    refits: bool = True
    shaped: bool = False
    renames: tuple[tuple[str, str], ...] = ()
    remove_files: bool = False
    extremes: tuple[int, ...] = ()

    @property
    def excluded(self) -> bool:
        """Whether none of its facts is left in the ledger."""
        return bool(self.receipt.excluded_at_ns)


class AdvanceForget(msgspec.Struct, frozen=True):
    """Continue the pending forget requests: erase the next facts, take in what was derived, or
    complete them.  Send it often while there are any.  at_ns: now."""

    at_ns: int = 0


class ExcludeFacts(FrozenStruct, frozen=True):
    """Ids to erase as `EraseFacts` does, before there is a receipt.  request: to be recorded in the
    same transaction; None for a later slice of it.  duplicates, contents, ranges: see
    `EraseFacts`."""

    ids: tuple[str, ...]
    request: PendingForget | None = None
    duplicates: DuplicateGuard = "off"
    contents: tuple[bytes, ...] = ()
    ranges: tuple[SeriesRange, ...] = ()


class RenameDomain(msgspec.Struct, frozen=True):
    """Another name for a domain wherever it is named besides its facts, which have it already."""

    old: str
    new: str


class CompleteForget(FrozenStruct, frozen=True, eq=False):
    """The receipt of a pending request, to be stored in place of its record; the remains of its
    facts in the file are overwritten then."""

    receipt: Receipt


class ForgetProgress(FrozenStruct, frozen=True, kw_only=True):
    """How far a pending request is.  deriving: the parts that are derived again."""

    request_id: str
    requested_at_ns: int
    state: ForgetState
    deriving: tuple[str, ...]
    facts: int
