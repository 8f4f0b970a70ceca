"""Small tasks with known structure, and networks for proxies."""

import numpy as np

from nas import Blueprint, ProxyNetwork, TaskSketch

SPANS = ((0, 24), (24, 32), (32, 44))


def sketch(seed=0, own=40, others=20, classes=3, separation=1.0, informative=0) -> TaskSketch:
    """A task with one informative tap; labels alternate."""
    random = np.random.default_rng(seed)
    count = own + others
    targets = np.arange(count) % classes
    rows = random.standard_normal((count, SPANS[-1][1])).astype(np.float32)
    start, stop = SPANS[informative]
    rows[:, start:stop] += separation * random.standard_normal((classes, stop - start))[targets]
    return TaskSketch(rows, targets.astype(np.int64), np.arange(count) < own, SPANS)


def build(blueprint: Blueprint, sizes: tuple[int, ...], seed: int) -> ProxyNetwork:
    """A network of one nonlinear layer for any blueprint; needs torch."""
    import torch

    random = np.random.default_rng(seed)
    width = blueprint.width or sum(sizes)
    drawn = random.standard_normal((sum(sizes), width)).astype(np.float32)
    parameters = {"W": torch.from_numpy(drawn).requires_grad_()}
    return ProxyNetwork(parameters, lambda given, rows: torch.relu(rows @ given["W"]))
