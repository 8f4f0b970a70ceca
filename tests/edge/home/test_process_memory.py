from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edge.home.process_memory import return_free_memory

BLOCKS, BLOCK_BYTES = 2_000, 16_384


def resident_kib() -> int:
    """The resident memory of this process, in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.mark.skipif(
    sys.platform != "linux" or not Path("/proc/self/status").exists(),
    reason="needs the C library of GNU/Linux",
)
def test_free_memory_goes_back():
    """Free blocks below a used one are resident until they are returned."""
    blocks = [np.ones(BLOCK_BYTES, np.uint8) for _ in range(BLOCKS)]
    last = np.ones(BLOCK_BYTES, np.uint8)
    blocks.clear()
    held = resident_kib()
    return_free_memory()
    assert held - resident_kib() > BLOCKS * BLOCK_BYTES / 1024 / 2
    assert last.all()


def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    """Without such a call in the C library nothing happens."""
    monkeypatch.setattr(sys, "platform", "win32")
    return_free_memory()
