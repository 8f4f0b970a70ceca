"""Homes of handwritten digits that forget a person, and audits of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from edge.audit.audit import audit_receipt
from edge.audit.findings import AuditReport, Finding, by_key
from edge.core.events import ForgetRequest
from edge.core.facts import FactBatch, Selector, untimed_batch
from edge.home import actions
from edge.home.home import Home
from edge.home.new_home import create_home

PERSON = "Zaphod-Beeblebrox"
"""Whose facts are forgotten."""

FACTS = 120
FORGOTTEN = 24


@dataclass(frozen=True)
class DigitsHome:
    """A home, and the forgotten person's items as a file that `learn` and `--items` read."""

    folder: Path
    items: Path


def write_items(path: Path, rows: np.ndarray, prefix: str = "item") -> Path:
    """Some digits as an .npz with ids, domains and subjects; the first ones are the person's."""
    digits = load_digits()
    people = [PERSON if row < FORGOTTEN else f"person-{row % 7}" for row in range(len(rows))]
    np.savez(
        path,
        features=digits.data[rows].astype(np.float32),
        label=np.array([("even", "odd")[digits.target[row] % 2] for row in rows]),
        domain=np.array(["left", "right"])[np.arange(len(rows)) % 2],
        id=np.array([f"{prefix}-{row:05d}-{row * 7919 % 99991:05d}" for row in rows]),
        subject=np.array(people),
    )
    return path


def digits_home(folder: Path, *, facts: int = FACTS, forget: bool = True) -> DigitsHome:
    """A home of digits in two domains; it has forgotten the person if so wished."""
    rows = np.random.default_rng(5).permutation(1700)[:facts]
    every = write_items(folder / "every.npz", rows)
    items = write_items(folder / "items.npz", rows[:FORGOTTEN])
    card, columns, _ = actions.vector_card_from(every)
    home = folder / "home"
    create_home(home, card, "", columns)
    with Home(home) as opened:
        actions.learn(opened, actions.read_lesson(opened, every, "", "", lambda _: None))
        if forget:
            forget_person(opened)
    return DigitsHome(home, items)


def forget_person(home: Home) -> None:
    """Forget the person's facts."""
    home.feed(
        ForgetRequest(
            request_id="request-1",
            selector=Selector(subject=PERSON),
            requested_at_ns=5,
            refit_geometry=True,
        )
    )
    home.stamp()


def audit_items(made: DigitsHome) -> AuditReport:
    """Audit the newest receipt with the forgotten items."""

    def read(home: Home) -> tuple[object, ...]:
        return actions.read_lesson(home, made.items, "", "", lambda _: None).facts

    return audit_receipt(made.folder, "", read, lambda *_: None)  # type: ignore[arg-type]


def failing(report: AuditReport) -> set[str]:
    """The keys of the findings that fail."""
    return {one.key for one in report.failed}


def finding(report: AuditReport, key: str) -> Finding:
    """A finding of a report."""
    return by_key(report.findings)[key]


def digit_rows(rows: np.ndarray, domain: str = "paper") -> FactBatch:
    """Digits as facts of one domain."""
    digits = load_digits()
    return untimed_batch(
        tuple(f"digit-{row:05d}" for row in rows),
        (domain,) * len(rows),
        tuple(str(digits.target[row]) for row in rows),
        np.rint(digits.data[rows] * 15).astype(np.uint8),
    )
