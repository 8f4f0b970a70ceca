from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import nas
from edge.core.adaptors.kinds import KINDS

torch = pytest.importorskip("torch")

from edge.growth import torch_adaptors as networks  # noqa: E402 - skipped without torch
from edge.growth.optimisation import AdamW  # noqa: E402 - skipped without torch

SIZES = (5, 3)
BLUEPRINTS = [
    nas.Blueprint(kind="linear", taps=(0, 1), width=4),
    nas.Blueprint(kind="lowrank", taps=(0, 1), rank=2, activation="gelu", depth=2),
    nas.Blueprint(kind="sliced", taps=(0, 1), rank=2, activation="relu", depth=4),
    nas.Blueprint(kind="bottleneck", taps=(0, 1), width=6, rank=3, activation="tanh", depth=3),
    nas.Blueprint(kind="fusion", taps=(0, 1), width=4, activation="relu"),
    nas.Blueprint(kind="fusion", taps=(0, 1), width=4, rank=2, activation="none"),
]


@pytest.mark.parametrize("blueprint", BLUEPRINTS, ids=lambda one: f"{one.kind}{one.rank}")
def test_serving_equals_training(blueprint):
    """The formulas in torch and in numpy give the same columns."""
    random = np.random.default_rng(1)
    shapes = KINDS[blueprint.kind].shapes(blueprint, SIZES)
    arrays = {n: random.standard_normal(s).astype(np.float32) for n, s in shapes.items()}
    rows = random.standard_normal((7, sum(SIZES))).astype(np.float32)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    trained = networks.torch_transform(blueprint, tensors, SIZES, torch.from_numpy(rows)).numpy()
    served = KINDS[blueprint.kind].apply(blueprint, arrays, SIZES, rows)
    np.testing.assert_allclose(served, trained, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("blueprint", BLUEPRINTS, ids=lambda one: f"{one.kind}{one.rank}")
def test_short_and_long_products_agree(blueprint):
    """Scores and gradients equal those of the columns times the top, up to rounding."""
    random = np.random.default_rng(2)
    shapes = KINDS[blueprint.kind].shapes(blueprint, SIZES)
    width = blueprint.width or sum(SIZES)
    shapes = {**shapes, "top": (width, 3)}
    drawn = {n: random.standard_normal(s).astype(np.float32) for n, s in shapes.items()}
    rows = torch.from_numpy(random.standard_normal((7, sum(SIZES))).astype(np.float32))
    found = []
    for way in (networks.torch_logits, _long_way):
        leaves = {name: torch.tensor(array, requires_grad=True) for name, array in drawn.items()}
        scores = way(blueprint, leaves, SIZES, rows)
        slopes = torch.autograd.grad(scores.square().sum(), list(leaves.values()))
        found.append([scores.detach(), *slopes])
    for short, long in zip(*found, strict=True):
        torch.testing.assert_close(short, long, rtol=1e-3, atol=1e-2)


def _long_way(blueprint, leaves, sizes, rows):
    return networks.torch_transform(blueprint, leaves, sizes, rows) @ leaves["top"]


def test_steps_equal_those_of_torch():
    """AdamW updates every number as torch's own does, bit for bit."""
    start = [torch.randn(shape, generator=torch.manual_seed(0)) for shape in ((30, 8), (8, 3))]
    rows = torch.randn(20, 30, generator=torch.manual_seed(1))
    ours, theirs = ([one.clone().requires_grad_() for one in start] for _ in range(2))
    steps = AdamW(ours, 3e-3, 1e-2)
    optimiser = torch.optim.AdamW(theirs, lr=3e-3, weight_decay=1e-2)
    for _ in range(30):
        steps.step(torch.autograd.grad(_loss(rows, ours), ours))
        optimiser.zero_grad()
        torch.autograd.backward(_loss(rows, theirs))
        optimiser.step()
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def _loss(rows, leaves):
    return (torch.tanh(rows @ leaves[0]) @ leaves[1]).square().mean()


def test_training_loads_no_compiler():
    """Training an adaptor does not load torch's compiler, which costs 1.5 s and 100 MiB."""
    code = (
        "import sys, numpy as np, nas\n"
        "from edge.core import untimed_batch\n"
        "from edge.growth import train_adaptor\n"
        "own = untimed_batch(('a', 'b'), ('d', 'd'), ('x', 'y'), np.eye(2, 8, dtype=np.uint8))\n"
        "others = untimed_batch((), (), (), np.zeros((0, 8), np.uint8))\n"
        "blueprint = nas.Blueprint(kind='linear', taps=(0,), width=4)\n"
        "train_adaptor(blueprint, own, others, ((0, 8),), 0)\n"
        "print('torch._dynamo' in sys.modules, 'torch._inductor' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
