"""Order-independent peers: closed-form solutions from sums.

Each learner maps (view, training rows) to scores of held-out rows; the preparation of features and
the strength of regularisation are chosen on the training part.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from .data import ContinualView, Floats, Rows

RANPAC_WIDTH = 5_000
"""RanPAC projects to 10,000 (McDonnell et al. 2023); half of it halves the run time.  Effect not
measured."""
PENALTIES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Ridge penalties half a decade apart; the best on validation rows is used."""
SHRINKAGES = (1e-4, 1e-2, 1e-1, 0.3, 0.6)
"""SLDA uses 1e-4 (Hayes and Kanan 2020); larger ones suit few rows."""
DECAYS = (3e-4, 1e-3, 3e-3)
"""Weight decays half a decade apart; the best on validation rows is used."""

Learner = Callable[..., Floats]
Settled = Callable[[ContinualView, Rows, Rows], Floats]


@dataclass(frozen=True, slots=True)
class Closed:
    """A peer: its learner, and the candidate strengths."""

    learner: Learner
    strengths: tuple[float, ...] = (0.0,)
    ways: tuple[str, ...] = ("all raw", "all standard", "final raw", "final standard")
    random: bool = False


def nearest_mean(view: ContinualView, train: Rows, test: Rows, _strength: float) -> Floats:
    """Nearest class mean by cosine (NCM; Mensink et al. 2013)."""
    rows, queries = _unit(view.rows[train]), _unit(view.rows[test])
    label = view.label[train]
    means = np.zeros((view.classes, rows.shape[1]), np.float32)
    for one in np.unique(label):
        means[one] = rows[label == one].mean(axis=0)
    return _seen(queries @ _unit(means).T, label)


def ridge(view: ContinualView, train: Rows, test: Rows, strength: float) -> Floats:
    """Ridge regression on one-hot labels from streamed sums; the strength is relative to the mean
    energy."""
    return _solve(view.rows[train], view.rows[test], view, train, strength)


def ranpac(view: ContinualView, train: Rows, test: Rows, strength: float, seed: int = 0) -> Floats:
    """RanPAC (McDonnell et al. 2023, section 4) without first-session tuning of the encoder: ReLU
    of a Gaussian projection to 5,000 columns, then ridge regression."""
    matrix = np.random.default_rng(seed).standard_normal((view.rows.shape[1], RANPAC_WIDTH))
    matrix = matrix.astype(np.float32)
    rows, queries = (np.maximum(view.rows[part] @ matrix, 0) for part in (train, test))
    return _solve(rows, queries, view, train, strength)


def slda(view: ContinualView, train: Rows, test: Rows, strength: float) -> Floats:
    """Deep SLDA (Hayes & Kanan 2020): class means, and one covariance shrunk towards the identity.

    The published running estimates differ from these batch estimates by the weight of each class's
    first samples; so order is left out.
    """
    rows, label = view.rows[train], view.label[train]
    means = np.zeros((view.classes, rows.shape[1]), np.float32)
    for one in np.unique(label):
        means[one] = rows[label == one].mean(axis=0)
    apart = rows - means[label]
    shared = apart.T @ apart / np.float32(len(rows))
    shrunk = np.asarray((1 - strength) * shared, np.float32)
    shrunk.flat[:: len(shrunk) + 1] += strength
    weights = _positive_solve(shrunk, means.T)
    bias = 0.5 * np.einsum("ij,ji->i", means, weights)
    return _seen(np.asarray(view.rows[test] @ weights - bias, np.float32), label)


def joint(view: ContinualView, train: Rows, test: Rows, strength: float) -> Floats:
    """Softmax regression on all data at once, by L-BFGS: the upper bound for a linear head."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=strength, max_iter=300, tol=1e-3)
    fitted.fit(view.rows[train], view.label[train])
    found = fitted.decision_function(view.rows[test])
    made = np.full((len(test), view.classes), -np.inf, np.float32)
    if found.ndim == 1:
        made[:, fitted.classes_] = np.stack([-found, found], axis=1)
    else:
        made[:, fitted.classes_] = found
    return made


PEERS: dict[str, Closed] = {
    "NCM": Closed(nearest_mean),
    "streaming ridge": Closed(ridge, PENALTIES),
    "RanPAC": Closed(ranpac, (0.1, 0.3), ("all raw", "final raw"), random=True),
    "SLDA": Closed(slda, SHRINKAGES),
    "joint training": Closed(joint, DECAYS, ("all standard", "final standard")),
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A peer with its chosen settings; one learner per seed if seeds matter."""

    name: str
    way: str
    learners: tuple[Settled, ...]


def choose(
    name: str, given: dict[str, ContinualView], rest: Rows, test: Rows, seeds: tuple[int, ...]
) -> Chosen:
    """Choose preparation and strength by accuracy on validation rows."""
    peer = PEERS[name]
    best = (-1.0, "", 0.0)
    for way in (way for way in peer.ways if way in given):
        for strength in peer.strengths:
            found = peer.learner(given[way], rest, test, strength)
            right = float((found.argmax(axis=1) == given[way].label[test]).mean())
            best = max(best, (right, way, strength))
    _, way, strength = best
    given_seeds = seeds if peer.random else seeds[:1]
    return Chosen(name, way, tuple(_settled(peer, strength, seed) for seed in given_seeds))


def folds(train: Rows) -> tuple[Rows, Rows]:
    """Split the training rows: four fifths to fit, one fifth to validate."""
    order = np.random.default_rng(0).permutation(train)
    return np.sort(np.setdiff1d(train, order[::5])), np.sort(order[::5])


def _settled(peer: Closed, strength: float, seed: int) -> Settled:
    learner = partial(peer.learner, seed=seed) if peer.random else peer.learner
    return lambda view, train, test: learner(view, train, test, strength)


def _solve(
    rows: Floats, queries: Floats, view: ContinualView, train: Rows, strength: float
) -> Floats:
    centre = rows.mean(axis=0)
    rows, queries = rows - centre, queries - centre
    label = view.label[train]
    targets = np.eye(view.classes, dtype=np.float32)[label]
    usual = targets.mean(axis=0)
    count, width = rows.shape
    if count < width:
        gram = rows @ rows.T
        gram.flat[:: count + 1] += strength * float(np.trace(gram)) / count
        solved = rows.T @ _positive_solve(gram, targets - usual)
    else:
        gram = rows.T @ rows
        gram.flat[:: width + 1] += strength * float(np.trace(gram)) / count
        solved = np.asarray(_positive_solve(gram, rows.T @ (targets - usual)))
    return _seen(np.asarray(queries @ solved + usual, np.float32), label)


def _positive_solve(matrix: Floats, sought: Floats) -> NDArray[np.float32]:
    try:
        factor = scipy.linalg.cho_factor(matrix, check_finite=False)
    except scipy.linalg.LinAlgError:  # Few facts with a small penalty: close to singular.
        wide = matrix.astype(np.float64)
        return np.asarray(scipy.linalg.lstsq(wide, sought, check_finite=False)[0], np.float32)
    return np.asarray(scipy.linalg.cho_solve(factor, sought, check_finite=False), np.float32)


def _seen(scores: Floats, label: NDArray[np.int64]) -> Floats:
    """Exclude classes that were never learned from the answers."""
    never = np.setdiff1d(np.arange(scores.shape[1]), label)
    scores[:, never] = -np.inf
    return scores


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / (np.linalg.norm(rows, axis=1, keepdims=True) + 1e-9), np.float32)
