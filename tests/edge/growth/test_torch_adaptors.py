from __future__ import annotations

import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from edge.growth.optimisation import AdamW  # noqa: E402 - skipped without torch


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
