"""The receipt of a forget request: every field of it, and the parts that it lists.

Fields that came later have defaults, so that receipts of earlier releases are read unchanged.
"""

from typing import Literal, NamedTuple

from .facts import Selector
from .structs import FrozenStruct

SeriesOutcome = Literal["replayed", "restarted"]
"""Of a series' forecaster: computed again without the samples, or begun without history."""

PlacedOutcome = Literal["placed again", "kept"]
"""Of a domain that the detector chose: chosen again without the facts, or left as it is."""

FileKind = Literal["backup", "export", "bundle", "damaged copy", "firmware", "archive", "other"]
FileOutcome = Literal["removed", "kept"]
DeviceHolding = Literal["contribution", "bundle"]

AdaptorChange = Literal["derived again", "trained again", "ended"]
"""Of an adaptor that the facts shaped: solved again, trained again from the same blueprint and
seed, or removed."""

DuplicateGuard = Literal["off", "exact", "near"]
"""What is not learned again: the same ids, also the same features under another id, or also
features that are nearly the same."""


class SeriesForgotten(FrozenStruct, frozen=True):
    """A time series that lost samples.  samples: forgotten.  lost_samples: others whose effect on
    the forecaster is lost, since their raw values are not kept."""

    stream: str
    samples: int
    outcome: SeriesOutcome
    lost_samples: int


class SeriesRange(NamedTuple):
    """Times whose samples of a series are not learned again.  until_ns: the first that is not of
    it."""

    stream: str
    from_ns: int
    until_ns: int


class EvictedConcept(FrozenStruct, frozen=True):
    """A concept from which the forgotten facts had evicted others, which a device that never saw
    them would hold.  facts: how many."""

    domain: str
    label: str
    facts: int


class PlacedDomain(FrozenStruct, frozen=True):
    """A domain that the detector chose for facts.  renamed_to: its new name, empty if it keeps
    its name."""

    domain: str
    facts: int
    outcome: PlacedOutcome
    renamed_to: str = ""


class FileFound(FrozenStruct, frozen=True):
    """A file in the home that may still hold the facts.  path: relative to the home.  hint: what
    to do about a file that is kept."""

    path: str
    kind: FileKind
    outcome: FileOutcome
    hint: str = ""


class DeviceOrder(FrozenStruct, frozen=True):
    """Another device that holds what the facts shaped, and the order to drop it.  sent: whether
    the order is on its way.  dropped_at_ns: when an aggregate took in the sums without the facts,
    by its own clock; 0 until it has reported that."""

    device: str
    holds: DeviceHolding
    order_id: str
    sent: bool
    dropped_at_ns: int = 0


class AdaptorOutcome(FrozenStruct, frozen=True):
    """An adaptor version that the facts shaped.  successor: the version that serves in its place,
    0 for none."""

    domain: str
    version: int
    outcome: AdaptorChange
    successor: int = 0


class Receipt(FrozenStruct, frozen=True, kw_only=True):
    """The result of a forget request.

    digest_before, digest_after: of the knowledge; the second is that of a ledger that never held
    the forgotten facts.  A knowledge file states both as HMAC-SHA256 under a key that never leaves
    its device, so that no guess at the content can be tested with them.  rebuilt: derived parts
    computed again.  evicted_before: facts evicted from the ledger so far.  not_covered: places
    that may still hold traces.  duplicates: what is refused from now on.  accepted_at_ns,
    excluded_at_ns, completed_at_ns: when the request was durable, when nothing that the facts
    shaped served any more, and when everything was derived again; 0 if unknown.
    """

    request_id: str
    requested_at_ns: int
    selector: Selector
    facts_forgotten: int
    concepts_touched: tuple[str, ...]
    digest_before: str
    digest_after: str
    rebuilt: tuple[str, ...]
    evicted_before: int
    not_covered: tuple[str, ...]
    series: tuple[SeriesForgotten, ...] = ()
    evictions: tuple[EvictedConcept, ...] = ()
    placed: tuple[PlacedDomain, ...] = ()
    files: tuple[FileFound, ...] = ()
    devices: tuple[DeviceOrder, ...] = ()
    adaptors: tuple[AdaptorOutcome, ...] = ()
    duplicates: DuplicateGuard = "off"
    accepted_at_ns: int = 0
    excluded_at_ns: int = 0
    completed_at_ns: int = 0
