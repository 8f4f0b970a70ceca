"""How near a result comes to the oracle: accuracies, membership inference, relearning steps."""

from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .network import Parameters, descend, squared_distance
from .problem import Unlearned, UnlearningProblem, UnlearningTask

Floats = NDArray[np.float64]

SHADOWS: Final = 8
"""Shadow models, each trained on a random half.  Carlini et al. 2022 use 64 to 256; the spread of
eight is bounded from below by SPREAD_MIN."""
SPREAD_MIN: Final = 0.5
"""Added to the spread of the shadow models' scores, in logits.  Chosen by hand."""
RELEARN_STEPS: Final = 60
"""Most steps of relearning: two and a half trainings by the recipe of growth."""
RELEARN_RATE: Final = 3e-4
"""Learning rate of relearning: a tenth of that of training, so that steps differ."""
RELEARN_FACTOR: Final = 1.05
"""Relearned: the loss is within 5 % of the original's.  Chosen by hand."""
RELEARN_MIN: Final = 0.02
"""A loss at which rows count as relearned in any case.  Chosen by hand."""
ERROR_MIN: Final = 1e-6
"""Keeps the logarithm of an exact forecast finite."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class HeldOutRows:
    """Rows that no model was trained on.  alike: those that stand for the forgotten ones in
    membership inference, e.g. of the same label; counted: those whose accuracy must stay."""

    rows: Tensor
    targets: Tensor
    alike: NDArray[np.bool_]
    counted: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlearningFigures:
    """What a method reached on one request.

    retain, forget, test: accuracies, for forecasts 1 / (1 + mean squared error).  mia: area
    under the ROC curve of the confidence attack on forgotten against held-out rows; lira: the same
    with shadow models.  kl_forget, kl_test: divergence from the oracle's answers (for forecasts
    root mean squared difference).  alike: accuracy on held-out mates of the forgotten rows.
    relearn: steps until the forgotten rows are learned again.  distance: of the weights to the
    oracle's, as a share of the original's distance.  seconds: of CPU; cost: the same as a share
    of training again.
    """

    retain: float
    forget: float
    test: float
    mia: float
    lira: float
    kl_forget: float
    kl_test: float
    alike: float
    relearn: float
    distance: float
    seconds: float
    cost: float


def gap_between(one: UnlearningFigures, oracle: UnlearningFigures) -> float:
    """Return the mean absolute difference of retain, forget and test accuracy and of the confidence
    attack, in points."""
    names = ("retain", "forget", "test", "mia")
    return 100 * float(np.mean([abs(getattr(one, n) - getattr(oracle, n)) for n in names]))


def mean_figures(figures: list[UnlearningFigures]) -> UnlearningFigures:
    """Return the means, ignoring figures that are not defined."""
    found = {}
    for each in fields(UnlearningFigures):
        values = [getattr(one, each.name) for one in figures]
        known = [value for value in values if not np.isnan(value)]
        found[each.name] = float(np.mean(known)) if known else float("nan")
    return UnlearningFigures(**found)


class ShadowModels:
    """Scores of rows under models trained with and without them (LiRA: Carlini et al. 2022)."""

    def __init__(self, task: UnlearningTask, held_out: tuple[Tensor, Tensor], seed: int) -> None:
        random = np.random.default_rng([seed, 4])
        count = len(task.rows)
        inside = np.stack([random.permutation(count) < count // 2 for _ in range(SHADOWS)])
        scores, tests = [], []
        for number, half in enumerate(inside):
            model = task.train(torch.from_numpy(np.flatnonzero(half)), seed * SHADOWS + number + 1)
            answer = task.network.outputs_of
            scores.append(score_rows(task, answer(model, task.rows), task.targets))
            tests.append(score_rows(task, answer(model, held_out[0]), held_out[1]))
        known = np.stack(scores)
        out = np.where(inside, np.nan, known)
        self._mean, self._spread = _columns(out)
        self._test_mean, self._test_spread = _columns(np.stack(tests))
        difference = _columns(np.where(inside, known, np.nan))[0] - self._mean
        self.memorised: Floats = np.nan_to_num(difference, nan=-np.inf)
        """How much more confident models are in a row that they were trained on: float64 [n]."""

    def attack(self, scores: Floats, at: Tensor) -> Floats:
        """Return how far the scores of some rows are above those of models without them."""
        rows = at.numpy()
        return np.asarray((scores - self._mean[rows]) / self._spread[rows])

    def attack_held_out(self, scores: Floats) -> Floats:
        """As `attack`, for all held-out rows."""
        return np.asarray((scores - self._test_mean) / self._test_spread)


class Yardstick:
    """Measures methods on one request against its oracle.  problem: the rows as measured, which
    differ from those that a method is given where only a part of them is identified."""

    def __init__(
        self,
        problem: UnlearningProblem,
        held_out: HeldOutRows,
        shadows: ShadowModels,
        oracle: Parameters,
    ) -> None:
        self._problem, self._held_out = problem, held_out
        self._shadows, self._oracle = shadows, oracle

    def measure(self, found: Unlearned, seconds: float, retrained: float) -> UnlearningFigures:
        """Measure a result.  seconds: CPU that it took; retrained: CPU of the oracle."""
        task, held = self._problem.task, self._held_out
        network, forget, retain = task.network, self._problem.forget, self._problem.retain
        with torch.no_grad():
            gone, kept = found.answer(task.rows[forget]), found.answer(task.rows[retain])
            tests = found.answer(held.rows)
            truth = network.outputs_of(self._oracle, task.rows[forget])
            test_truth = network.outputs_of(self._oracle, held.rows)
            inside = score_rows(task, gone, task.targets[forget])
            outside = score_rows(task, tests, held.targets)
            alike, counted = torch.from_numpy(held.alike), torch.from_numpy(held.counted)
            return UnlearningFigures(
                retain=_accuracy(task, kept, task.targets[retain]),
                forget=_accuracy(task, gone, task.targets[forget]),
                test=_accuracy(task, tests[counted], held.targets[counted]),
                mia=area_under_curve(inside, outside[held.alike]),
                lira=area_under_curve(
                    self._shadows.attack(inside, forget),
                    self._shadows.attack_held_out(outside)[held.alike],
                ),
                kl_forget=_divergence(task, truth, gone),
                kl_test=_divergence(task, test_truth, tests),
                alike=_accuracy(task, tests[alike], held.targets[alike]),
                relearn=self._relearn(found.parameters),
                distance=self._distance(found.parameters),
                seconds=seconds,
                cost=seconds / retrained if retrained else float("nan"),
            )

    def _relearn(self, parameters: Parameters | None) -> float:
        if parameters is None:
            return float("nan")
        problem = self._problem
        with torch.enable_grad():
            original = float(problem.loss(problem.task.original, problem.forget).detach())
            wanted, steps = max(RELEARN_FACTOR * original, RELEARN_MIN), [0]

            def loss(one: Parameters, step: int) -> Tensor:
                found = problem.loss(one, problem.forget)
                if float(found.detach()) <= wanted:
                    raise _RelearnedError
                steps[0] = step + 1
                return found

            with suppress(_RelearnedError):
                descend(parameters, loss, RELEARN_STEPS, RELEARN_RATE, decay=0.0)
        return float(steps[0])

    def _distance(self, parameters: Parameters | None) -> float:
        if parameters is None:
            return float("nan")
        unit = float(squared_distance(self._problem.task.original, self._oracle))
        return float((squared_distance(parameters, self._oracle) / unit) ** 0.5) if unit else 0.0


class _RelearnedError(Exception):
    """Ends the descent: the rows are learned again."""


def score_rows(task: UnlearningTask, outputs: Tensor, targets: Tensor) -> Floats:
    """Return how confident answers are in the targets: the logit of the target's probability
    (Carlini et al. 2022, section 5.1), for forecasts minus the logarithm of the error."""
    if task.network.answers == "values":
        errors = (outputs[:, 0] - targets).abs().double()
        return np.asarray(-torch.log(errors + ERROR_MIN).detach().numpy())
    logs = torch.log_softmax(outputs.detach(), 1).double()
    own = logs.gather(1, targets[:, None])[:, 0]
    rest = torch.logsumexp(logs.scatter(1, targets[:, None], -1e9), 1)
    return np.asarray((own - rest).numpy())


def area_under_curve(positive: Floats, negative: Floats) -> float:
    """Return the chance that a positive score exceeds a negative one; ties count half."""
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left") + np.searchsorted(ordered, positive, "right")
    return float(below.mean() / (2 * len(ordered))) if len(ordered) else float("nan")


def _accuracy(task: UnlearningTask, outputs: Tensor, targets: Tensor) -> float:
    if task.network.answers == "labels":
        return float((outputs.argmax(1) == targets).float().mean())
    # Targets are standardised: a forecast of the mean has 0.5.
    return 1 / (1 + float((outputs[:, 0] - targets).square().mean()))


def _divergence(task: UnlearningTask, truth: Tensor, found: Tensor) -> float:
    if task.network.answers == "values":
        return float((truth - found).square().mean() ** 0.5)
    logs = torch.log_softmax(truth, 1)
    return float((logs.exp() * (logs - torch.log_softmax(found, 1))).sum(1).mean())


def _columns(scores: Floats) -> tuple[Floats, Floats]:
    """Return mean and spread of each column without NaN; columns of NaN get those of all."""
    known = ~np.isnan(scores)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, scores, 0.0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (scores - mean) ** 2, 0.0).sum(axis=0) / count)
    missing = ~known.any(axis=0)
    mean[missing], spread[missing] = np.nanmean(scores), np.nanstd(scores)
    return mean, spread + SPREAD_MIN
