"""A simulated fleet: its sum is that of one device, whatever the seed does to its messages."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn.datasets")

from edge.sim.fleet.deliveries import deliver
from edge.sim.fleet.trial import simulate_fleet


@pytest.mark.parametrize("seed", [1, 2])
def test_a_fleet_sums_to_one_device(seed: int):
    """No bit differs, every member is in the state that its kind demands, and every poisoner is
    dropped, found or not."""
    steps: list[tuple[str, int, int]] = []
    found = simulate_fleet(90, seed, 1, lambda *step: steps.append(step))
    assert found.wrong == ()
    assert found.bits_differing == 0
    assert found.digest_equal
    assert found.devices == 90
    assert 0 < found.contributed < 90
    assert found.faults.lost > 0
    assert found.faults.doubled > 0
    assert steps[0][1:] == (90, 90)


def test_a_network_delivers_everything_in_some_order():
    """Nothing is lost for good; the same seed gives the same deliveries."""
    sent = [(f"d{n}", (b"first", b"second")) for n in range(50)]
    one, again, other = deliver(sent, 1), deliver(sent, 1), deliver(sent, 2)
    assert set(one.messages) == {(name, raw) for name, parts in sent for raw in parts}
    assert one == again != other
    assert len(one.messages) == 100 + one.doubled + one.replayed
    assert [raw for name, raw in one.messages if name == "d0"] != []
