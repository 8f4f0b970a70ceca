"""Peers that learn task by task with gradient descent; their result depends on the order.

One linear layer on frozen features, minibatch SGD with momentum; replay memories hold features,
filled by reservoir sampling (Vitter 1985).  Orders with a common prefix share its state.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from .data import ContinualView, Floats, Rows

EPOCHS = 5
"""Chosen by hand; effect not measured."""
BATCH = 64
"""Chosen by hand; effect not measured."""
MOMENTUM = 0.9
"""The customary value of SGD."""
DECAY = 1e-3
"""Chosen by hand; effect not measured."""
RATES = (0.01, 0.03, 0.1)
"""Learning rates, half a decade apart; the best on validation rows is used."""
WAYS = ("all standard", "final standard")


@dataclass(frozen=True, slots=True)
class Gradual:
    """A peer: its replay memory size, and whether it also replays old outputs (DER++, Buzzega et
    al. 2020; a strategy of Avalanche)."""

    memory: int = 0
    outputs: float = 0.0


PEERS: dict[str, Gradual] = {
    "naive fine-tuning": Gradual(),
    "replay 100": Gradual(100),
    "replay 500": Gradual(500),
    "DER++ 500": Gradual(500, 0.5),
}


@dataclass(slots=True)
class _Memory:
    """A reservoir: each sample seen so far is in it with equal probability."""

    size: int
    random: np.random.Generator
    seen: int = 0
    rows: list[int] = field(default_factory=list)
    logits: dict[int, Floats] = field(default_factory=dict)

    def copy(self) -> "_Memory":
        """Return a copy that can be changed independently."""
        made = np.random.default_rng(self.seen)
        return _Memory(self.size, made, self.seen, [*self.rows], dict(self.logits))

    def add(self, row: int, logits: Floats) -> None:
        self.seen += 1
        if len(self.rows) < self.size:
            self.rows.append(row)
        else:
            at = int(self.random.integers(self.seen))
            if at >= self.size:
                return
            self.logits.pop(self.rows[at], None)
            self.rows[at] = row
        self.logits[row] = logits


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """The state of a learner after some tasks."""

    weights: Floats
    bias: Floats
    memory: _Memory

    def scores(self, rows: Floats) -> Floats:
        """Return scores float32 [n, classes] of prepared rows."""
        return rows @ self.weights + self.bias

    def accuracies_by_task(self, view: ContinualView, test: Mapping[int, Rows]) -> dict[int, float]:
        """Return the accuracy on each of some sets of rows."""
        return {
            name: float((self.scores(view.rows[rows]).argmax(axis=1) == view.label[rows]).mean())
            for name, rows in test.items()
        }


def start(view: ContinualView, peer: Gradual, seed: int) -> State:
    """Return a learner before its first task."""
    shape = (view.rows.shape[1], view.classes)
    memory = _Memory(peer.memory, np.random.default_rng(seed))
    return State(np.zeros(shape, np.float32), np.zeros(shape[1], np.float32), memory)


def learn(
    state: State, view: ContinualView, task: Rows, peer: Gradual, rate: float, seed: int
) -> State:
    """Learn one task; the given state stays unchanged."""
    random = np.random.default_rng(seed)
    weights, bias, memory = state.weights.copy(), state.bias.copy(), state.memory.copy()
    pace = np.zeros_like(weights)
    shift = np.zeros_like(bias)
    targets = np.eye(view.classes, dtype=np.float32)[view.label]
    # The all-taps view has many columns: the step size is scaled by the mean energy of a row.
    step = rate / max(1e-9, float(np.square(view.rows[task]).sum(axis=1).mean())) * 100
    for _ in range(EPOCHS):
        order = random.permutation(task)
        for at in range(0, len(order), BATCH):
            rows = order[at : at + BATCH]
            inputs, errors = _batch(view, rows, targets, weights, bias)
            if memory.rows:
                inputs, errors = _with_memory(
                    view,
                    memory,
                    peer=peer,
                    targets=targets,
                    layer=(weights, bias),
                    batch=(inputs, errors),
                    random=random,
                )
            pace *= MOMENTUM
            pace -= step * (inputs.T @ errors + DECAY * weights)
            shift *= MOMENTUM
            shift -= step * errors.sum(axis=0)
            weights += pace
            bias += shift
    done = State(weights, bias, memory)
    if memory.size:
        for row, logits in zip(task.tolist(), done.scores(view.rows[task]), strict=True):
            memory.add(row, logits)
    return done


def states(
    orders: Sequence[tuple[int, ...]],
    tasks: Mapping[int, Rows],
    view: ContinualView,
    peer: Gradual,
    rate: float,
    seed: int,
) -> Iterator[tuple[tuple[int, ...], State]]:
    """Yield every prefix of the orders, with the state after it; each prefix is learned once."""
    made: dict[tuple[int, ...], State] = {(): start(view, peer, seed)}
    for order in orders:
        prefixes = [order[:length] for length in range(len(order) + 1)]
        for before, prefix in pairwise(prefixes):
            if prefix not in made:
                task = tasks[prefix[-1]]
                made[prefix] = learn(
                    made[before], view, task, peer=peer, rate=rate, seed=seed + len(prefix)
                )
                yield prefix, made[prefix]


def choose(
    given: Mapping[str, ContinualView],
    order: tuple[int, ...],
    tasks: Mapping[int, Rows],
    name: str,
    held_out: int = 5,
) -> tuple[str, float]:
    """Choose preparation and step size by accuracy over one order, on every fifth training row."""
    test = np.concatenate([rows[::held_out] for rows in tasks.values()])
    rest = {task: np.setdiff1d(rows, rows[::held_out]) for task, rows in tasks.items()}
    best = (-1.0, "", 0.0)
    for way in (way for way in WAYS if way in given):
        for rate in RATES:
            *_, (_, state) = states(
                [order], rest, view=given[way], peer=PEERS[name], rate=rate, seed=0
            )
            right = fmean(state.accuracies_by_task(given[way], {0: test}).values())
            best = max(best, (right, way, rate))
    return best[1:]


def _batch(
    view: ContinualView, rows: Rows, targets: Floats, weights: Floats, bias: Floats
) -> tuple[Floats, Floats]:
    inputs = view.rows[rows]
    return inputs, (_softmax(inputs @ weights + bias) - targets[rows]) / np.float32(len(rows))


def _with_memory(
    view: ContinualView,
    memory: _Memory,
    peer: Gradual,
    targets: Floats,
    layer: tuple[Floats, Floats],
    batch: tuple[Floats, Floats],
    random: np.random.Generator,
) -> tuple[Floats, Floats]:
    chosen = np.asarray(memory.rows)[random.integers(len(memory.rows), size=BATCH)]
    inputs, errors = _batch(view, chosen, targets, *layer)
    if peer.outputs:
        kept = np.stack([memory.logits[row] for row in chosen.tolist()])
        apart = inputs @ layer[0] + layer[1] - kept
        errors = errors + peer.outputs * apart / np.float32(len(chosen))
    return np.concatenate([batch[0], inputs]), np.concatenate([batch[1], errors])


def _softmax(logits: Floats) -> NDArray[np.float32]:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)
