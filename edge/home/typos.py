"""Typo detection: new label and domain names that probably mean known ones."""

from collections.abc import Iterable, Iterator
from typing import Final, Self

import msgspec

EDITS_BY_LENGTH: Final = ((8, 2), (3, 1))
"""(shortest length, edits): up to so many edits are a typo.  80 % of spelling errors are one edit
(Damerau 1964); two are allowed in names long enough to remain recognisable.  Shorter names are
never typos: any two of them are one or two edits apart."""

CHARS_MAX: Final = 64
"""Longest name compared: programs generate longer ones, and the cost grows with the square."""


def likely_typo(name: str, known: Iterable[str]) -> str:
    """Return the known name of which a new one is probably a typo, or ''.

    Names that differ only in digits are a numbered series (`pump-1`, `pump-2`), not typos.
    """
    names = set(known)
    if not name or name in names or len(name) > CHARS_MAX:
        return ""
    near = [(edits, one) for one in names if (edits := _edits_of_typo(name, one)) is not None]
    return min(near)[1] if near else ""


def _edits_of_typo(name: str, known: str) -> int | None:
    """Return the number of edits if two names differ by a typo, else None."""
    new, old = (" ".join(one.casefold().split()) for one in (name, known))
    if new == old:
        return 0
    if _without_digits(new) == _without_digits(old):
        return None
    shorter = min(len(new), len(old))
    allowed = next((edits for length, edits in EDITS_BY_LENGTH if shorter >= length), 0)
    if not allowed or abs(len(new) - len(old)) > allowed or len(old) > CHARS_MAX:
        return None
    edits = count_edits(new, old)
    return edits if edits <= allowed else None


def _without_digits(name: str) -> str:
    return "".join(one for one in name if not one.isdigit())


def count_edits(new: str, old: str) -> int:
    """Return the optimal string alignment distance: inserted, deleted, replaced and transposed
    characters.  Cost: the product of the lengths."""
    before: list[int] = []
    last = list(range(len(old) + 1))
    for row, one in enumerate(new, 1):
        line = [row]
        for column, other in enumerate(old, 1):
            best = min(last[column] + 1, line[-1] + 1, last[column - 1] + (one != other))
            swapped = row > 1 and column > 1 and one == old[column - 2] and new[row - 2] == other
            line.append(min(best, before[column - 2] + 1) if swapped else best)
        before, last = last, line
    return last[-1]


class KnownNames(msgspec.Struct, frozen=True):
    """Labels and domains in use, sorted."""

    labels: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()

    @classmethod
    def of(cls, concepts: Iterable[tuple[str, str]]) -> Self:
        """Return the names in (domain, label) pairs."""
        pairs = tuple(concepts)
        labels = tuple(sorted({label for _, label in pairs}))
        return cls(labels, tuple(sorted({domain for domain, _ in pairs})))

    def warnings(self, *, label: str = "", domain: str = "") -> Iterator[str]:
        """Yield a warning for each given name that is probably a typo; empty names are skipped."""
        for kind, name, known in (("label", label, self.labels), ("domain", domain, self.domains)):
            near = likely_typo(name, known)
            if near:
                yield warning_of(kind, name, near)

    def warnings_of(self, given: "KnownNames") -> Iterator[str]:
        """Yield a warning for each of other names that is probably a typo."""
        for label in given.labels:
            yield from self.warnings(label=label)
        for domain in given.domains:
            yield from self.warnings(domain=domain)


def warning_of(kind: str, name: str, near: str) -> str:
    """Return the warning that a new label or domain is probably a typo."""
    return f"the {kind} {name!r} is new; did you mean {near!r}? `auricle relabel` corrects it"
