"""Generalisation of forgetting: held-out mates of the forgotten facts, answered as by a twin.

After Zhang et al. 2024, "Unforgettable generalization in language models", section 3: forgetting
some examples of a task may or may not carry over to others of the same task that were held out.
Exact forgetting carries over exactly as far as never having seen the examples does.
"""

from collections.abc import Iterable
from typing import Final

import numpy as np

from ..core import Fact, FactBatch, hash_rank, stack_facts
from .answers import freeze
from .findings import Figure, Finding
from .rehearsal import HomeState, Rehearsal

SOURCE: Final = "Zhang et al. 2024, Unforgettable generalization in language models, section 3"

MATES_MAX: Final = 100
"""Most facts that are held out.  Chosen by hand; effect not measured."""

SHARE: Final = 0.2
"""Share of a concept's retained facts that is held out.  Chosen by hand; effect not measured."""


def choose_mates(forgotten: Iterable[Fact], retained: Iterable[Fact]) -> tuple[Fact, ...]:
    """Return some retained facts of the same labels as forgotten ones, by hashes of their ids."""
    labels = {fact.label for fact in forgotten}
    alike = [fact for fact in retained if fact.label in labels]
    alike.sort(key=lambda fact: hash_rank(f"mate {fact.id}"))
    return tuple(alike[: min(MATES_MAX, int(SHARE * len(alike)))])


def generalisation_finding(
    state: HomeState, forgotten: tuple[Fact, ...], retained: tuple[Fact, ...]
) -> Finding | None:
    """Rehearse with held-out mates: learn all but them, forget, and compare the answers on them
    with those of a twin.  Returns None if no retained fact has a label of a forgotten one."""
    mates = choose_mates(forgotten, retained)
    if not mates:
        return None
    held = {fact.id for fact in mates}
    kept = tuple(fact for fact in retained if fact.id not in held)
    rows = stack_facts(mates)
    home = Rehearsal(state, (*kept, *forgotten))
    domains = sorted({fact.domain for fact in (*forgotten, *mates)})
    before = freeze(home.runtime.knowledge, domains).accuracy(rows)
    home.forget({fact.id for fact in forgotten}, "audit generalisation")
    twin = Rehearsal(state, kept)
    models = [freeze(one.runtime.knowledge, domains) for one in (home, twin)]
    return _finding(rows, before, *(model.margins(rows) for model in models))


def _finding(rows: FactBatch, before: float, served: np.ndarray, twin: np.ndarray) -> Finding:
    differing = int((served != twin).sum())
    return Finding(
        key="generalisation",
        title="Held-out mates of the forgotten facts",
        evidence="tested",
        outcome="fails" if differing else "holds",
        text=f"{differing} of {len(rows)} held-out facts with the same labels differ in their"
        " answers from the twin's."
        if differing
        else f"All {len(rows)} held-out facts with the same labels are answered exactly as by a"
        " twin that never saw the forgotten ones.",
        source=SOURCE,
        figures=(
            Figure(name="right before", value=100 * before, unit="%"),
            Figure(name="right after", value=100 * float((served > 0).mean()), unit="%"),
            Figure(name="right, twin", value=100 * float((twin > 0).mean()), unit="%"),
        ),
    )
