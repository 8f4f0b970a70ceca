"""Peer detectors of the benchmark `ood`, each on float features and with every tap.

A peer with several ways to use the features returns a score for each, under `name/way`; the best
one counts.  Ways: the first tap alone or all joined; for distances also the columns as they are,
divided by the norm of their tap, or standardised by their mean and deviation.  Higher scores are
more novel.
"""

import warnings

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Slices = tuple[tuple[int, int], ...]

DIMENSIONS = 8192
"""The runtime's default, for torchhd and random features alike."""
NEIGHBOURS = (1, 10)
"""Values of k; each is a peer of its own.  Chosen by hand."""
SUBSPACE = 256
"""Principal axes kept, half the width at most.  Wang et al. 2022 keep 512 or 1,000 for ViM; effect
not measured."""


def peer_scores(
    enrolled: Reals, labels: NDArray[np.int64], queries: Reals, slices: Slices
) -> dict[str, Reals]:
    """Return scores float64 [q] of queries [q, width] after enrolment of [n, width] with labels
    0..c-1."""
    made: dict[str, Reals] = {}
    ways = {"first": slice(*slices[0])} | ({"all": slice(None)} if len(slices) > 1 else {})
    for way, part in ways.items():
        own = slices[:1] if way == "first" else slices
        seen, test = enrolled[:, part], queries[:, part]
        unit, unit_test = _unit(seen, own), _unit(test, own)
        forms = {"raw": (seen, test), "unit": (unit, unit_test), "std": _standard(seen, test)}
        for form, (near, far) in forms.items():
            name = "mahalanobis++" if form == "unit" else "mahalanobis"
            made[f"{name}/{form} {way}"] = _mahalanobis(near, labels, far)
            for count in NEIGHBOURS:
                made[f"knn{count}/{form} {way}"] = _neighbours(near, far, count)
        made |= {f"{k}/{way}": v for k, v in _logits(seen, labels, test).items()}
        made[f"torchhd/{way}"] = _torchhd(unit, labels, unit_test)
    for way, centred in (("centred", True), ("as it is", False)):
        made[f"hdff/{way}"] = _hdff(enrolled, labels, queries, slices, centred=centred)
    return made


def _unit(rows: Reals, slices: Slices) -> Reals:
    taps = [rows[:, start:stop] for start, stop in slices]
    return np.hstack([t / (np.linalg.norm(t, axis=1, keepdims=True) + 1e-12) for t in taps])


def _standard(seen: Reals, test: Reals) -> tuple[Reals, Reals]:
    centre, spread = seen.mean(axis=0), seen.std(axis=0) + 1e-6
    return (seen - centre) / spread, (test - centre) / spread


def _mahalanobis(seen: Reals, labels: NDArray[np.int64], test: Reals) -> Reals:
    """Mahalanobis++ (arXiv 2505.18032) on unit vectors, else Mahalanobis; with Ledoit and Wolf's
    shrinkage, which it needs with fewer samples than features."""
    from sklearn.covariance import LedoitWolf

    means = np.stack([seen[labels == label].mean(axis=0) for label in range(labels.max() + 1)])
    fitted = LedoitWolf(assume_centered=True, store_precision=False).fit(seen - means[labels])
    white = np.linalg.cholesky(np.linalg.inv(fitted.covariance_))
    at, places = test @ white, means @ white
    squared = np.square(at).sum(axis=1)[:, None] - 2 * at @ places.T
    return np.asarray((squared + np.square(places).sum(axis=1)).min(axis=1))


def _neighbours(unit: Reals, test: Reals, count: int) -> Reals:
    """pytorch-ood's KNN, without its own division by the norm."""
    import torch
    from pytorch_ood.detector import KNN

    fitted = KNN(None, k=min(count, len(unit)), normalize=False)
    fitted.fit_features(torch.as_tensor(unit), torch.zeros(len(unit), dtype=torch.long))
    return np.asarray(fitted.predict_features(torch.as_tensor(test)), dtype=np.float64)


def _logits(seen: Reals, labels: NDArray[np.int64], test: Reals) -> dict[str, Reals]:
    """MSP, energy and ViM of pytorch-ood on a logistic head over standardised features."""
    import torch
    from pytorch_ood.detector import EnergyBased, MaxSoftmax, ViM
    from sklearn.linear_model import LogisticRegression

    if labels.max() < 1:
        return {}
    near, far = _standard(seen, test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head = LogisticRegression(C=0.01, max_iter=60).fit(near, labels)
    weight, bias = head.coef_, head.intercept_
    if len(weight) == 1:
        weight, bias = np.vstack([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
    logits = torch.as_tensor(far @ weight.T + bias, dtype=torch.float32)
    size = min(SUBSPACE, seen.shape[1] // 2)
    vim = ViM(None, size, torch.as_tensor(weight), torch.as_tensor(bias))
    vim.fit_features(torch.as_tensor(near), torch.as_tensor(labels))
    return {
        "msp": np.asarray(MaxSoftmax.score(logits), dtype=np.float64),
        "energy": np.asarray(EnergyBased.score(logits), dtype=np.float64),
        "vim": np.asarray(vim.predict_features(torch.as_tensor(far)), dtype=np.float64),
    }


def _torchhd(unit: Reals, labels: NDArray[np.int64], test: Reals) -> Reals:
    """The random projection of torchhd, hard quantised, one bundle per class, cosine similarity."""
    import torch
    import torchhd

    torch.manual_seed(0)
    encode = torchhd.embeddings.Projection(unit.shape[1], DIMENSIONS)
    with torch.no_grad():
        coded = torchhd.hard_quantize(encode(torch.as_tensor(unit, dtype=torch.float32)))
        classes = torch.as_tensor(labels)
        bundles = torch.stack(
            [torchhd.multiset(coded[classes == label]) for label in range(labels.max() + 1)]
        )
        query = torchhd.hard_quantize(encode(torch.as_tensor(test, dtype=torch.float32)))
        alike = torchhd.cosine_similarity(query, bundles)
    return -np.asarray(alike.max(dim=1).values, dtype=np.float64)


def _hdff(
    seen: Reals, labels: NDArray[np.int64], test: Reals, slices: Slices, *, centred: bool
) -> Reals:
    """HDFF (WACV 2023, arXiv 2112.05341): taps with or without centring, near-orthogonal
    projections, bundled; one bundle per class; the smallest angle."""
    random = np.random.default_rng(0)
    shape, number = (len(seen) + len(test), DIMENSIONS), np.float32
    bundles = np.zeros(shape, dtype=number)
    for start, stop in slices:
        axes = random.standard_normal((stop - start, DIMENSIONS), dtype=number)
        rows = np.concatenate([seen[:, start:stop], test[:, start:stop]])
        rows = rows - seen[:, start:stop].mean(axis=0) * centred
        projected = rows.astype(number) @ axes
        bundles += projected / (np.linalg.norm(projected, axis=1, keepdims=True) + 1e-12)
    bundles, queries = bundles[: len(seen)], bundles[len(seen) :]
    classes = np.stack([bundles[labels == n].sum(axis=0) for n in range(labels.max() + 1)])
    classes /= np.linalg.norm(classes, axis=1, keepdims=True) + 1e-12
    queries /= np.linalg.norm(queries, axis=1, keepdims=True) + 1e-12
    return -np.asarray((queries @ classes.T).max(axis=1))
