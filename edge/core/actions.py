"""Records of the actions of people, which can be undone for ten minutes.

A record holds each fact as it was before the action.  It is written in the transaction of the
change, and it ends with the facts that a forget request names.
"""

from math import nan
from typing import Final, Literal

from msgspec.structs import replace

from . import limits
from .columns import listed
from .facts import Fact, Selector
from .structs import FrozenStruct

Verb = Literal[
    "label", "label-many", "unlabel", "relabel", "undo-merge", "confirm", "rollback", "grow"
]
"""The commands that can be undone."""

ACTIONS_OF_FACTS: Final = ("label", "label-many", "unlabel", "relabel", "undo-merge")
"""Verbs whose records are of facts; such a record ends with its last fact."""


LABELS_SHOWN: Final = 3
"""Labels named in a sentence about an action: more do not fit a line."""


class FactBefore(FrozenStruct, frozen=True, kw_only=True):
    """A fact as it was before an action.

    fact: without a label if the observation waited for one; its domain is then the one that a label
    without a domain would get.  after: hash of the fact that the action made of it, empty if it
    left the ledger.  score: of the label candidate that it was, NaN if it was none.  features of
    the fact are empty where the ledger holds them.
    """

    fact: Fact
    after: bytes
    score: float = nan

    @property
    def waited(self) -> bool:
        """Whether the observation waited for a label."""
        return not self.fact.label

    def matches(self, selector: Selector) -> bool:
        """Return whether a forget request selects the fact as it was."""
        return selector.matches(self.fact)

    def stored(self) -> "FactBefore":
        """Return the record to store: features only where the ledger does not hold them."""
        return replace(self, fact=replace(self.fact, features=b"")) if self.after else self


class Action(FrozenStruct, frozen=True, kw_only=True):
    """An action of a person.

    id: for `Undo`.  facts: as they were before, without the forgotten ones.  adaptors: domain and
    version of those that it removed and that undoing reinstates.  labels: that it gave.  domain,
    other: of `relabel`, a domain and its new name, if it was renamed as a whole and the name was
    new; of `undo-merge`, the two domains; of `rollback` and `grow`, the adaptor's, with `version`.
    stream, counts: of `confirm`, the observations, alarms and changes that it counted as false
    alarms; harmless: its answer.  restored: how many facts an undo has restored.
    """

    id: str
    verb: Verb
    at_ns: int
    facts: tuple[FactBefore, ...] = ()
    adaptors: tuple[tuple[str, int], ...] = ()
    labels: tuple[str, ...] = ()
    domain: str = ""
    other: str = ""
    version: int = 0
    stream: str = ""
    harmless: bool = True
    counts: tuple[int, int, int] = (0, 0, 0)
    undone: bool = False
    restored: int = 0

    @property
    def expires_at_ns(self) -> int:
        """Until when it can be undone."""
        return self.at_ns + limits.UNDO_NS

    def expired(self, now_ns: int) -> bool:
        """Return whether it is too late to undo it."""
        return now_ns >= self.expires_at_ns

    @property
    def empty(self) -> bool:
        """True if it changed no fact, or none of the facts that it changed is left."""
        return self.verb in ACTIONS_OF_FACTS and not self.facts and not self.undone

    def text(self, facts: int) -> str:
        """Describe it in one sentence.  facts: how many it changed, without forgotten ones."""
        many = "1 observation" if facts == 1 else f"{facts} observations"
        match self.verb:
            case "label" | "label-many":
                return f"labelled {many} as {listed(self.labels, LABELS_SHOWN)}"
            case "unlabel":
                return f"took back the label of {many}"
            case "relabel":
                if self.domain:
                    return f"renamed the domain {self.domain} to {self.other}"
                labels = listed(self.labels, LABELS_SHOWN)
                return f"corrected {many}" + (f" to {labels}" if labels else "")
            case "undo-merge":
                return f"separated {self.domain} from {self.other}"
            case "confirm":
                answer = "harmless" if self.harmless else "a real change"
                return f"answered that the alarm of {self.stream} is {answer}"
            case "rollback":
                return f"removed version {self.version} of the adaptor of {self.domain}"
            case "grow":
                return f"had version {self.version} of the adaptor of {self.domain} grown"
