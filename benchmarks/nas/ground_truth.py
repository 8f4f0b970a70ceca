"""Ground truth of the search: held-out accuracy of the trained blueprints, to evaluate proxies.

Cached in files, since it takes a quarter of an hour: one per task, under a name that depends on the
task's data, the space and the training code, so that any change computes it again.
"""

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import nas
from edge import growth
from edge.core import FactBatch, GrowthJob, adaptors, select_rows
from edge.core.adaptors import (
    HoldoutScores,
    build_transform,
    solve_adaptor,
    standardise,
    transform_shapes,
)
from edge.growth import (
    choose_candidate,
    score_blueprint,
    split_holdout,
    torch_activate,
    torch_transform,
)

from .tasks import SearchTask, list_space

Kept = TypeVar("Kept", np.float64, np.bool_)
SEED = 0
"""Of splits and training.  Any would do."""
UNTRAINED = ("centre", "factor", "penalty", "K")
"""Arrays that no gradient reaches: the scaling, a kernel's penalty, the keys of a pool."""
PLACES = ("row", "column")
"""Arrays of whole numbers: where the entries of a sparse delta are."""
WIDTH_MAX = 4_096
"""At least as many random directions as any candidate uses."""


def find_truth(task: SearchTask, folder: Path) -> NDArray[np.bool_]:
    """Return whether each blueprint of `list_space` answers each held-out fact correctly: bool
    [blueprints, held]."""
    space = list_space(len(task.spans))

    def train_all() -> NDArray[np.bool_]:
        return np.array([measure(one, task) for one in space])

    return _cached(folder / f"nas-{task.name}-{_key(task, space)}.npy", train_all)


