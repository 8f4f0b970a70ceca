"""Answers to forget requests besides receipts."""

from .events import Acknowledgement, ForgetRequest, Publish, Rejected
from .receipt import Receipt


def reject(subject_id: str, reason: str, hint: str) -> Publish:
    """Reject a request."""
    return Publish(Rejected(subject_id, reason, hint))


def other_selection(event: ForgetRequest) -> Publish:
    """Reject a request whose id another one had."""
    return reject(
        event.request_id,
        "forgetting: this request id was used before, for another selection or under a key of the"
        " home that was lost since",
        "give each request an id of its own; the receipts say what was forgotten",
    )


def still_pending(receipt: Receipt, parts: str) -> Publish:
    """Answer a request that is accepted and not complete.  receipt: as far as it is known.  parts:
    what is not done."""
    detail = f"excluded; the receipt follows once these are done: {parts}"
    return Publish(Acknowledgement(receipt.request_id, receipt.facts_forgotten, detail))
