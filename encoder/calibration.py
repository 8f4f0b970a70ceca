"""Freezing a card's quantiser from sample data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from .card import Card
from .model import Model
from .quantiser import Granularity, freeze_quantiser


def calibrate(
    model: Model,
    payloads: Iterable[object],
    granularity: Granularity = "tap",
    headroom: float = 0.25,
) -> Card:
    """The card of `model` with a quantiser frozen from `payloads`, 100 to 1,000 varied ones at
    best.  granularity and headroom: see `freeze_quantiser`.  The new card has a new fingerprint:
    features made under it do not mix with older ones.  Raises PayloadError naming a bad payload.
    Cost: one run of the graph per payload."""
    features = model.measure(payloads)
    quantiser = freeze_quantiser(features, model.card.slices, granularity, headroom)
    return replace(model.card, quantiser=quantiser)
