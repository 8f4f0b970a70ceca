"""Facts that are wrong in the same way as a few that a person names, on real digits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from edge.analysis import find_alike, find_suspicious, named_mistakes, suspicious
from edge.analysis.learned import Domain, Learned

FACTS = 600


def confused() -> tuple[Learned, set[str]]:
    """Digits in two domains, of which half the threes are called eights, and the ids of these."""
    digits, random = load_digits(), np.random.default_rng(0)
    told = digits.target[:FACTS].copy()
    threes = np.flatnonzero(told == 3)
    wrong = random.choice(threes, len(threes) // 2, replace=False)
    told[wrong] = 8
    domains = []
    for number, name in enumerate(("desk", "lab")):
        at = np.arange(number, FACTS, 2)
        labels, given = np.unique(told[at].astype(str), return_inverse=True)
        domains.append(
            Domain(
                name=name,
                ids=tuple(f"f{row}" for row in at),
                features=(digits.data[at] * 15).astype(np.uint8),
                labels=tuple(map(str, labels)),
                given=given,
                groups=np.arange(len(at)),
            )
        )
    return Learned(tuple(domains), FACTS), {f"f{row}" for row in wrong}


def test_a_few_named_mistakes_find_the_others() -> None:
    """Three of 30 wrong labels are named: three quarters of the others are found, in both domains,
    and half of what is found is wrong; without names next to none is found."""
    learned, wrong = confused()
    named = set(sorted(wrong)[:3])
    found = find_alike(learned, named)
    ids = {one.id for one in found}
    assert not ids & named
    assert len(ids & wrong) >= 0.75 * len(wrong - named)
    assert len(ids & wrong) >= 0.5 * len(ids)
    assert {one.domain for one in found} == {"desk", "lab"}
    assert {one.label for one in found} == {"8"}
    blind = {one.id for one in find_suspicious(learned)} & (wrong - named)
    assert len(blind) < len(ids & wrong) / 2


def test_many_facts_are_judged_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Facts beyond one solve are judged in parts, each with the named ones, and found as well."""
    learned, wrong = confused()
    named = set(sorted(wrong)[:3])
    monkeypatch.setattr(named_mistakes, "LEFT_OUT_MAX", 300)
    ids = {one.id for one in find_alike(learned, named)}
    assert len(ids & wrong) >= 0.6 * len(wrong - named)


def test_without_known_names_nothing_is_found() -> None:
    """Ids that are no facts, and an empty home, give an empty list."""
    learned, _ = confused()
    assert find_alike(learned, {"nowhere"}) == []
    assert find_alike(Learned((), 0), {"nowhere"}) == []
    assert suspicious.find_suspicious(Learned((), 0)) == []
