"""Choosing facts to forget by an example, or because their labels contradict the rest."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from ...analysis import SuspiciousLabel, find_alike, find_suspicious, read_learned
from ...core import ConfigError, Selector
from ...home import Home, find_alike_facts
from ..views.choice_page import choice_page
from ..views.choices import Choice, ask_which, facts_alike, show_choices
from ..views.common import errors


def choose_like(home: Home, path: Path) -> Selector:
    """Show the facts and concepts most like the examples under a path, ask which are meant, and
    return the selector of these facts."""
    alike = find_alike_facts(home, path)
    choices = [*facts_alike(alike), *_concepts(home, [(o.domain, o.label) for o in alike.concepts])]
    return Selector(ids=_ask(home, choices, "forget which"))


def choose_suspects(home: Home, named: Collection[str]) -> Selector:
    """Show the facts whose labels are probably wrong, ask which are, and return the selector of
    these and of the named facts.

    named: facts whose labels are known to be wrong; the others are those that are wrong in the same
    way.  Without any, those that contradict the other facts of their domain.
    """
    unknown = [key for key in named if home.store.get(key) is None]
    if unknown:
        raise ConfigError(
            f"looking for suspicious labels: there is no fact {unknown[0]!r}",
            "name facts that are learned; `auricle inspect` lists concepts",
        )
    learned = read_learned(home.store, named)
    found = find_alike(learned, named) if named else find_suspicious(learned)
    choices = list(_suspects(found))
    if not choices:
        if not named:
            raise ConfigError(
                "looking for suspicious labels: no label contradicts the other facts",
                "name a few facts that are wrong with --id, to find those that are alike",
            )
        return Selector(ids=frozenset(named))
    more = f" besides the {len(named)} named" if named else ""
    return Selector(ids=_ask(home, choices, f"forget which{more}") | frozenset(named))


def _ask(home: Home, choices: Sequence[Choice], what: str) -> frozenset[str]:
    """Show choices, in a page too where pictures were kept, and return the ids of those meant."""
    show_choices(home, choices)
    with choice_page(home, choices) as page:
        if page is not None:
            errors.print(f"with pictures, until you answer: {page.as_uri()}", soft_wrap=True)
        return ask_which(choices, what)


def _suspects(found: Collection[SuspiciousLabel]) -> Iterator[Choice]:
    for one in found:
        better = f"rather {one.better}" if one.better != one.label else "unlike it"
        yield Choice((one.id,), f"{one.domain}/{one.label}, {better} ({one.margin:+.2f})  {one.id}")


def _concepts(home: Home, concepts: Collection[tuple[str, str]]) -> Iterator[Choice]:
    for domain, label in concepts:
        ids = home.store.select(Selector(domain=domain, label=label))
        yield Choice(ids, f"the whole concept {domain}/{label}: {len(ids)} facts")
