from __future__ import annotations

import numpy as np
import pytest

import nas
from edge.core.adaptors import KINDS

torch = pytest.importorskip("torch")

from edge.growth import networks  # noqa: E402

SIZES = (5, 3)
BLUEPRINTS = [
    nas.Blueprint("linear", (0, 1), 4),
    nas.Blueprint("lowrank", (0, 1), 0, 2, "gelu", 2),
    nas.Blueprint("bottleneck", (0, 1), 6, 3, "tanh", 3),
    nas.Blueprint("fusion", (0, 1), 4, 0, "relu"),
    nas.Blueprint("fusion", (0, 1), 4, 2, "none"),
]


@pytest.mark.parametrize("blueprint", BLUEPRINTS, ids=lambda one: f"{one.kind}{one.rank}")
def test_what_is_trained_is_what_serves(blueprint):
    """The formulas in torch and in numpy give the same columns."""
    random = np.random.default_rng(1)
    shapes = KINDS[blueprint.kind].shapes(blueprint, SIZES)
    arrays = {n: random.standard_normal(s).astype(np.float32) for n, s in shapes.items()}
    rows = random.standard_normal((7, sum(SIZES))).astype(np.float32)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    trained = networks.transform(blueprint, tensors, SIZES, torch.from_numpy(rows)).numpy()
    served = KINDS[blueprint.kind].apply(blueprint, arrays, SIZES, rows)
    np.testing.assert_allclose(served, trained, rtol=1e-4, atol=1e-5)
