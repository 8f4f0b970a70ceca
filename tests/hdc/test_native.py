"""The hot path in C gives the numbers of numpy's path, to the bit."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import threading
from ctypes import sizeof
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hdc
from hdc import native
from hdc.layouts import DecisionLayout, ExemplarsLayout, GeometryLayout, MemoryLayout, lay_geometry
from scripts import build_native
from tests import natives
from tests.natives import both, computing_with, load

KERNELS = {
    "x86_64": ("avx512", "avx2", "sse42", "portable"),
    "aarch64": ("dotprod", "neon", "portable"),
}.get(platform.machine(), ("portable",))
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1")
CASES_SANITIZED = 5
SECONDS_MAX = 800
SEEDS = st.integers(0, 2**32)


def built(source: Path, folder: Path, flags: tuple[str, ...] = ()) -> Path:
    """The module built from the source tree; skipped where that cannot be done."""
    try:
        return build_native.build(folder, flags, source).path
    except build_native.CannotBuildError as error:
        pytest.skip(f"C and numpy were not compared: {error}")


@pytest.fixture(scope="module")
def levels(source: Path, tmp_path_factory: pytest.TempPathFactory):
    """The installed module's instruction sets, else those of one built here."""
    return native.LEVELS or load(built(source, tmp_path_factory.mktemp("native"))).LEVELS


