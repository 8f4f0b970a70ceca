"""Trains the learned labelling rule that ships: edge/core/labelling/learned_weights.py.

    pip install -e ".[sim]"
    python scripts/train_labelling_rule.py --data FOLDER [--steps N]

The procedure follows "Learning to Actively Learn: A Robust Approach" (Zhang, Jain & Jamieson 2020):
problems are grouped into classes of equal complexity, here by how many labels random sampling
needs; for each class an expert policy is trained alone; then one policy is trained to be nearly as
good as the expert in each class, while an adversary puts its weight on the classes, and on the
problems within a class, where the policy is worst.  Policies are improved by evolution strategies
(Salimans et al. 2017) on pairs of opposite perturbations.

Only development sets take part: drawn mixtures of Gaussians, digits, iris and breast cancer of
scikit-learn, and photos and paintings of PACS.  The same code, seeds and data give the same
numbers.  Some twenty minutes on one core.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

from edge.core.labelling import CONTEXTS, FEATURES, LabellingPool, PolicyState, PoolSpace

TARGET: Final = Path(__file__).parents[1] / "edge" / "core" / "labelling" / "learned_weights.py"
SEED: Final = 18
"""Any would do; it is kept so that the weights can be made again."""
STEPS, EXPERT_STEPS = 60, 10
"""Steps of the robust policy and of each expert.  Chosen by hand; effect not measured."""
PAIRS, DEVIATION, RATE = 16, 0.1, 0.02
"""Pairs of perturbations, their deviation, and the length of a step.  Chosen by hand; effect not
measured."""
DRAWN: Final = 3
"""Problems of each class in a step.  Chosen by hand; effect not measured."""
BUDGET: Final = 48
"""Labels of an episode: the few dozen that a person gives."""
REACH: Final = 0.9
"""Share of the accuracy with all labels that counts as reached: the figure of the benchmark."""
BATCHES: Final = (1, 1, 5, 14)
"""Labels chosen at once, in a quarter of the problems each; 14 is a label request."""
HARDER: Final = (12, 30)
"""Labels that random sampling needs, at which a problem is in the next class."""
PROBLEMS: Final = 24
"""Problems of a class.  Chosen by hand; effect not measured."""
TRIED: Final = 2_000
"""Draws after which a class stays as small as it is."""
RANDOM_RUNS: Final = 6
"""Random orders whose mean a problem is measured by."""
RIDGE, SUPPORT_WEIGHT = 0.3, 0.1
"""Defaults of `edge.core.adaptors.weighting`."""
SHARPENED: Final = 4.0
"""How much the adversary prefers what is worse.  Chosen by hand; effect not measured."""

Floats = NDArray[np.float32]
Ints = NDArray[np.intp]
Table = tuple[Floats, Ints]
Random = np.random.Generator


@dataclass(eq=False, kw_only=True)
class Problem:
    """A pool, test rows, and a ridge head in its dual form: `kernel` and `prior` between all rows,
    pool first, already conditioned on the support of a learned domain where there is one.

    known: labels of the support.  full: accuracy with all labels.  needed: labels that random
    sampling needs; shortfall: its loss.  batch: labels chosen at once.
    """

    pool: LabellingPool
    kernel: Floats = field(repr=False)
    prior: Floats = field(repr=False)
    truth: Ints = field(repr=False)
    known: frozenset[int]
    batch: int
    full: float = 1.0
    needed: int = 0
    shortfall: float = 1.0

    def answer(self, labelled: Sequence[int]) -> Floats:
        """Return the scores of all rows; labels not seen yet score below all others."""
        rows = np.array(labelled, np.intp)
        scores = self.prior
        if len(rows):
            system = self.kernel[np.ix_(rows, rows)].copy()
            system.flat[:: len(rows) + 1] += RIDGE
            wanted = np.eye(scores.shape[1], dtype=np.float32)[self.truth[rows]]
            solved = np.linalg.solve(system, wanted - self.prior[rows])
            scores = scores + self.kernel[:, rows] @ solved
        seen = self.known.union(self.truth[rows].tolist())
        unseen = [one for one in range(scores.shape[1]) if one not in seen]
        scores = scores.copy()
        scores[:, unseen] = -1
        return scores

    def accuracy(self, scores: Floats) -> float:
        """Return the accuracy on the test rows."""
        first = len(self.pool)
        return float((scores[first:].argmax(axis=1) == self.truth[first:]).mean())

    def loss(self, curve: Sequence[float]) -> float:
        """Return the mean shortfall of a learning curve, 0 to 1."""
        missing = 1 - np.array(curve) / (REACH * self.full)
        return float(np.maximum(missing, 0).mean())

    def reached(self, curve: Sequence[float]) -> int:
        """Return the labels at which a curve reaches the target, one more than all if it never
        does."""
        reached = np.array(curve) >= REACH * self.full
        return int(reached.argmax()) + 1 if reached.any() else len(curve) + 1

    def episode(self, weights: Floats) -> float:
        """Return the loss of a policy over that of random sampling."""
        size = len(self.pool)
        state, free = PolicyState(self.pool), np.ones(size, np.bool_)
        labelled: list[int] = []
        curve: list[float] = []
        while len(labelled) < min(BUDGET, size):
            row = int(np.where(free, state.scores(weights), -np.inf).argmax())
            free[row] = False
            labelled.append(row)
            state.add(row)
            scores = self.answer(labelled)
            curve.append(self.accuracy(scores))
            if len(labelled) % self.batch == 0:
                state.answer(scores[:size], self.truth[labelled].tolist())
        return self.loss(curve) / self.shortfall


def make_problem(own: Table, support: Table | None, random: Random) -> Problem:
    """Return a problem on a random pool and random test rows of a table."""
    order = random.permutation(len(own[0]))
    size = min(int(random.integers(96, 201)), int(0.6 * len(order)))
    order = order[: size + 300]
    values, truth = own[0][order], own[1][order]
    names = np.unique(truth if support is None else np.concatenate([truth, support[1]]))
    truth = np.searchsorted(names, truth)
    rows = scaled(values, values[:size])
    kernel, prior = rows @ rows.T + 1, np.zeros((len(rows), len(names)), np.float32)
    features = PoolSpace.of(rows[:size])
    described, known = features, frozenset[int]()
    if support is not None:
        targets = np.searchsorted(names, support[1])
        known = frozenset(targets.tolist())
        kernel, prior = conditioned(rows, kernel, scaled(support[0], support[0]), targets, names)
        centred = prior[:size] - prior[:size].mean(axis=1, keepdims=True)
        described = PoolSpace.of((centred / (centred.std() + 1e-6)).astype(np.float32))
    made = Problem(
        pool=LabellingPool(features=features, described=described, answers=prior[:size]),
        kernel=kernel.astype(np.float32),
        prior=prior.astype(np.float32),
        truth=truth,
        known=known,
        batch=int(random.choice(BATCHES)),
    )
    if support is None:
        made.pool = LabellingPool(
            features=features, described=described, answers=np.zeros((size, 0), np.float32)
        )
    made.full = made.accuracy(made.answer(range(size)))
    curves = [random_curve(made, random) for _ in range(RANDOM_RUNS)]
    made.needed = made.reached(np.mean(curves, axis=0).tolist())
    made.shortfall = float(np.mean([made.loss(one) for one in curves]))
    return made


def scaled(values: Floats, reference: Floats) -> Floats:
    """Return columns standardised by reference rows, so that a row's square is about one."""
    deviation = (reference.std(axis=0) + 1e-3) * np.sqrt(values.shape[1])
    return np.asarray((values - reference.mean(axis=0)) / deviation, np.float32)


