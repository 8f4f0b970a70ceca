"""A scikit-learn classifier on top of the runtime: continual learning with exact unlearning."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

import encoder
import hdc

from .core import (
    AdvanceForget,
    Config,
    Enrol,
    Event,
    Fact,
    FitGeometry,
    ForgetRequest,
    GrowRequest,
    GrowthFinished,
    GrowthJob,
    GrowthResult,
    Knowledge,
    MemoryLedger,
    Publish,
    Receipt,
    Rejected,
    Runtime,
    Selector,
    StartGrowth,
    limits,
    mixture_scores,
)

__all__ = ["ContinualClassifier"]

DOMAIN = "domain-1"
ROWS_MAX = 4_096
"""Rows answered at a time: bounds memory for any number of rows.  Chosen by hand; effect not
measured."""

CLIPPED_MAX = 0.01
"""Share of values beyond the quantiser's range from which a new one is frozen.  Samples like the
first call's exceed its range, which has headroom, far more seldom."""

Floats = NDArray[np.float64]


class ContinualClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # no types there
    """Learns feature vectors [n, features] in any number of calls, detects out-of-distribution
    samples, and forgets samples or classes as if they had never been seen.

    random_state: seed of the projection, an integer; all results are deterministic.
    false_alarm_rate: share of known samples that `is_new` may report.
    facts_per_concept: samples kept per class and domain.  keep: which of them, by the name of a
    selector (docs/explanation/selection.md).  quantiser: an `encoder.Quantiser` for the columns; if
    None, the first call freezes one from its samples, one scale per column, and forgetting these
    samples does not change it.  The inputs are then kept, so that samples beyond its range lead to
    a new one, for which everything is derived again.
    """

    def __init__(
        self,
        *,
        random_state: int = 1,
        false_alarm_rate: float = 0.01,
        facts_per_concept: int = limits.FACTS_PER_CONCEPT_MAX,
        keep: str = "random",
        quantiser: encoder.Quantiser | None = None,
    ) -> None:
        self.random_state = random_state
        self.false_alarm_rate = false_alarm_rate
        self.facts_per_concept = facts_per_concept
        self.keep = keep
        self.quantiser = quantiser

    def fit(
        self, X: ArrayLike, y: ArrayLike, *, ids: Iterable[Any] | None = None, domain: str = DOMAIN
    ) -> Self:
        """Learn samples X [n, features] of classes y [n], discarding earlier ones.

        ids: unique names to forget samples by; row numbers if omitted.  domain: the source of the
        samples (a camera, a season); each domain has its own head.  Raises ValueError.
        """
        values, labels = self._checked(X, y, fresh=True)
        self._start(values, labels.dtype)
        self._learn(values, labels, ids, domain)
        self._handle(FitGeometry())
        return self

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        *,
        ids: Iterable[Any] | None = None,
        domain: str = DOMAIN,
    ) -> Self:
        """Learn more samples; see `fit`.  Samples whose ids are known or forgotten are skipped.

        classes: classes to expect, as columns of `predict_proba`; others are accepted too.  ids: if
        omitted, row numbers that continue those of earlier calls.  The first call freezes quantiser
        and geometry.  The first samples of a domain fit the geometry again.  Samples of which more
        than one value in a hundred is beyond the quantiser's range freeze both again, and end grown
        adaptors.
        """
        fresh = not hasattr(self, "_runtime")
        values, labels = self._checked(X, y, fresh=fresh)
        if fresh:
            self._start(values, labels.dtype)
        outgrown = self._outgrows(values)
        if outgrown:
            self._recalibrate(values)
        unfitted = outgrown or domain not in self._runtime.knowledge.domains
        self._learn(values, labels, ids, domain)
        if classes is not None:
            self._expected_classes |= {_text(value) for value in np.asarray(classes)}
            self._update_classes(np.asarray(classes))
        if unfitted:
            self._handle(FitGeometry())
        return self

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the most likely class of each row of X [n, features]: [n], of the dtype of y."""
        best = self._answers(X).argmax(axis=1)
        found: NDArray[Any] = self.classes_[best]
        return found

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Return probabilities [n, classes], in the order of `classes_`.

        Least squares on one-hot targets estimates them (Hastie, Tibshirani & Friedman 2009,
        section 4.2); each estimate is projected onto the simplex.
        """
        return _onto_simplex(self._answers(X))

    def score_samples(self, X: ArrayLike) -> Floats:
        """Return minus the novelty of each row of X, [n]; higher is more normal."""
        known = self._known()
        scores = [
            hdc.novelty(self._project(part), known.memory, known.calibration())
            for part in self._parts(X)
        ]
        normal: Floats = -np.concatenate(scores).astype(np.float64)
        return normal

    def is_known(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Return whether each row is in distribution, bool [n], at `false_alarm_rate`.

        False for a row in doubt, too: neither known nor new, because its classes have few samples;
        see `is_new`.  Cost: one verdict per row.  Raises ValueError if too few samples are learned
        for that rate.
        """
        return np.array([known is True for known in self._verdicts(X)], np.bool_)

    def is_new(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Return whether each row is out of distribution, bool [n], at `false_alarm_rate`.

        False for a row in doubt, too.  Cost and errors as in `is_known`.
        """
        return np.array([known is False for known in self._verdicts(X)], np.bool_)

    def _verdicts(self, X: ArrayLike) -> list[bool | None]:
        """Return the runtime's verdict on each row: True, False, or None in doubt."""
        parts = (self._assessed(part) for part in self._parts(X))
        return [_decided(verdict) for part in parts for _, verdict in part]

    def forget(
        self,
        *,
        ids: Iterable[Any] | None = None,
        label: Any = None,
        domain: str | None = None,
        refit_geometry: bool = True,
    ) -> Receipt:
        """Forget the samples that match all given criteria, as if they had never been seen.

        ids: as given to `fit`.  label: a class.  refit_geometry: also fit the geometry again, so
        that it keeps no trace either.  Returns the receipt; raises ValueError if nothing matches.
        """
        check_is_fitted(self)
        text = None if label is None else _text(label)
        names = None if ids is None else frozenset(str(name) for name in ids)
        selector = Selector(ids=names, label=text, domain=domain)
        request = ForgetRequest(
            request_id=f"request-{self._requests}",
            selector=selector,
            refit_geometry=refit_geometry,
            # Rows of a table repeat: those that other samples share are learned again.
            duplicates="off",
        )
        receipt = self._handle(request)
        assert isinstance(receipt, Receipt), receipt
        self._requests += 1
        self._keep_inputs({})
        self._expected_classes.discard(text or "")
        self._update_classes(self.classes_[:0])
        return receipt

    def grow(
        self, grower: Callable[[GrowthJob], GrowthResult], *, domain: str = DOMAIN
    ) -> GrowthResult:
        """Search and train an adaptor for a domain; it serves if it beats the current answers.

        grower: `edge.growth.grow_adaptor` (extra `grow`), or a function like it.  Returns its
        result, deterministic for the same samples; raises ValueError for a domain without samples.
        """
        check_is_fitted(self)
        self._handle(GrowRequest(domain))
        result = grower(self._job)
        self._handle(GrowthFinished(result))
        return result

    def digest(self) -> str:
        """Return the hex digest of knowledge: equal for equal samples, quantiser and geometry."""
        check_is_fitted(self)
        return self._runtime.digest()

    def _checked(
        self, X: ArrayLike, y: ArrayLike, *, fresh: bool
    ) -> tuple[NDArray[np.float32], NDArray[Any]]:
        values, labels = validate_data(self, X, y, dtype=np.float32, reset=fresh)
        check_classification_targets(labels)
        if not fresh and (labels.dtype.kind in "OUS") is not (self.classes_.dtype.kind in "OUS"):
            raise ValueError(
                f"learning classes of dtype {labels.dtype} after classes of dtype "
                f"{self.classes_.dtype}: pass all as text, or all as numbers"
            )
        return values, labels

    def _start(self, values: NDArray[np.float32], dtype: np.dtype[Any]) -> None:
        width = values.shape[1]
        everything = (slice(0, width),)
        given = self.quantiser
        frozen = given or encoder.freeze_quantiser(values, everything, "channel")
        if frozen.width != width:
            raise ValueError(f"X has {width} features, the quantiser has {frozen.width} columns")
        self.classes_: NDArray[Any] = np.empty(0, dtype)
        self._inputs: dict[str, NDArray[np.float32]] = {}
        self._open(frozen, MemoryLedger(exchangeable=True))
        self._expected_classes: set[str] = set()
        self._samples = self._requests = 0

    def _open(self, frozen: encoder.Quantiser, ledger: MemoryLedger) -> None:
        card = encoder.vector_card(frozen.width, quantiser=frozen)
        config = Config(
            seed=self.random_state,
            false_alarm_rate=self.false_alarm_rate,
            facts_per_concept=self.facts_per_concept,
            keep=self.keep,
        )
        self.quantiser_, self._ledger = frozen, ledger
        self._runtime = Runtime(config, encoder.open_model(card), ledger)

    def _outgrows(self, values: NDArray[np.float32]) -> bool:
        """Return whether so many values are clipped that a new quantiser pays, and inputs are kept
        to derive everything again."""
        if self.quantiser is not None:
            return False
        return bool(self.quantiser_.clipped(values).mean() > CLIPPED_MAX)

    def _recalibrate(self, values: NDArray[np.float32]) -> None:
        """Freeze a quantiser on all kept inputs and `values`, and derive everything again."""
        names = list(self._inputs)
        kept = np.array([self._inputs[name] for name in names], np.float32)
        rows = np.concatenate([kept.reshape(len(names), values.shape[1]), values])
        frozen = encoder.freeze_quantiser(rows, (slice(0, values.shape[1]),), "channel")
        levels = frozen.quantise(rows[: len(names)])
        features = {name: row.tobytes() for name, row in zip(names, levels, strict=True)}
        self._open(frozen, self._ledger.with_features(features))

    def _keep_inputs(self, given: Mapping[str, NDArray[np.float32]]) -> None:
        """Keep the inputs of the samples in the ledger, and of no others."""
        if self.quantiser is None:
            both = {**given, **self._inputs}
            self._inputs = {n: row for n, row in both.items() if self._ledger.get(n) is not None}

    def _learn(
        self,
        values: NDArray[np.float32],
        labels: NDArray[Any],
        ids: Iterable[Any] | None,
        domain: str,
    ) -> None:
        count, start = len(values), self._samples
        names = [str(name) for name in (range(start, start + count) if ids is None else ids)]
        if len(names) != count or len(set(names)) != count:
            raise ValueError(f"ids must be {count} different names, one per row of X")
        rows = self.quantiser_.quantise(values)
        facts = (
            Fact(
                id=name,
                stream="",
                domain=domain,
                label=_text(label),
                captured_at_ns=start + row,
                features=rows[row].tobytes(),
            )
            for row, (name, label) in enumerate(zip(names, labels, strict=True))
        )
        self._handle(Enrol(tuple(fact for fact in facts if self._ledger.get(fact.id) is None)))
        self._keep_inputs(dict(zip(names, values, strict=True)))
        self._samples += count
        self._update_classes(labels)

    def _handle(self, event: Event) -> object:
        """Handle an event, apply its effects, and return the last message published."""
        message: object = None
        for effect in self._runtime.handle(event):
            self._ledger.apply(effect)
            if isinstance(effect, Publish):
                message = effect.message
            elif isinstance(effect, StartGrowth):
                self._job = effect.job
        match message:
            case Rejected(reason=reason, hint=hint):
                raise ValueError(f"{reason} ({hint})")
        return self._handle(AdvanceForget()) if self._runtime.forgetting else message

    def _update_classes(self, values: NDArray[Any]) -> None:
        """Keep those of the classes so far and `values` that have samples or are expected."""
        candidates = np.unique(np.concatenate([self.classes_, np.unique(values)]))
        present = self._expected_classes | {label for _, label in self._ledger.concepts()}
        self.classes_ = candidates[[_text(value) in present for value in candidates]]

    def _known(self) -> Knowledge:
        check_is_fitted(self)
        if not self._runtime.knowledge.domains:
            raise NotFittedError("all samples have been forgotten: call fit again")
        return self._runtime.knowledge

    def _parts(self, X: ArrayLike) -> Iterator[NDArray[np.uint8]]:
        """Yield the quantised rows of X, at most `ROWS_MAX` at a time."""
        self._known()
        values = validate_data(self, X, dtype=np.float32, reset=False)
        for at in range(0, len(values), ROWS_MAX):
            yield self.quantiser_.quantise(values[at : at + ROWS_MAX])

    def _project(self, rows: NDArray[np.uint8]) -> hdc.Codes:
        return self._known().geometry.project(rows)

    def _assessed(self, rows: NDArray[np.uint8]) -> list[tuple[hdc.Comparison, hdc.Verdict]]:
        known, rate = self._known(), self.false_alarm_rate
        return hdc.detect_each(self._project(rows), known.memory, known.calibration(), rate)

    def _answers(self, X: ArrayLike) -> Floats:
        """Score each row as the runtime does for a stream that consists of it alone: [n, classes].

        The adaptor of the routed domain scores a row, or a mixture of the nearest domains' adaptors
        a novel one.
        """
        known = self._known()
        columns = {_text(value): column for column, value in enumerate(self.classes_)}
        blocks = []
        for part in self._parts(X):
            block = np.full((len(part), len(columns)), -np.inf)
            mixed = self._novelties_of_novel(part)
            for domain, rows in self._routes(part, mixed.keys()):
                adaptor = known.adaptor(domain)
                at = np.array([columns[label] for label in adaptor.labels])
                # One by one, as a device answers: the sums of a batch are rounded by its size.
                for row in rows:
                    block[row, at] = adaptor.answer(part[row])
            for row, novelties in mixed.items():
                for label, score in mixture_scores(novelties, part[row], known).items():
                    block[row, columns[label]] = score
            blocks.append(block)
        return np.concatenate(blocks)

    def _novelties_of_novel(self, rows: NDArray[np.uint8]) -> dict[int, dict[str, int]]:
        """Return the novelty to each domain of the rows that are novel, by row; of none with a
        single domain, which answers every row."""
        if len(self._known().domains) == 1:
            return {}
        found = enumerate(self._assessed(rows))
        return {
            row: compared.nearest() for row, (compared, verdict) in found if verdict.known is False
        }

    def _routes(
        self, rows: NDArray[np.uint8], without: AbstractSet[int]
    ) -> list[tuple[str, NDArray[np.intp]]]:
        """Split the other rows by the domain that the router chooses."""
        known = self._known()
        if len(known.domains) == 1:
            return [(known.domains[0], np.arange(len(rows)))]
        router = known.router()
        chosen = router.logits(rows).argmax(axis=1)
        chosen[list(without)] = -1
        found = ((name, np.flatnonzero(chosen == at)) for at, name in enumerate(router.domains))
        return [(name, places) for name, places in found if len(places)]


def _text(label: Any) -> str:
    """Return the ledger's text for a class: the same for 1, 1.0 and numpy's 1."""
    plain = label.item() if isinstance(label, np.generic) else label
    return str(int(plain)) if isinstance(plain, float) and plain.is_integer() else str(plain)


def _decided(verdict: hdc.Verdict) -> bool | None:
    if verdict.known is None and not verdict.doubtful:
        reason = verdict.shortfall.reason if verdict.shortfall else "too few samples are learned"
        raise ValueError(f"detecting novelty: {reason}")
    return verdict.known


def _onto_simplex(scores: Floats) -> Floats:
    """Project each row onto the probability simplex (Duchi et al. 2008, figure 1)."""
    # Entries 1 below the largest become zero; clipping at 2 below changes no result.
    near = np.maximum(scores, scores.max(axis=1, keepdims=True) - 2)
    falling = -np.sort(-near, axis=1)
    excess = falling.cumsum(axis=1) - 1
    places = np.arange(1, scores.shape[1] + 1)
    last = (falling - excess / places > 0).sum(axis=1) - 1
    shift = excess[np.arange(len(scores)), last] / (last + 1)
    moved: Floats = np.maximum(near - shift[:, None], 0)
    return moved