@pytest.fixture(params=KERNELS, scope="module")
def kernel(request: pytest.FixtureRequest, levels):
    """Each instruction set that this processor has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "LEVELS", levels)
        found = {one.name: one for one in native.kernels()}
        if request.param not in found:
            pytest.skip(f"this processor does not run {request.param}")
        yield found[request.param]


@given(seed=SEEDS)
def test_codes_distances_and_scores_are_those_of_numpy(kernel, seed):
    """Random geometries, samples and memories of every form: one result, to the bit."""
    natives.check(kernel, seed)


@given(seed=SEEDS)
def test_nearest_exemplars_are_those_of_numpy(kernel, seed):
    """Exemplars of any number and width, and samples beyond the exact range."""
    natives.check_exemplars(kernel, seed)


@given(seed=SEEDS)
def test_a_decision_in_one_call_is_that_of_numpy(kernel, seed):
    """Codes, distances, novelties, the score and its concept, and the verdict."""
    natives.check_decisions(kernel, seed)


@given(seed=SEEDS)
def test_likeliest_states_are_those_of_numpy(kernel, seed):
    """The state of the last row, given those before it."""
    natives.check_likeliest(kernel, seed)


@given(seed=SEEDS)
def test_linear_scores_are_near_those_of_numpy(kernel, seed):
    """Up to the order of the sums, which is the same for every instruction set."""
    natives.check_linear(kernel, seed)


@given(seed=SEEDS)
def test_votes_are_those_without_c(kernel, seed):
    """Leads, evidence, decisive domains and what a router prefers, and the order of domains."""
    natives.check_votes(kernel, seed)


@given(seed=SEEDS)
def test_tails_are_those_without_c(kernel, seed):
    """Scores of any size, with either sign."""
    natives.check_tails(kernel, seed)


@given(seed=SEEDS)
def test_sums_over_residuals_are_those_of_numpy(kernel, seed):
    """The sums from which it follows whether a window has moved."""
    natives.check_spread(kernel, seed)


@given(seed=SEEDS)
def test_joint_scores_are_those_of_numpy(kernel, seed):
    """The lowest joint score and its concept, for any distances, scales and exemplars."""
    natives.check_joint(kernel, seed)


@given(seed=SEEDS)
def test_distances_to_landmarks_are_near_those_of_numpy(kernel, seed):
    """Rows of any width up to the largest, noise and 255 throughout."""
    natives.check_landmarks(kernel, seed)


@given(seed=SEEDS)
def test_distances_to_windows_are_those_of_numpy(kernel, seed):
    """Any number of channels and windows, and any window, sample by sample."""
    natives.check_windows(kernel, seed)


def fitted(taps: tuple[tuple[int, int], ...], width: int, count: int = 240):
    """A fitted geometry, its samples and their classes."""
    random = np.random.default_rng(width)
    centres = random.integers(40, 216, (6, width))
    labels = np.arange(count) % 6
    noise = random.integers(-30, 31, (count, width))
    rows = np.clip(centres[labels] + noise, 0, 255).astype(np.uint8)
    return hdc.fit_geometry(rows, labels, taps, 7, bits=1024), rows, labels


@pytest.mark.parametrize(
    ("taps", "width"), [(((0, 20),), 20), (((0, 96), (96, 160)), 160), (((0, 300),), 300)]
)
def test_verdicts_on_fitted_knowledge_are_those_of_numpy(kernel, taps, width):
    """C serves the geometries that are fitted, and every verdict, known or new, is the same."""
    with computing_with(None):
        geometry, rows, labels = fitted(taps, width)
        codes, memory = geometry.project(rows), hdc.Memory(geometry)
        facts = [("home", f"{label}", codes[labels == label]) for label in range(6)]
        for fact in facts:
            memory.add(*fact)
        calibration = hdc.calibrate(memory, facts)
    assert geometry.layout is not None, "numpy did not have to serve"
    strange = np.random.default_rng(1).integers(0, 256, (20, width), dtype=np.uint8)
    for row in np.concatenate([rows[:40], strange]):
        found, code = both(kernel, partial(geometry.project, row))
        assert np.array_equal(found.values, code.values)
        verdicts = both(kernel, partial(hdc.detect, code, memory, calibration))
        assert verdicts[0] == verdicts[1]
    digests = both(kernel, lambda: hdc.calibrate(memory, facts).digest())
    assert digests[0] == digests[1]


def test_ten_thousand_concepts_have_the_same_nearest(kernel):
    """Few bits, so that many distances tie: of equal ones the first concepts are taken."""
    geometry = hdc.identity_geometry(40, ((0, 40),), 3, bits=64)
    random = np.random.default_rng(0)
    with computing_with(None):
        codes = geometry.project(random.integers(0, 256, (10_000, 40), dtype=np.uint8))
        memory = hdc.Memory(geometry)
        for number in range(len(codes)):
            memory.add("home", f"{number:05}", codes[number])
    for query in codes[:20]:
        found, expected = both(kernel, partial(memory.nearest_by_bits, query, 12))
        assert np.array_equal(found, expected)


def test_numbers_beyond_the_exact_range_are_left_to_numpy(kernel):
    """Codes that no sample has, up to the largest integers: C declines, numpy answers."""
    geometry, rows, _ = fitted(((0, 160),), 160)
    memory = hdc.Memory(geometry)
    memory.add("home", "a", geometry.project(rows[:8]))
    code = geometry.project(rows[0])
    for value in (-1, 1 << 16, 1 << 24, 1 << 40, 2**63 - 1, -(2**63)):
        values = code.values.copy()
        values[0, ::7] = value
        odd = hdc.Codes(code.bits, values)
        with np.errstate(all="ignore"):
            found, expected = both(kernel, partial(memory.distances, odd))
        assert np.array_equal(found, expected)


def test_a_geometry_beyond_the_exact_range_is_left_to_numpy(kernel):
    """Numbers that a damaged file may hold are not laid out for C."""
    geometry, _, _ = fitted(((0, 160),), 160)
    blocks = (geometry.columns, geometry.plane, geometry.norms)
    flips = np.zeros(64, dtype=np.uint64)
    assert lay_geometry(160, (0, 160), flips, 1024, blocks) is not None
    assert geometry.columns is not None
    assert geometry.plane is not None
    for packed in (
        {**geometry.columns.pack("c"), "c.gains": geometry.columns.gains + np.float32(0.5)},
        {**geometry.columns.pack("c"), "c.gains": geometry.columns.gains * np.float32(2e4)},
        {**geometry.columns.pack("c"), "c.gains": geometry.columns.gains * np.float32(np.nan)},
        {**geometry.columns.pack("c"), "c.span": np.asarray([-160, 0])},
    ):
        columns = type(geometry.columns).unpack("c", packed)
        assert lay_geometry(160, (0, 160), flips, 1024, (columns, *blocks[1:])) is None
    for name, value in (("axes", 1e6), ("offset", 2**40), ("rest", 2**40), ("scale", 1e5)):
        packed = geometry.plane.pack("p")
        packed[f"p.{name}"] = np.full_like(packed[f"p.{name}"], value)
        plane = type(geometry.plane).unpack("p", packed)
        assert lay_geometry(160, (0, 160), flips, 1024, (blocks[0], plane, blocks[2])) is None


def test_threads_share_a_geometry_and_a_memory(kernel):
    """Calls from several threads at once give what one thread gives."""
    geometry, rows, labels = fitted(((0, 160),), 160)
    memory = hdc.Memory(geometry)
    for label in range(6):
        memory.add("home", f"{label}", geometry.project(rows[labels == label]))
    expected = memory.distances(geometry.project(rows))
    wrong: list[int] = []

    def work() -> None:
        for _ in range(20):
            found = memory.distances(geometry.project(rows))
            if not np.array_equal(found, expected):
                wrong.append(1)

    with computing_with(kernel):
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_short_arrays_are_refused(kernel):
    """An array that is too small for a call is an error, not a read beyond its end."""
    geometry, rows, _ = fitted(((0, 160),), 160)
    layout = geometry.layout
    assert layout is not None
    bits, values = np.empty(geometry.words, np.uint64), np.empty(geometry.values, np.int64)
    work = np.empty(layout.work_bytes, np.uint8)
    for short in ((bits[:-1], values, work), (bits, values[:-1], work), (bits, values, work[:-1])):
        with pytest.raises(ValueError, match="expected an array of at least"):
            kernel.project(layout, rows[0], *short)
    with pytest.raises(TypeError, match="expected 7 arguments, found 1"):
        kernel.landmark_distances(rows)


def test_the_layouts_are_those_of_the_module(source, tmp_path):
    """Python and C agree on the size of every structure that they share."""
    module = load(built(source, tmp_path))
    assert module.INTERFACE == native.INTERFACE
    found = (module.GEOMETRY_BYTES, module.MEMORY_BYTES, module.EXEMPLARS_BYTES)
    assert found == tuple(map(sizeof, (GeometryLayout, MemoryLayout, ExemplarsLayout)))
    assert sizeof(DecisionLayout) == module.DECISION_BYTES


def test_the_path_is_named(kernel, monkeypatch):
    """`native_path` says which instructions run, in words, or why numpy does."""
    monkeypatch.setattr(native, "KERNEL", kernel)
    assert re.fullmatch(r"C, [\w .-]+", hdc.native_path())
    assert kernel.name not in hdc.native_path()
    monkeypatch.setattr(native, "KERNEL", None)
    monkeypatch.setattr(native, "_REASON", "the C part is not built")
    assert hdc.native_path() == "numpy (the C part is not built)"


@pytest.mark.parametrize(
    ("codes", "row"),
    [
        (np.zeros((2, 3), np.uint8), np.zeros(4, np.float32)),
        (np.zeros((2, 3), np.int64), np.zeros(3, np.float32)),
        (np.zeros(3, np.uint8), np.zeros(3, np.float32)),
        (np.zeros((0, 33_026), np.uint8), np.zeros(33_026, np.float32)),
    ],
)
def test_other_landmarks_are_refused(codes, row):
    """Widths that differ, other types and rows whose products do not fit are errors with a hint."""
    numbers = np.zeros(len(codes), np.float32)
    with pytest.raises(hdc.DimensionError, match="distances to landmarks expect"):
        hdc.landmark_distances(codes, numbers.astype(np.int32), numbers, row, (row, row))


def test_windows_outside_a_series_are_refused():
    """Too few samples, more windows in use than there are, too many nearest: errors with a hint."""
    series, table = np.zeros((1, 200), np.int32), np.zeros((1, 50), np.int32)
    usual = {"at": 200, "back": 16, "gap": 64, "full": 50, "nearest": 5}
    hdc.follow_windows(series, table, **usual)
    for wrong in (
        {"at": 129},
        {"at": 201},
        {"full": 51},
        {"full": 4},
        {"nearest": 17},
        {"back": 0},
    ):
        with pytest.raises(hdc.DimensionError, match="following windows expects"):
            hdc.follow_windows(series, table, **(usual | wrong))


@pytest.mark.timeout(900)  # sanitizers slow the process down, more so on a busy machine
def test_sanitizers_find_nothing(source, tmp_path):
    """The C runs all kinds of cases under the address and undefined-behaviour sanitizers."""
    if shutil.which("gcc") is None:
        pytest.skip("no sanitizer was run: gcc is not installed")
    path = built(source, tmp_path, SANITIZERS)
    runtime = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    command = [sys.executable, "-m", "tests.natives", str(path), str(CASES_SANITIZED)]
    # Python itself keeps memory until it ends.
    env = {**os.environ, "LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}
    ran = subprocess.run(
        command,
        cwd=Path(__file__).parents[2],
        env=env,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    assert "portable" in ran.stdout
