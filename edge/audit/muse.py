"""MUSE's six criteria, answered by the findings of an audit.

Shi et al. 2024, "MUSE: machine unlearning six-way evaluation for language models", section 3.  Its
privacy leakage is the relative difference of an attack's area to that on a retrained model.
"""

from collections.abc import Iterable
from typing import Final

from .findings import Criterion, Finding, Outcome, by_key

CRITERIA: Final[dict[str, tuple[str, ...]]] = {
    "No verbatim memorization": ("traces", "keyed_traces", "resent_same_ids"),
    "No knowledge memorization": (
        "direct_probes",
        "perturbed_probes",
        "adversarial_probes",
        "generalisation",
        "resent_unlabelled",
        "classifiers",
        "sums",
    ),
    "No privacy leakage": ("lira", "confidence_attack", "parametric_traces", "worst_case"),
    "Utility preservation": ("utility", "neighbour_probes"),
    "Scalability": ("scalability",),
    "Sustainability": ("sustainability",),
}
"""Each criterion with the keys of the findings that answer it."""

TEXTS: Final[dict[Outcome, str]] = {
    "holds": "met, as far as examined",
    "fails": "not met",
    "open": "not decided",
}
"""What the outcome of a criterion means."""


def answer_muse(findings: Iterable[Finding]) -> tuple[Criterion, ...]:
    """Return the six criteria: one fails with any of its findings, and is open without any."""
    known = by_key(findings)
    made = []
    for name, keys in CRITERIA.items():
        found = [known[key] for key in keys if key in known]
        outcomes = {one.outcome for one in found}
        outcome: Outcome = (
            "fails" if "fails" in outcomes else "holds" if "holds" in outcomes else "open"
        )
        titles = tuple(one.title for one in found)
        made.append(Criterion(name=name, outcome=outcome, text=TEXTS[outcome], findings=titles))
    return tuple(made)
