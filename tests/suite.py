"""The order of the suite: the tests of the smoke set, and the slow files that run last."""

from __future__ import annotations

from typing import Final

MINUTES: Final = 20
"""Upper bound for the whole suite on two idle cores."""
SMOKE_SECONDS: Final = 60
"""Upper bound for the smoke set in one process on an idle core."""

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
"""Files below tests/, or single tests: a cross-section of the promises."""

SLOW: Final = (
    "edge/growth/test_torch_adaptors.py",
    "edge/growth/test_forecaster_training.py",
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
    "benchmarks/continual/test_domains_stream.py",
    "examples/test_frigate.py",
    "edge/web/test_process.py",
    "edge/web/test_label_pictures.py",
    "edge/web/test_forget.py",
    "edge/web/test_first_run.py",
    "edge/web/test_health.py",
    "edge/web/test_now.py",
    "edge/web/test_label_screen.py",
    "edge/web/test_screens.py",
)
"""The slowest files below tests/, fastest first, by processor time on a busy machine."""


def place(name: str) -> int:
    """The position of a file, by its path below tests/: fast files first, in their usual order."""
    return SLOW.index(name) + 1 if name in SLOW else 0


def is_smoke(name: str, function: str) -> bool:
    """Whether a test, by its file's path below tests/ and its function, is in the smoke set."""
    return name in SMOKE or f"{name}::{function}" in SMOKE
