from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge.core.domain_merges import DomainMerge
from edge.core.events import Acknowledgement, LabelRequest
from edge.daemon.chronicle import Chronicle, _request
from edge.daemon.recent_messages import RecentMessages
from edge.storage.history_file import HistoryFile


def test_a_merge_of_domains_is_an_event_that_a_forget_erases(tmp_path: Path) -> None:
    """The device's own merge is reported without the observation at which it happened; forgetting
    that observation erases the event; other acknowledgements leave none."""
    merge = DomainMerge(id="gate:1-7", source="domain-2", target="hall", at_ns=5, fact_ids=("a",))
    recent = RecentMessages()
    recent.add(1, 5, Acknowledgement(merge.id, 1, str(merge)))
    recent.add(2, 6, Acknowledgement("gate:1-8", 1, "replaced nothing"))
    history = HistoryFile(tmp_path / "history.db", writable=True)
    slot: Any = SimpleNamespace(home=SimpleNamespace(history=history))
    Chronicle({"": cast("Any", slot)}, recent).write()
    (event,) = history.read()
    assert event.kind == "merge"
    assert event.text == "The device merged domain-2 into hall, 1 fact moved"
    assert merge.id not in str(event)
    history.erase([merge.id])
    assert history.read() == ()
    history.close()


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (1, "1 observation of gate is worth a label (yard)"),
        (1_200, "1,200 observations of gate are worth a label (yard)"),
    ],
)
def test_a_count_and_its_noun_agree(count: int, text: str) -> None:
    """One observation is not "1 observations"."""
    ids = tuple(map(str, range(count)))
    request = LabelRequest(stream="gate", domain="yard", observation_ids=ids)
    assert _request(1, request).text == text
