"""Looking at several waiting observations at once, before the turn of each.

Many small products cost more than one large one.  What an observation shows by itself is worked out
together with that of its neighbours; what depends on those before it stays for its own turn.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

import encoder

from ..columns import NAMING_HINT, NamedValues, arrange, listed, named_values
from ..events import Observation, Rejected
from ..facts import Ledger
from ..knowledge import Knowledge
from .assess import Assessor, PrefetchedAssessment


class FeatureModel(Protocol):
    """What the runtime needs of an encoder: `encoder.Model`, or one that replays features."""

    @property
    def card(self) -> encoder.Card:
        """The card: fingerprint, taps, quantiser."""

    def encode(self, payload: object) -> encoder.Features:
        """Turn a payload into uint8 features; raises encoder.EncoderError for a bad one."""


class BatchPrefetch:
    """Observations with what was said of them already, until their turn or the next look."""

    def __init__(self, model: FeatureModel, ledger: Ledger, watch: Assessor) -> None:
        self._model, self._ledger, self._watch = model, ledger, watch
        # With each the event itself, so that its id stays its own.
        self._ahead: dict[int, tuple[Observation, PrefetchedAssessment]] = {}

    def look(self, events: Sequence[Observation], known: Knowledge) -> None:
        """Look at observations that come next; what was said of others before is dropped."""
        given = [(event, self._encode(event)) for event in events if event.kind == "sample"]
        seen = [(event, found) for event, found in given if isinstance(found, np.ndarray)]
        self._ahead = {}
        if seen and known.memory.keys:
            keys, rows = [event.key for event, _ in seen], [features for _, features in seen]
            ahead = self._watch.foresee(keys, rows, known)
            for (event, _), one in zip(seen, ahead, strict=True):
                self._ahead[id(event)] = event, one

    def take(
        self, event: Observation
    ) -> tuple[NDArray[np.uint8] | Rejected, PrefetchedAssessment | None]:
        """Return the features of an observation, uint8 [width], or why there are none, and what was
        said of it ahead."""
        _, ahead = self._ahead.pop(id(event), (None, None))
        return (self._encode(event) if ahead is None else ahead.features), ahead

    def _encode(self, event: Observation) -> NDArray[np.uint8] | Rejected:
        try:
            named = named_values(event.payload)
        except (TypeError, OverflowError) as error:
            return Rejected(event.key, f"reading a sample: {error}", "send numbers by name")
        payload = event.payload
        if named is not None:
            arranged = self._arrange(named)
            if isinstance(arranged, str):
                return Rejected(event.key, f"reading a sample: {arranged}", self._hint())
            payload = arranged
        try:
            return self._model.encode(payload).values
        except encoder.EncoderError as error:
            return Rejected(event.key, error.message, error.hint)

    def _arrange(self, named: NamedValues) -> NDArray[np.float32] | str:
        kind = self._model.card.kind
        if kind != "vector":
            return f"its values have names, but the encoder takes a payload of kind {kind}"
        return arrange(named, self._ledger.columns())

    def _hint(self) -> str:
        columns = self._ledger.columns()
        return f"the columns are {listed(columns)}" if columns else NAMING_HINT
