"""Equal facts on several floating-point kernels, and on other machines: digests must be equal.

Each kernel is forced in a process of its own: OpenBLAS chooses another one by `OPENBLAS_CORETYPE`,
numpy leaves instructions out by `NPY_DISABLE_CPU_FEATURES`.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..report import BenchmarkReport, BenchmarkRow
from .digests import EXPECTED, STAGES, Digests, differing, digests_of, load
from .sets import SETS

KERNELS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "SkylakeX": ("avx512f", {"OPENBLAS_CORETYPE": "SkylakeX"}),
    "Haswell": ("avx2", {"OPENBLAS_CORETYPE": "Haswell"}),
    "Sandybridge": ("avx", {"OPENBLAS_CORETYPE": "Sandybridge"}),
    "Nehalem": ("sse4_2", {"OPENBLAS_CORETYPE": "Nehalem"}),
    "two threads": ("sse2", {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}),
    "numpy without AVX": ("avx2", {"NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3"}),
}
"""What is forced, with the processor's flag that it needs."""

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def run(
    _data: Path | None, against: Path | None = None, sets: Sequence[str] = ()
) -> BenchmarkReport:
    """Compare the digests of all sets, about a minute; no data needed.

    against: a file of `--digests-only` from another machine.
    """
    names = tuple(sets) or tuple(SETS)
    here = digests_of(names)
    others: dict[str, Digests] = {name: digests_under(name, names) for name in kernels_here()}
    kernels = tuple(others)
    others["expected"] = load(EXPECTED)[1]
    summary: dict[str, float] = {"sets": len(names)}
    if kernels:
        summary["digests_equal_x86_kernels"] = _share_equal(here, [others[k] for k in kernels])
    summary["digests_equal_expected"] = _share_equal(here, [others["expected"]])
    if against is not None:
        architecture, found = load(against)
        others[architecture] = found
        summary[f"digests_equal_{architecture}"] = _share_equal(here, [found])
    rows, notes = [], []
    for name, found in others.items():
        apart = differing(here, found)
        rows += [
            BenchmarkRow(name, f"{stage} differ", sum(stage in s for s in apart.values()))
            for stage in STAGES
        ]
        rows.append(BenchmarkRow(name, "sets", len(here.keys() & found.keys())))
        notes += [f"{name}: {one} differs in {', '.join(s)}" for one, s in apart.items()]
    return BenchmarkReport("machines", tuple(rows), summary, tuple(notes))


def kernels_here() -> tuple[str, ...]:
    """Return the kernels that this processor can be forced to use; none if it is no x86-64."""
    if platform.machine() != "x86_64" or not Path("/proc/cpuinfo").exists():
        return ()
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    return tuple(name for name, (flag, _) in KERNELS.items() if flag in flags)


def digests_under(kernel: str, names: Sequence[str]) -> Digests:
    """Return the digests that a process finds with a kernel."""
    command = [sys.executable, "-m", "benchmarks", "machines", "--digests-only"]
    done = subprocess.run(
        [*command, "--sets", *names],
        env={**os.environ, **ONE_THREAD, **KERNELS[kernel][1]},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    found: Digests = json.loads(done.stdout)["digests"]
    return found


def _share_equal(here: Digests, others: Sequence[Digests]) -> float:
    """Return the share of the sets in common whose digests are the same in all others."""
    common = [name for name in here if all(name in other for other in others)]
    apart = set().union(*(differing(here, other) for other in others))
    return 1 - len(apart) / max(1, len(common))
