"""One blueprint of every kind of adaptor, for tests that cross the table of kinds."""

from __future__ import annotations

from typing import Final

import nas

EVERY: Final = (0, 1, 2)
"""The taps of an encoder with three."""

BLUEPRINTS: Final = {
    "none": nas.Blueprint(kind="none", taps=EVERY),
    "linear": nas.Blueprint(kind="linear", taps=(0, 2), width=6),
    "lowrank": nas.Blueprint(kind="lowrank", taps=EVERY, rank=3, activation="relu", depth=2),
    "sliced": nas.Blueprint(kind="sliced", taps=EVERY, rank=3, activation="relu", depth=4),
    "bottleneck": nas.Blueprint(
        kind="bottleneck", taps=EVERY, width=24, rank=12, activation="tanh", depth=2
    ),
    "fusion": nas.Blueprint(kind="fusion", taps=EVERY, width=12, rank=4, activation="none"),
    "random": nas.Blueprint(kind="random", taps=EVERY, width=40, activation="relu", depth=2),
    "kernel": nas.Blueprint(kind="kernel", taps=EVERY, width=24),
    "hydra": nas.Blueprint(kind="hydra", taps=EVERY, rank=3, activation="relu"),
    "adapter": nas.Blueprint(kind="adapter", taps=EVERY, rank=3, activation="gelu", depth=2),
    "adapter_parallel": nas.Blueprint(
        kind="adapter_parallel", taps=EVERY, rank=3, activation="relu"
    ),
    "adapter_direct": nas.Blueprint(
        kind="adapter_direct", taps=EVERY, rank=4, activation="gelu", depth=1
    ),
    "sparse": nas.Blueprint(kind="sparse", taps=EVERY, rank=2, depth=2),
    "pool": nas.Blueprint(kind="pool", taps=EVERY, rank=2, depth=3),
    "mhr": nas.Blueprint(kind="mhr", taps=EVERY, rank=3, activation="relu", depth=4),
    "mhr_z": nas.Blueprint(kind="mhr_z", taps=EVERY, rank=3, activation="relu", depth=4),
    "mhr_mu": nas.Blueprint(kind="mhr_mu", taps=EVERY, rank=3, activation="none", depth=4),
    "mixture": nas.Blueprint(kind="mixture", taps=EVERY, rank=3, activation="gelu", depth=2),
}
"""By kind; the contract tests fail for a kind that is missing here."""

VARIANTS: Final = (
    nas.Blueprint(kind="fusion", taps=EVERY, width=4, activation="relu"),
    nas.Blueprint(kind="hydra", taps=EVERY, width=5, rank=2, activation="none"),
    nas.Blueprint(kind="adapter", taps=EVERY, rank=2, activation="relu"),
    nas.Blueprint(kind="adapter_direct", taps=EVERY, rank=3, activation="gelu", depth=2),
    nas.Blueprint(kind="pool", taps=EVERY, depth=2),
    nas.Blueprint(kind="sparse", taps=EVERY, rank=1, depth=1),
)
"""Further shapes of kinds whose formula depends on them."""
