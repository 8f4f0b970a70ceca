"""Stored adaptors: whether forgotten facts shaped them, found by training them again."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from ..core import Fact, stack_facts
from ..core.adaptors import AdaptorRecord, Spans, consistent_facts
from ..storage import Store
from .exactness import digest_arrays
from .findings import Finding
from .rehearsal import HomeState
from .shadows import train_again

Answer = Literal["same", "differs", "unknown"]


@dataclass(frozen=True, slots=True, eq=False)
class Retrained:
    """A serving adaptor, and the same blueprint trained again on the facts that it names.

    answer: whether the parameters are the same; "unknown" if that cannot be decided, and then
    `again` is the adaptor itself.
    """

    record: AdaptorRecord
    again: AdaptorRecord
    answer: Answer


def retrain(store: Store, state: HomeState, spans: Spans) -> tuple[Retrained, ...]:
    """Train every serving adaptor again.  Cost: half a second for each at 1,000 facts.

    Facts that it names and that are gone are left out: a twin never had them.
    """
    serving = [versions[0] for versions in store.adaptors().values()]
    alone = len(serving) == 1
    return tuple(_retrained(record, state.facts, spans, alone=alone) for record in serving)


def _retrained(
    record: AdaptorRecord, facts: Mapping[str, Fact], spans: Spans, *, alone: bool
) -> Retrained:
    known = [facts[one] for one in record.facts if one in facts]
    own = stack_facts(one for one in known if one.domain == record.domain)
    others = stack_facts(one for one in known if one.domain != record.domain)
    if not len(own):
        return Retrained(record, record, "unknown")
    try:
        arrays = dict(train_again(record, consistent_facts(own), others, spans).arrays)
    except ImportError:
        return Retrained(record, record, "unknown")
    again = replace(record, arrays=arrays, facts=tuple(sorted(one.id for one in known)))
    if digest_arrays(arrays) == digest_arrays(dict(record.arrays)):
        return Retrained(record, again, "same")
    # Facts that shaped other adaptors are named, too, where these competed for acceptance.
    unclear = len(others) and not (alone or record.provisional)
    corrected = any(one.revision for one in known) or len(known) < len(record.facts)
    if unclear or corrected:
        return Retrained(record, record, "unknown")
    return Retrained(record, again, "differs")


def adaptor_findings(
    store: Store, retrained: tuple[Retrained, ...], forgotten: AbstractSet[str]
) -> Iterator[Finding]:
    """Yield whether stored adaptors name forgotten facts, and whether training again gives the
    parameters of those that serve."""
    records = [one for versions in store.adaptors().values() for one in versions]
    named = [
        one
        for one in records
        if any(key in forgotten or store.was_forgotten(key) for key in one.facts)
    ]
    yield Finding(
        key="adaptor_facts",
        title="Facts that adaptors were grown from",
        evidence="proven",
        outcome="fails" if named else "holds",
        text=f"Adaptors of {_domains(named)} were grown from forgotten facts."
        if named
        else f"None of the {len(records)} stored adaptors names a forgotten fact.",
        todo="Remove them: `auricle rollback DOMAIN`, then `auricle grow`." if named else "",
    )
    if retrained:
        yield _reproduction(retrained)


def _reproduction(retrained: tuple[Retrained, ...]) -> Finding:
    differing = [one.record for one in retrained if one.answer == "differs"]
    unknown = [one.record for one in retrained if one.answer == "unknown"]
    text = f"Training again on the facts that they name gives the same {len(retrained)} adaptors."
    if differing:
        text = (
            f"Training again on the named facts gives other parameters in {_domains(differing)}:"
            " other facts shaped these adaptors."
        )
    elif unknown:
        text = (
            f"The adaptors of {_domains(unknown)} cannot be trained again exactly: facts that they"
            " name are gone or were corrected, facts of other domains had a say, or torch is not"
            " installed."
        )
    return Finding(
        key="adaptors_reproduced",
        title="Adaptors trained again",
        evidence="not covered" if unknown and not differing else "proven",
        outcome="fails" if differing else "open" if unknown else "holds",
        text=text,
        todo="Grow them again: `auricle rollback DOMAIN`, then `auricle grow DOMAIN`."
        if differing or unknown
        else "",
    )


def _domains(records: list[AdaptorRecord]) -> str:
    return ", ".join(sorted({one.domain for one in records}))