def run_halving(task: SearchTask, folder: Path) -> tuple[int, float]:
    """Choose by successive halving over the same space: index of the choice, CPU seconds.

    A quarter of the facts validates; the first round trains on a quarter of the others.  Cached
    like the ground truth, with the seconds of the original run.
    """
    space = list_space(len(task.spans))

    def choose() -> NDArray[np.float64]:
        order = np.random.default_rng(SEED).permutation(len(task.own))
        judging, lessons = np.split(order, [len(order) // 4])
        features, sought = task.own.features[judging], np.array(task.own.labels)[judging]

        def train(blueprint: nas.Blueprint, facts: int) -> float:
            own = _some(task.own, lessons[:facts])
            return float(grade(blueprint, task, own, features, sought).mean())

        started = time.process_time()
        found = nas.successive_halving(space, train, len(lessons), max(1, len(lessons) // 4))
        assert not isinstance(found, nas.NoFit)
        return np.array([space.index(found[0]), time.process_time() - started])

    place, seconds = _cached(folder / f"nas-halving-{task.name}-{_key(task, space)}.npy", choose)
    return int(place), float(seconds)


def measure(blueprint: nas.Blueprint, task: SearchTask) -> NDArray[np.bool_]:
    """Train a blueprint on the domain's facts; return which held-out facts it answers correctly."""
    return grade(blueprint, task, task.own, task.held, task.sought)


def grade(
    blueprint: nas.Blueprint,
    task: SearchTask,
    own: FactBatch,
    features: NDArray[np.uint8],
    sought: NDArray[np.str_],
) -> NDArray[np.bool_]:
    """Train a blueprint on facts of the domain; return which of other facts it answers
    correctly."""
    arrays = growth.train_adaptor(blueprint, own, task.others, task.spans, SEED)
    standard = standardise(own, task.others, task.spans)
    fitted = solve_adaptor(
        build_transform((blueprint, arrays), task.spans), own, task.others, standard
    )
    answers = np.array(fitted.labels)[fitted.answer(features).argmax(axis=1)]
    return np.asarray(answers == sought)


@dataclass(frozen=True, slots=True, eq=False)
class FittedList:
    """Held-out results of blueprints of a short list, as growth fits them; CPU seconds."""

    held_out: tuple[HoldoutScores, ...]
    seconds: float

    @property
    def accuracies(self) -> list[float]:
        """The accuracy of each."""
        return [one.accuracy for one in self.held_out]

    def choose(self, count: int) -> int:
        """Return the place of the one that growth chooses of the first ones."""
        return choose_candidate(self.held_out[:count])


def run_fits(task: SearchTask, few: Sequence[nas.Blueprint]) -> FittedList:
    """Cross-fit blueprints on the domain's facts as growth does."""
    open_budget = nas.AdaptorBudget(1 << 40, 1 << 40, 1e9)
    job = GrowthJob(
        id="fits",
        domain="fits",
        version=1,
        seed=SEED,
        budget=open_budget,
        spans=task.spans,
        own=task.own,
        others=task.others,
    )
    started = time.process_time()
    parts = split_holdout(job.own, job.others)
    scored = [score_blueprint(one, growth.train_adaptor, job, parts).held_out for one in few]
    return FittedList(tuple(scored), time.process_time() - started)


def build_network(blueprint: nas.Blueprint, sizes: tuple[int, ...], seed: int) -> nas.ProxyNetwork:
    """Build a blueprint's network with random weights, for gradient-based proxies."""
    ends = np.cumsum([0, *sizes]).tolist()
    whole = nas.Blueprint(
        kind=blueprint.kind,
        taps=tuple(range(len(sizes))),
        width=blueprint.width,
        rank=blueprint.rank,
        activation=blueprint.activation,
        depth=blueprint.depth,
    )
    spans = tuple(pairwise(ends))
    random = np.random.default_rng(seed)
    parameters, fixed = {}, {"factor": torch.ones(sum(sizes))}
    for name, shape in sorted(transform_shapes(whole, spans).items()):
        drawn = random.standard_normal(shape) / np.sqrt(shape[0])
        if name in PLACES:
            fixed[name] = torch.from_numpy(random.integers(0, sum(sizes), shape))
        elif name in UNTRAINED:
            fixed.setdefault(name, torch.from_numpy(drawn.astype(np.float32)))
        else:
            parameters[name] = torch.from_numpy(drawn.astype(np.float32)).requires_grad_()

    def forward(given: dict[str, Tensor], rows: Tensor) -> Tensor:
        if blueprint.kind == "none":
            return rows
        if blueprint.kind == "random":
            drawn = _directions(sum(sizes), seed)[:, : blueprint.width].to(rows.dtype)
            return torch_activate(blueprint.activation, rows @ drawn)
        if blueprint.kind == "kernel":
            drawn = _directions(sum(sizes), seed)[:, : blueprint.width].to(rows.dtype)
            return torch.cos(rows @ drawn + torch.arange(blueprint.width) % 4 * (torch.pi / 2))
        # Places are whole numbers; the other arrays that are not trained follow the rows.
        kept = {
            name: value.to(rows.dtype) if value.is_floating_point() else value
            for name, value in fixed.items()
        }
        return torch_transform(whole, {**kept, **given}, sizes, rows)

    return nas.ProxyNetwork(parameters, forward)


@cache
def _directions(read: int, seed: int) -> Tensor:
    """Return Gaussian directions instead of seeded Hadamard ones: the same kernel, with
    gradients."""
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.standard_normal((read, WIDTH_MAX), np.float32) / read**0.5)


def _cached(path: Path, make: Callable[[], NDArray[Kept]]) -> NDArray[Kept]:
    """Read numbers from a file, or compute and write them atomically."""
    if path.is_file():
        found: NDArray[Kept] = np.load(path, allow_pickle=False)
        return found
    made = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.npy")
    np.save(partial, made)
    partial.replace(path)
    return made


def _some(batch: FactBatch, rows: NDArray[np.int64]) -> FactBatch:
    return select_rows(batch, np.sort(rows))


def _key(task: SearchTask, space: list[nas.Blueprint]) -> str:
    state = hashlib.sha256(repr((space, SEED, task.spans, task.own.ids, task.others.ids)).encode())
    for batch in (task.own, task.others):
        state.update(repr((batch.labels, batch.domains)).encode() + batch.features.tobytes())
    state.update(task.held.tobytes() + task.sought.tobytes())
    for path in _sources():
        state.update(path.read_bytes())
    return state.hexdigest()[:16]


def _sources() -> list[Path]:
    """Return the source files that determine the result of training."""
    trained, served = (Path(str(package.__file__)).parent for package in (growth, adaptors))
    return [
        *(trained / f"{name}.py" for name in ("adaptor_training", "torch_adaptors")),
        *(trained / f"{name}.py" for name in ("training_set", "training_steps", "schedules")),
        *sorted((trained / "recipes").glob("*.py")),
        *sorted(served.glob("*.py")),
    ]
