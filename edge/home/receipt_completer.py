"""Completes receipts with what the core cannot see: files of the home, and extremes in the card."""

from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final

from msgspec.structs import replace

import encoder

from ..core import ExcludeFacts, Message, Receipt, Selector
from ..storage import HistoryFile, Store
from .card_extremes import describe_extremes, extreme_columns

MERGED: Final = (
    "ledgers that were merged into this one: their homes keep what they hold; forget it there, too"
)


class ReceiptCompleter:
    """Completes the receipts of a home; one for each opened home."""

    def __init__(
        self, folder: Path, store: Store, card: encoder.Card, history: HistoryFile
    ) -> None:
        self._folder, self._store, self._card, self._history = folder, store, card, history
        self._ordered: set[str] = set()
        self._complete: dict[str, Receipt] = {}

    def order(self, request_id: str) -> None:
        """Note that a request orders the removal of files that hold its facts."""
        self._ordered.add(request_id)

    def excluding(self, effect: ExcludeFacts) -> ExcludeFacts:
        """Return an effect that records what its facts have in common with the card.  This cannot
        be derived once they are erased."""
        found = extreme_columns(self._store, self._card, effect.ids)
        waiting = (one for one in self._store.pending_forgets() if not one.excluded)
        request = effect.request or next(waiting, None)
        if request is None or found <= set(request.extremes):
            return effect
        return replace(effect, request=replace(request, extremes=tuple(sorted(found))))

    def complete(self, receipt: Receipt, ids: AbstractSet[str] = frozenset()) -> Receipt:
        """Return a receipt with the files of the home that may hold its facts, which are removed if
        that was ordered.  ids: of facts that are erased together with the receipt."""
        # Imported with the first request: a start needs no readers of archives.
        from .found_files import search_home
        from .named_texts import NOT_SEARCHED, describe_names, texts_naming

        order = receipt.request_id in self._ordered
        self._ordered.discard(receipt.request_id)
        extremes = extreme_columns(self._store, self._card, ids)
        for one in self._store.pending_forgets():
            if one.receipt.request_id == receipt.request_id:
                order = order or one.remove_files
                extremes |= set(one.extremes)
        found = search_home(
            self._folder,
            self._store,
            remove="all" if order else "own copies",
            ids=ids,
            before_ns=receipt.requested_at_ns,
        )
        texts, whole = texts_naming(self._folder, receipt.selector, {one.path for one in found})
        card = describe_extremes(sorted(extremes), self._store.columns())
        merged = (MERGED,) if self._store.merged else ()
        rest = () if whole else (NOT_SEARCHED,)
        labels = describe_names(self._store.concepts(), receipt.selector.subject or "")
        more = (*receipt.not_covered, *card, *merged, *labels, *rest)
        made = replace(receipt, files=(*found, *texts), not_covered=more)
        self._complete[receipt.request_id] = made
        return made

    def published(self, message: Message) -> Message:
        """Return a message; a receipt as it was completed.  It takes the names of its request out
        of the history."""
        if not isinstance(message, Receipt):
            return message
        self.forget_names(message.selector)
        found = self._complete.pop(message.request_id, message)
        return replace(message, files=found.files, not_covered=found.not_covered)

    def forget_names(self, selector: Selector) -> None:
        """Erase the events of the history that name what a completed forget request named."""
        self._history.erase_names(self._store.name_pattern(selector))
