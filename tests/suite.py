"""How the whole suite is run: which tests make the smoke set, and which files go last."""

from __future__ import annotations

from typing import Final

MINUTES: Final = 5
"""The whole suite takes at most so long on two idle cores."""
SMOKE_SECONDS: Final = 60
"""The smoke set takes at most so long in one process on an idle core."""

SMOKE: Final = (
    "contracts/test_ledgers.py",
    "edge/core/test_runtime.py",
    "edge/daemon/test_daemon.py::test_lines_go_in_and_come_out_of_a_process",
    "edge/cli/test_app.py",
    "edge/storage/test_store.py",
    "encoder/test_shipped.py",
    "firmware_bridge/test_link.py",
    "hdc/test_detector.py",
    "hdc/test_memory.py",
    "nas/test_space.py",
    "properties/test_promises.py",
)
"""Files below tests/, or single tests of one: a cross-section of what is promised."""

SLOW: Final = (
    "edge/growth/test_torch_adaptors.py",
    "edge/growth/test_liquid_training.py",
    "benchmarks/bridge/test_run.py",
    "edge/cli/verbs/test_grow.py",
    "edge/cli/verbs/test_forecast.py",
    "docs/test_tutorials.py",
    "firmware_bridge/test_export_c.py",
    "firmware_bridge/test_boards.py",
    "edge/sim/test_simulation.py",
    "edge/demo/test_demo.py",
    "contracts/test_forecasters.py",
    "edge/growth/test_growth_job.py",
)
"""Files below tests/ that take longest, the quickest of them first.  From processor time on a busy
machine, about half of the suite measured; `--durations=0` on an idle one says it better."""


def place(name: str) -> int:
    """Where a file runs, by its path below tests/: fast ones first, in their usual order."""
    return SLOW.index(name) + 1 if name in SLOW else 0


def is_smoke(name: str, function: str) -> bool:
    """Whether a test, by its file's path below tests/ and its function, is in the smoke set."""
    return name in SMOKE or f"{name}::{function}" in SMOKE
