"""The clusters to name, found beside the decisions: they would wait a tenth of a second."""

import threading
from collections.abc import Sequence

from ..core import ColumnSearch, LabelColumn
from ..logs import log


class ColumnFinder:
    """Finds columns in a thread, once `start` was called.  found: what it has found, once it is not
    `active` any more; None if that failed.

    The thread keeps its priority: one of a low priority could be stopped while it holds Python's
    lock, for which decisions wait.
    """

    def __init__(self, searches: Sequence[ColumnSearch]) -> None:
        self.found: tuple[LabelColumn, ...] | None = None
        self._searches = searches
        self._thread = threading.Thread(target=self._work, name="columns", daemon=True)

    def start(self) -> None:
        """Start the search, once."""
        self._thread.start()

    @property
    def active(self) -> bool:
        """True while columns are looked for."""
        return self._thread.is_alive()

    def _work(self) -> None:
        try:
            self.found = tuple(one for search in self._searches for one in search.find())
        except Exception:
            log.exception("columns_not_found")
