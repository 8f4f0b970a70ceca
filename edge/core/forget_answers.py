"""Answers to forget requests besides receipts."""

from .events import Acknowledgement, Publish, Rejected
from .receipt import Receipt


def reject(subject_id: str, reason: str, hint: str) -> Publish:
    """Reject a request."""
    return Publish(Rejected(subject_id, reason, hint))


def still_pending(receipt: Receipt, parts: str) -> Publish:
    """Answer a request that is accepted and not complete.  receipt: as far as it is known.  parts:
    what is not done."""
    detail = f"excluded; the receipt follows once these are done: {parts}"
    return Publish(Acknowledgement(receipt.request_id, receipt.facts_forgotten, detail))
