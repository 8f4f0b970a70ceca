import numpy as np
import pytest

from nas import PROXIES, Blueprint, ProxyNetwork
from tests.nas.sketches import build, sketch

torch = pytest.importorskip("torch")

WIDE = [Blueprint(kind="linear", taps=(0, 1, 2), width=width) for width in (2, 64)]


def constant(blueprint, sizes, seed):
    """A network whose output is equal for every fact."""
    weights = torch.ones(sum(sizes), 4, requires_grad=True)
    return ProxyNetwork({"W": weights}, lambda given, rows: (rows * 0 + 1) @ given["W"])


@pytest.mark.parametrize("name", ["naswot", "jacob_cov", "ntk_condition", "spectral"])
def test_a_constant_network_ranks_last(name):
    """A network with constant output scores below one that separates facts."""
    alike = PROXIES[name](WIDE[1:], sketch(), constant, 0)
    apart = PROXIES[name](WIDE[1:], sketch(), build, 0)
    assert alike[0] < apart[0]


def test_sizes_are_those_of_the_cost():
    """Parameters and multiply-adds grow with width."""
    for name in ("parameters", "macs", "synflow"):
        narrow, wide = PROXIES[name](WIDE, sketch(), build, 0)
        assert narrow < wide


def test_synflow_of_a_linear_network():
    """Two layers of ones have 44 * 8 paths per class, which count in both layers."""

    def ones(blueprint, sizes, seed):
        return ProxyNetwork(
            {"W": torch.ones(sum(sizes), 8, requires_grad=True)},
            lambda given, rows: rows @ given["W"],
        )

    task = sketch()
    found = PROXIES["synflow"]([Blueprint(kind="linear", taps=(0, 1, 2), width=8)], task, ones, 0)[
        0
    ]
    top = np.random.default_rng(0).standard_normal((8, 3)) / np.sqrt(8)
    assert found == pytest.approx(2 * 44 * np.abs(top).sum(), rel=1e-5)


def test_a_network_without_output_has_no_gradients():
    """With all columns zero, every gradient is zero."""

    def silent(blueprint, sizes, seed):
        zeros = torch.zeros(sum(sizes), 4, requires_grad=True)
        return ProxyNetwork({"W": zeros}, lambda given, rows: rows @ given["W"])

    blueprints = [Blueprint(kind="linear", taps=(0,), width=4)]
    assert PROXIES["snip"](blueprints, sketch(), silent, 0)[0] == 0.0
    assert PROXIES["grad_norm"](blueprints, sketch(), silent, 0)[0] > 0.0