def conditioned(
    rows: Floats, kernel: Floats, support: Floats, targets: Ints, names: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Return kernel and prior after a ridge head has learned the support."""
    system, across = support @ support.T + 1, support @ rows.T + 1
    system.flat[:: len(support) + 1] += RIDGE / SUPPORT_WEIGHT
    wanted = np.eye(len(names), dtype=np.float32)[targets]
    solved = np.linalg.solve(system, np.concatenate([across, wanted], axis=1))
    count = len(rows)
    return kernel - across.T @ solved[:, :count], across.T @ solved[:, count:]


def random_curve(problem: Problem, random: Random) -> list[float]:
    """Return the accuracies after each label in a random order."""
    order = random.permutation(len(problem.pool))[:BUDGET].tolist()
    return [problem.accuracy(problem.answer(order[: n + 1])) for n in range(len(order))]


def drawn_mixture(random: Random, *, support: bool) -> tuple[Table, Table | None]:
    """Return a mixture of Gaussians, and a shifted one as support."""
    classes, parts = int(random.integers(2, 11)), int(random.integers(1, 4))
    width, apart = int(random.integers(4, 49)), random.uniform(1.2, 4.5)
    centres = random.normal(size=(classes, parts, width)) * 2 * apart / np.sqrt(width)
    share = np.maximum(random.dirichlet(np.full(classes, random.choice([1.0, 3.0, 20.0]))), 0.03)
    label = random.choice(classes, 700, p=share / share.sum())
    part = random.integers(0, parts, 700)
    spread = random.uniform(0.6, 1.3)
    values = centres[label, part] + random.normal(size=(700, width)) * spread
    noisy = random.random(700) < random.choice([0.0, 0.0, 0.05, 0.1])
    own = values.astype(np.float32), np.where(noisy, random.integers(0, classes, 700), label)
    if not support:
        return own, None
    moved = centres + random.normal(size=centres.shape) * random.uniform(
        0.3, 1.5
    ) * apart / np.sqrt(width)
    label = random.choice(classes, 128)
    values = moved[label, random.integers(0, parts, 128)] + random.normal(size=(128, width))
    return own, (values.astype(np.float32), label)


def part_of(table: Table, random: Random) -> tuple[Table, Ints]:
    """Return some classes of a table, in half of the draws of unequal size, and their labels."""
    labels = np.unique(table[1])
    count = int(random.integers(2, len(labels) + 1))
    kept = random.choice(labels, count, replace=False)
    rows = [np.flatnonzero(table[1] == one) for one in kept]
    if random.random() < 0.5:
        rows = [
            random.permutation(one)[: max(8, int(len(one) * random.uniform(0.15, 1)))]
            for one in rows
        ]
    at = np.concatenate(rows)
    return (table[0][at], table[1][at]), kept


def families(data: Path) -> dict[str, list[Callable[[Random], Problem]]]:
    """Return makers of problems by family: drawn, real, and with the support of another domain."""
    tables = [
        datasets.load_digits(return_X_y=True),
        datasets.load_iris(return_X_y=True),
        datasets.load_breast_cancer(return_X_y=True),
    ]
    found = np.load(data / "pacs_efficientnet_lite0.npz")
    domains = [
        (found["features"][found["domain"] == one], found["label"][found["domain"] == one])
        for one in (0, 1)
    ]
    real = [(x.astype(np.float32), y.astype(np.intp)) for x, y in (*tables, *domains)]

    def drawn(random: Random) -> Problem:
        return make_problem(*drawn_mixture(random, support=False), random)

    def measured(random: Random) -> Problem:
        table, _ = part_of(real[int(random.integers(len(real)))], random)
        return make_problem(table, None, random)

    def shifted(random: Random) -> Problem:
        return make_problem(*drawn_mixture(random, support=True), random)

    def pictures(random: Random) -> Problem:
        new = int(random.integers(2))
        own, labels = part_of(real[3 + new], random)
        other = real[4 - new]
        at = random.permutation(np.flatnonzero(np.isin(other[1], labels)))[:200]
        return make_problem(own, (other[0][at], other[1][at]), random)

    return {"drawn": [drawn], "real": [measured], "supported": [shifted, pictures]}


def draw_classes(data: Path, seed: int, count: int) -> dict[str, list[Problem]]:
    """Return problems by class: family and complexity.  Those that three random labels solve are
    left out: every rule does."""
    classes: dict[str, list[Problem]] = {}
    for family, makers in families(data).items():
        for trial in range(TRIED):
            random = np.random.default_rng([seed, len(family), trial])
            made = makers[trial % len(makers)](random)
            if made.needed <= 3:
                continue
            level = sum(made.needed > edge for edge in HARDER)
            group = classes.setdefault(f"{family}, {('easy', 'medium', 'hard')[level]}", [])
            if len(group) < count:
                group.append(made)
            full = [
                len(classes.get(f"{family}, {one}", ())) >= count
                for one in ("easy", "medium", "hard")
            ]
            if all(full):
                break
    return classes


def mean_losses(classes: dict[str, list[Problem]], weights: Floats) -> dict[str, float]:
    """Return the mean loss of a policy by class, relative to random sampling."""
    return {
        name: float(np.mean([one.episode(weights) for one in problems]))
        for name, problems in classes.items()
    }


class Trainer:
    """Improves a policy on classes of problems that an adversary weighs."""

    def __init__(
        self, classes: dict[str, list[Problem]], start: Floats, experts: dict[str, float], seed: int
    ) -> None:
        self.weights = start.copy()
        self._classes, self._experts = classes, experts
        self._random = np.random.default_rng([SEED, seed])
        self._losses = {name: np.ones(len(problems)) for name, problems in classes.items()}
        self._slope = np.zeros_like(start)

    def step(self) -> dict[str, float]:
        """Take one step against the present adversary; return the regret by class."""
        regret = {
            name: float(losses.mean()) - self._experts.get(name, 0.0)
            for name, losses in self._losses.items()
        }
        force = np.exp(SHARPENED * np.array(list(regret.values())))
        chosen: list[tuple[float, str, int]] = []
        for share, (name, losses) in zip(force / force.sum(), self._losses.items(), strict=True):
            worse = np.exp(SHARPENED * (losses - losses.max()))
            count = min(DRAWN, len(losses))
            drawn = self._random.choice(len(losses), count, replace=False, p=worse / worse.sum())
            chosen += [(float(share) / count, name, int(one)) for one in drawn]
        slope = np.zeros_like(self.weights)
        for _ in range(PAIRS):
            noise = self._random.normal(size=self.weights.shape).astype(np.float32)
            totals = [0.0, 0.0]
            for side, sign in enumerate((1, -1)):
                tried = self.weights + np.float32(sign * DEVIATION) * noise
                for share, name, at in chosen:
                    found = self._classes[name][at].episode(tried)
                    totals[side] += share * found
                    self._losses[name][at] += 0.1 * (found - self._losses[name][at])
            slope += (totals[0] - totals[1]) / (2 * DEVIATION * PAIRS) * noise
        self._slope = np.float32(0.7) * self._slope + np.float32(0.3) * slope
        length = float(np.linalg.norm(self._slope)) or 1.0
        self.weights -= np.float32(RATE * np.sqrt(self.weights.size) / length) * self._slope
        return regret


def train(data: Path, steps: int) -> tuple[Floats, dict[str, float]]:
    """Return the policy, and its regret by class on problems that it was not trained on."""
    classes = draw_classes(data, SEED, PROBLEMS)
    judged = draw_classes(data, SEED + 1, PROBLEMS)
    start = np.zeros((len(CONTEXTS), len(FEATURES)), np.float32)
    start[0, FEATURES.index("covers")] = 1
    start[0, FEATURES.index("covers doubts")] = 0.5
    start[0, FEATURES.index("margin")] = 0.25
    experts, own = {}, {}
    for number, (name, problems) in enumerate(classes.items()):
        expert = Trainer({name: problems}, start, {}, number)
        for _ in range(EXPERT_STEPS):
            expert.step()
        # An expert is not worse than where it started.
        ways = [mean_losses({name: problems}, one)[name] for one in (start, expert.weights)]
        experts[name] = min(ways)
        better = [mean_losses({name: judged[name]}, one)[name] for one in (start, expert.weights)]
        own[name] = min(better) if name in judged else 0.0
        print(
            f"expert  {name:22} {len(problems)} problems  {ways[0]:.3f} -> {ways[1]:.3f}",
            flush=True,
        )
    trainer = Trainer(classes, start, experts, len(classes))
    best, kept, worst = start, {}, np.inf
    for step in range(steps + 1):
        if step % 6 == 0:
            losses = mean_losses(judged, trainer.weights)
            regret = {name: loss - own[name] for name, loss in losses.items()}
            print(
                f"step {step}: worst regret {max(regret.values()):.3f}, mean loss "
                f"{np.mean(list(losses.values())):.3f}",
                flush=True,
            )
            if max(regret.values()) < worst:
                best, kept, worst = trainer.weights.copy(), losses, max(regret.values())
        trainer.step()
    return best, kept


def main() -> None:
    """Train, and write the weights with their provenance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--target", type=Path, default=TARGET)
    chosen = parser.parse_args()
    weights, losses = train(chosen.data, chosen.steps)
    chosen.target.write_text(written(weights, losses, chosen.steps), "utf-8")


def written(weights: Floats, losses: dict[str, float], steps: int) -> str:
    """Return the source of the file that ships."""
    scaled_weights = weights / np.abs(weights).max()
    rows = "\n".join(
        f"    ({', '.join(f'{value:.3f}' for value in row)}),  # {name}"
        for name, row in zip(CONTEXTS, scaled_weights.tolist(), strict=True)
    )
    shown = "\n".join(f"    {name:22} {loss:.2f}" for name, loss in losses.items())
    return f'''"""The weights of the learned rule; written by `scripts/train_labelling_rule.py`.

Seed {SEED}, {steps} steps.  Loss over that of random sampling, by class of problems, on problems of
the development sets that the policy was not trained on:

{shown}
"""

from typing import Final

WEIGHTS: Final = (
{rows}
)
"""A row for each of `learned.CONTEXTS`, a column for each of `learned.FEATURES`."""
'''


if __name__ == "__main__":
    main()
