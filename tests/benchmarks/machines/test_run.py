"""Equal facts give equal bits, whatever adds the numbers."""

from __future__ import annotations

import json

import pytest

from benchmarks.machines.digests import EXPECTED, STAGES, differing, digests_of, dump, load
from benchmarks.machines.run import KERNELS, digests_under, kernels_here, run
from benchmarks.machines.sets import AWKWARD, SETS


def test_this_machine_finds_the_digests_that_every_machine_must():
    """Geometry, memory, calibration, verdicts and knowledge are those in the repository.

    After a change that is meant to change them:
    `python -m benchmarks machines --digests-only > benchmarks/machines/expected.json`.
    """
    assert differing(digests_of(SETS), load(EXPECTED)[1]) == {}


@pytest.mark.parametrize("kernel", sorted(KERNELS))
def test_every_kernel_finds_them(kernel):
    """OpenBLAS's kernels, its threads and numpy's vector instructions change no bit."""
    if kernel not in kernels_here():
        pytest.skip(f"{kernel} cannot be forced on this processor")
    assert differing(digests_under(kernel, AWKWARD), load(EXPECTED)[1]) == {}


def test_all_sets_have_expected_digests_of_every_stage():
    """No set and no stage is left out of the comparison."""
    assert {name: set(found) for name, found in load(EXPECTED)[1].items()} == {
        name: set(STAGES) for name in SETS
    }


def test_a_file_of_another_machine_is_compared(tmp_path, monkeypatch):
    """`--against` counts the sets that differ, and names them with their stages."""
    monkeypatch.setattr("benchmarks.machines.run.kernels_here", tuple)
    names = ["clouds", "twin_columns"]
    content = json.loads(dump(names))
    content["architecture"] = "aarch64"
    content["digests"]["clouds"]["verdicts"] = "0"
    path = tmp_path / "digests.json"
    path.write_text(json.dumps(content))
    report = run(None, against=path, sets=names)
    assert report.summary["sets"] == 2
    assert report.summary["digests_equal_aarch64"] == 0.5
    assert report.notes == ("aarch64: clouds differs in verdicts",)
