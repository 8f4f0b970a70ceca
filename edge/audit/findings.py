"""What an audit finds, in plain words and as data.

A finding says what was examined, how it was examined, and whether it holds.  `evidence` is the
strength: a comparison bit for bit proves; an attack that fails only shows that this attack fails.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

Evidence = Literal["proven", "tested", "not covered"]
Outcome = Literal["holds", "fails", "open"]

EVIDENCE_TEXTS: Final[dict[Evidence, str]] = {
    "proven": "Compared bit for bit, so no attack on this part can tell the difference.",
    "tested": "Attacked or searched; a stronger attack might still find something.",
    "not covered": "Not examined by this audit.",
}
"""What each strength of evidence means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured number of a finding.  low, high: its 95 % bootstrap interval, if it has one.
    unit: "s", "%", "" for a plain number."""

    name: str
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One question of an audit and its answer.

    key: the name in JSON.  title: the question's subject.  outcome: "open" if the question could
    not be decided, with the reason in `text`.  text: the answer.  todo: what to do about it.
    source: the paper whose method was used.
    """

    key: str
    title: str
    evidence: Evidence
    outcome: Outcome
    text: str
    todo: str = ""
    source: str = ""
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One of MUSE's six criteria with the findings that answer it."""

    name: str
    outcome: Outcome
    text: str
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """The result of an audit.

    mode: "rehearsal" (on a copy, before the request) or "receipt" (after it).  request_id: of the
    receipt, "" in a rehearsal.  items: whether the forgotten items were there to attack with.
    forgotten, retained: numbers of facts.  seconds: the duration of the audit.
    """

    mode: Literal["rehearsal", "receipt"]
    request_id: str
    items: bool
    forgotten: int
    retained: int
    at_ns: int
    seconds: float
    findings: tuple[Finding, ...]
    muse: tuple[Criterion, ...] = field(default=())

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings that fail."""
        return tuple(one for one in self.findings if one.outcome == "fails")

    @property
    def open(self) -> tuple[Finding, ...]:
        """The findings that could not be decided."""
        return tuple(one for one in self.findings if one.outcome == "open")

    @property
    def verdict(self) -> str:
        """The result in one sentence."""
        if self.failed:
            names = ", ".join(one.title.lower() for one in self.failed)
            return f"Traces or differences were found: {names}."
        proven = sum(one.evidence == "proven" and one.outcome == "holds" for one in self.findings)
        rest = f" {len(self.open)} questions stay open." if self.open else ""
        return f"Nothing of the forgotten facts was found; {proven} comparisons are exact.{rest}"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: "1 fact", "2 facts"."""
    return f"{count:,} {noun if count == 1 else noun + 's'}"


def by_key(findings: Iterable[Finding]) -> dict[str, Finding]:
    """Return findings by their keys."""
    return {one.key: one for one in findings}


def not_covered(key: str, title: str, text: str, todo: str = "") -> Finding:
    """Return a finding about something that was not examined."""
    return Finding(
        key=key, title=title, evidence="not covered", outcome="open", text=text, todo=todo
    )
