"""Adaptation without labels: an opened domain is answered better before anybody labels it.

Theory of operation.  An opened domain has no facts.  Its unlabelled samples are centred on the
known domains class by class, so that the mix of labels does not count; the surest answers then take
part in a ridge regression as pseudo-facts; and where answers show an order, neighbours help each
other.  All of it is a pure function of the ledger's facts and the opening's bounded samples, is
solved again from scratch each time, and enters neither ledger nor sums nor digest.
"""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .basis import Basis, KnownDomain, build_basis
    from .basis_refit import DOMAINS_MAX, BasisRefit
    from .centring import SHARPNESS, softmax
    from .kept_rows import ROWS_MAX
    from .label_order import LabelOrder
    from .opening import ID_BYTES, IDS_MAX, OPENING_BYTES_MAX, AdaptedAnswer, OpeningAdapter
    from .pseudo_facts import Group, SampleClusters, learn_unlabelled
    from .ridge import RidgeSums
    from .solving import Adaptation, adapt, leaves_alone, unadapted
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "basis": ("Basis", "KnownDomain", "build_basis"),
            "basis_refit": ("BasisRefit", "DOMAINS_MAX"),
            "centring": ("SHARPNESS", "softmax"),
            "kept_rows": ("ROWS_MAX",),
            "label_order": ("LabelOrder",),
            "opening": (
                "AdaptedAnswer",
                "IDS_MAX",
                "ID_BYTES",
                "OPENING_BYTES_MAX",
                "OpeningAdapter",
            ),
            "pseudo_facts": ("Group", "SampleClusters", "learn_unlabelled"),
            "ridge": ("RidgeSums",),
            "solving": ("Adaptation", "adapt", "leaves_alone", "unadapted"),
        },
    )

__all__ = [
    "DOMAINS_MAX",
    "IDS_MAX",
    "ID_BYTES",
    "OPENING_BYTES_MAX",
    "ROWS_MAX",
    "SHARPNESS",
    "Adaptation",
    "AdaptedAnswer",
    "Basis",
    "BasisRefit",
    "Group",
    "KnownDomain",
    "LabelOrder",
    "OpeningAdapter",
    "RidgeSums",
    "SampleClusters",
    "adapt",
    "build_basis",
    "learn_unlabelled",
    "leaves_alone",
    "softmax",
    "unadapted",
]
