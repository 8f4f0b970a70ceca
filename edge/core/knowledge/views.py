"""Views of knowledge: what follows from the parts that serve, without changing them."""

from abc import ABC, abstractmethod
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

import hdc

from ..adaptors import Adaptor, AdaptorRecord, fit_adaptor
from ..errors import EdgeError
from ..facts import FactBatch, Ledger
from ..recalibration import CalibrationStatus
from ..router import Router
from .provisional import Provisional
from .refits import RouterRefit, training_facts
from .thresholds import Thresholds
from .time_sample import status_of


class KnowledgeViews(ABC):
    """The part of `Knowledge` that only reads; it has the attributes named here."""

    geometry: hdc.Geometry
    dropped: Provisional
    _ledger: Ledger
    _leaving: AbstractSet[str]
    _router: RouterRefit | None
    _thresholds: Thresholds

    @property
    @abstractmethod
    def learned(self) -> tuple[str, ...]:
        """The domains with facts in the own ledger, sorted."""

    @property
    @abstractmethod
    def may_wait(self) -> bool:
        """Whether decisions may use what was computed before the newest facts."""

    @abstractmethod
    def calibration(self) -> hdc.Calibration:
        """See `Knowledge`."""

    @abstractmethod
    def adaptor(self, domain: str) -> Adaptor:
        """See `Knowledge`."""

    @abstractmethod
    def router(self) -> Router:
        """See `Knowledge`."""

    @abstractmethod
    def _serving(self, domain: str) -> AdaptorRecord | None:
        """Return the record of the adaptor that serves a domain."""

    @abstractmethod
    def _uses_sums(self, domain: str) -> bool:
        """Return whether the sums of all devices answer for a domain."""

    @abstractmethod
    def is_routed(self, domain: str, label: str) -> bool:
        """See `Knowledge`."""

    @property
    def routes(self) -> bool:
        """Whether there is a router, or may be fitted now; the detector routes otherwise."""
        waits = self._router is None and (self.dropped.router or self.dropped.masking)
        return bool(self.learned) and not (waits and self.may_wait)

    def provisional(self, domain: str) -> tuple[str, ...]:
        """Return what a decision in a domain does without, until it is made again after a forget
        request: of "sums", "geometry", "thresholds", "router", "adaptor" and "judgement", that of
        an adaptor which was made again and serves until growth has judged the domain."""
        dropped = self.dropped
        again = self._made_again(domain)
        if not (dropped.pending and self.may_wait):
            return again
        found = {
            "sums": domain in dropped.masked_domains,
            "geometry": domain in dropped.stale,
            "thresholds": self._thresholds.lacks(domain),
            "router": not self.routes,
            "adaptor": domain in dropped.heads,
        }
        names = (name for name, applies in found.items() if applies)
        return tuple(dict.fromkeys((*names, *again)))

    def _made_again(self, domain: str) -> tuple[str, ...]:
        """Return what is missing of a domain's adaptor that a forget request has ended."""
        if domain in self._ledger.pending_adaptors():
            return ("adaptor",)
        record = self._serving(domain)
        unjudged = record is not None and record.provisional and not self._uses_sums(domain)
        return ("judgement",) if unjudged else ()

    @property
    def waits_for_answers(self) -> bool:
        """Whether adaptors or the router are missing after a forget request."""
        dropped = self.dropped
        return bool((dropped.router and self._router is None) or dropped.heads & {*self.learned})

    @property
    def deriving(self) -> tuple[str, ...]:
        """The parts that a forget request waits for, by name: those that it dropped, and thresholds
        that are not today's."""
        names = [f"thresholds of {name}" for name in self._thresholds.outdated(self.learned)]
        names += ["router"] if self.dropped.router and self._router is None else []
        names += [f"adaptor of {name}" for name in sorted(self.dropped.heads & {*self.learned})]
        return tuple(names)

    def calibration_status(self, rate: float) -> tuple[CalibrationStatus, ...]:
        """Return how each learned domain was calibrated.  rate: of false alarms, as chosen."""
        made = self.calibration()
        return tuple(status_of(domain, made, rate) for domain in self.learned)

    def find_invalid_adaptor(self, record: AdaptorRecord) -> str:
        """Return why an adaptor from elsewhere cannot serve a domain with facts; empty if it can.

        Cost: that of solving its head.
        """
        own, others = self.training_facts(record.domain)
        try:
            answers = fit_adaptor(own, others, record, self.geometry.slices).answer(own.features)
        except (EdgeError, ValueError, TypeError, LookupError) as error:
            return f"the adaptor of {record.domain}: {error}"
        fine = bool(np.isfinite(answers).all())
        return (
            ""
            if fine
            else f"the adaptor of {record.domain} answers with values that are not finite"
        )

    def route(self, verdict: hdc.Verdict, features: NDArray[np.uint8]) -> str:
        """Return the domain of features uint8 [width] with this verdict, from this sample alone."""
        if not self.is_routed(verdict.domain, verdict.label):
            return verdict.domain
        router = self.router()
        return router.domains[int(np.argmax(router.scores(features)))]

    def answer(self, domain: str, features: NDArray[np.uint8]) -> str:
        """Return the likeliest label of features uint8 [width] in a domain."""
        adaptor = self.adaptor(domain)
        return adaptor.labels[int(adaptor.answer(features).argmax())]

    def training_facts(self, domain: str) -> tuple[FactBatch, FactBatch]:
        """Return a sample of a domain's facts, and one of all other domains' facts.

        Raises KeyError for a domain without facts.
        """
        own, others = training_facts(self._ledger, domain, self.learned, self._leaving)
        if not len(own):
            raise KeyError(domain)
        return own, others
