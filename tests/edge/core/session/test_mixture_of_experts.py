from __future__ import annotations

from dataclasses import replace

import hdc
from edge.core.knowledge.knowledge import derive_knowledge
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.session.mixture_of_experts import mix_experts
from tests.worlds import clouds, fact

WIDE = 64


def test_the_nearer_domain_has_more_say():
    """Two domains that disagree: the one a sample is nearer to decides."""
    rows = clouds((1, 2), 8, width=WIDE)
    facts = []
    for domain, names in (("one", "ab"), ("two", "ba")):
        facts += [
            replace(fact(f"{domain}{at:02}", names[at // 8], domain), features=row.tobytes())
            for at, row in enumerate(rows)
        ]
    knowledge = derive_knowledge(MemoryLedger(facts), hdc.identity_geometry(WIDE, ((0, WIDE),), 1))
    for near, label in (({"one": 0, "two": 9000}, "a"), ({"one": 9000, "two": 0}, "b")):
        assert mix_experts(near, rows[0], knowledge) == label


def test_domains_with_different_labels_answer_together():
    """A label that only one of the nearest domains knows can win."""
    rows = clouds((1, 2), 8, width=WIDE)
    facts = [
        replace(fact(f"r{at:02}", "ab"[at // 8], ("one", "two")[at // 8]), features=row.tobytes())
        for at, row in enumerate(rows)
    ]
    knowledge = derive_knowledge(MemoryLedger(facts), hdc.identity_geometry(WIDE, ((0, WIDE),), 1))
    assert mix_experts({"one": 0, "two": 0}, rows[12], knowledge) in {"a", "b"}
