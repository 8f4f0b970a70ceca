from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.home.process_memory import keep_memory_small, return_free_memory

BLOCKS, BLOCK_BYTES = 2_000, 16_384


def resident_kib() -> int:
    """The resident memory of this process, in KiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


linux = pytest.mark.skipif(
    sys.platform != "linux" or not Path("/proc/self/status").exists(),
    reason="needs the C library of GNU/Linux",
)

FREED = """
import sys
import numpy as np
from edge.home import keep_memory_small
from tests.edge.home.test_process_memory import resident_kib
if sys.argv[1] == "small":
    keep_memory_small()
np.ones(16 << 20, np.uint8)  # freed at once: glibc then keeps all blocks up to this size
before = resident_kib()
blocks = [np.ones(2 << 20, np.uint8) for _ in range(20)]
last = np.ones(500_000, np.uint8)
blocks.clear()
print(resident_kib() - before)
"""


@linux
def test_large_blocks_go_back_as_they_are_freed():
    """In a process that keeps its memory small, freed blocks leave at once; else they stay."""
    kept = {
        name: int(subprocess.check_output([sys.executable, "-c", FREED, name]))
        for name in ("small", "default")
    }
    assert kept["small"] < 2 << 10
    assert kept["default"] > 20 << 10


@linux
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
    keep_memory_small()
    return_free_memory()
