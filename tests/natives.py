"""The C part of hdc for tests: built where it is not installed, and compared with numpy.

`python -m tests.natives MODULE SEEDS` compares a module built with sanitizers on that many random
cases, in a process of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

import hdc
from hdc import native
from hdc.blocks import Columns, Norms, Plane
from hdc.geometry import Geometry
from hdc.integers import Ints, combine
from hdc.joint import NearestExemplars, ScoredSamples, join_one_score
from hdc.memory import Memory
from hdc.neighbours import Exemplars, coordinates, nearest, nearest_to_one
from hdc.normal import upper_tail
from hdc.spread import TERMS

Result = TypeVar("Result")
WIDTHS = (1, 2, 3, 7, 8, 9, 24, 31, 33, 63, 64, 65, 127, 128, 129, 200, 255, 257, 700, 1280, 2064)
BITS = (64, 128, 192, 256, 1024, 1984, 8192)
GAINS_SUM = 65_000
SMALL = 1 << 24


def load(path: Path) -> ModuleType:
    """The module in a file."""
    loader = ExtensionFileLoader("hdc._native", str(path))
    spec = spec_from_loader("hdc._native", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


@contextmanager
def computing_with(kernel: native.Kernel | None) -> Iterator[None]:
    """Let hdc use one kernel, or numpy alone."""
    before = native.KERNEL
    native.KERNEL = kernel
    try:
        yield
    finally:
        native.KERNEL = before


def both(kernel: native.Kernel, call: Callable[[], Result]) -> tuple[Result, Result]:
    """The results of a call in C and in numpy."""
    with computing_with(kernel):
        found = call()
    with computing_with(None):
        return found, call()


@dataclass(frozen=True)
class Case:
    """A geometry, samples of several layouts, and a memory of that geometry."""

    geometry: Geometry
    rows: NDArray[np.uint8]
    memory: Memory


def case_of(random: np.random.Generator) -> Case:
    """A random case; every form that the C distinguishes comes up."""
    width = int(random.choice(WIDTHS)) if random.random() < 0.7 else int(random.integers(1, 2065))
    bits = int(random.choice(BITS))
    edges = np.unique([0, width, *random.integers(0, width + 1, int(random.integers(0, 5)))])
    slices = tuple((int(a), int(b)) for a, b in pairwise(edges.tolist()))
    seed = int(random.integers(0, 2**62))
    scale = random.integers(1, 1 + int(random.choice([1, 3, 300])), width).astype(np.float64)
    zeros = random.integers(-3, 300, width).astype(np.float64) * random.integers(0, 2)
    columns = _columns(random, width) if random.random() < 0.8 else None
    plane = norms = None
    if columns is not None and random.random() < 0.8:
        plane = _plane(random, slices[-1], scale, zeros)
    if plane is not None and random.random() < 0.5:
        mix = random.integers(-(2**17), 2**17, (len(slices), len(slices)))
        norms = Norms(np.asarray(slices, dtype=np.int64), scale, zeros, mix)
    blocks = sum(one is not None for one in (columns, plane, norms))
    scales = np.stack([random.integers(0, 3000, 4), random.integers(1, 4000, 4)], axis=1)
    geometry = Geometry(
        width=width,
        slices=slices,
        seed=seed,
        bits=bits,
        scales=scales[: 1 + blocks].astype(np.int64),
        columns=columns,
        plane=plane,
        norms=norms,
    )
    return Case(geometry, _rows(random, width), _memory(random, geometry))


def _columns(random: np.random.Generator, width: int) -> Columns:
    start = int(random.integers(0, width))
    stop = int(random.integers(start + 1, width + 1))
    most = max(1, GAINS_SUM // (stop - start) if random.random() < 0.5 else 20)
    gains = random.integers(0, min(most, GAINS_SUM // (stop - start)) + 1, stop - start)
    return Columns(np.asarray([start, stop], dtype=np.int64), gains.astype(np.float32))


def _plane(
    random: np.random.Generator,
    tap: tuple[int, int],
    scale: NDArray[np.float64],
    zeros: NDArray[np.float64],
) -> Plane:
    part = slice(*tap)
    size = tap[1] - tap[0]
    rank = int(random.integers(1, min(size, 140) + 1))
    most = GAINS_SUM // size
    axes = random.integers(-most, most + 1, (size, rank)).astype(np.float32)
    fixed = 0
    if random.random() < 0.5:
        largest = np.maximum(np.abs(zeros[part]), np.abs(255 - zeros[part])) * scale[part]
        fixed = int(np.sqrt(np.square(largest).sum())) + int(random.integers(1, 1000))
    return Plane(
        span=np.asarray(tap, dtype=np.int64),
        fixed=np.asarray([fixed], dtype=np.int64),
        scale=scale[part],
        zeros=zeros[part],
        axes=axes,
        offset=random.integers(-(2**20), 2**20, rank),
        gains=random.integers(0, 3_000_000, rank),
        centre=random.integers(-900, 900, rank),
        lengths=random.integers(0, 40_000, rank),
        rest=np.asarray([int(random.integers(0, 2**34)) if random.random() < 0.6 else 0]),
    )


def _rows(random: np.random.Generator, width: int) -> NDArray[np.uint8]:
    """Noise, the extreme samples, and views that are not contiguous; sometimes none."""
    rows = random.integers(0, 256, (10, width), dtype=np.uint8)
    rows[0], rows[1] = 0, 255
    rows[2] = np.where(random.random(width) < 0.02, 255, 0)
    kind = int(random.integers(0, 4))
    if kind == 0:
        return np.asfortranarray(rows)
    if kind == 1:
        return np.repeat(np.repeat(rows, 2, axis=0), 3, axis=1)[::2, ::3]
    return rows[:0] if random.random() < 0.1 else rows


def _memory(random: np.random.Generator, geometry: Geometry) -> Memory:
    """One concept, a few, or more than are compared in full."""
    few = int(random.choice([1, 2, 5, 31, 33, 40]))
    count = few if random.random() < 0.8 or geometry.values > 200 else 700
    memory = Memory(geometry)
    with computing_with(None):
        codes = geometry.project(random.integers(0, 256, (count, geometry.width), dtype=np.uint8))
        for number in range(count):
            memory.add(f"domain {number % 3}", f"{number:04}", codes[number])
    return memory


def check(kernel: native.Kernel, seed: int) -> None:
    """Compare C and numpy on a random case: codes, distances, scores, the nearest, verdicts."""
    random = np.random.default_rng(seed)
    case = case_of(random)
    memory, geometry = case.memory, case.geometry
    found, expected = both(kernel, lambda: geometry.project(case.rows))
    assert np.array_equal(found.bits, expected.bits)
    assert np.array_equal(found.values, expected.values)
    memory = Memory.unpack(geometry, memory.pack())
    count = len(memory.keys)
    only = np.sort(random.permutation(count)[: int(random.integers(0, count + 1))])
    for chosen in (None, only):
        apart = both(kernel, partial(memory.distances, expected, chosen))
        assert np.array_equal(*apart)
    scales = np.tile(geometry.scales, (count, 1, 1))
    scales[..., 0] += random.integers(0, 50, (count, 1))
    every = np.concatenate([geometry.scales[None], scales])
    for row in range(len(expected)):
        code = expected[row]
        for wanted in {1, min(12, count), count}:
            places = both(kernel, partial(memory.nearest_by_bits, code, wanted))
            assert np.array_equal(*places)
        _check_compare(kernel, memory, code, every, only if row % 2 and len(only) else None)


def _check_compare(
    kernel: native.Kernel,
    memory: Memory,
    code: hdc.Codes,
    scales: Ints,
    only: NDArray[np.intp] | None,
) -> None:
    with computing_with(kernel):
        compared = memory.compare(code, scales, only)
    with computing_with(None):
        assert memory.compare(code, scales, only) is None
        distances = memory.distances(code, only)[0]
    votes, own = memory.geometry.votes, scales[1:] if only is None else scales[1:][only]
    if compared is None:
        # C says that it cannot serve, and only where numbers are too large for it.
        assert max(np.abs(code.values).max(), distances.max()) >= SMALL or _largest(memory) >= SMALL
        return
    assert np.array_equal(compared[0], distances)
    assert np.array_equal(compared[1], combine(distances, scales[0], votes))
    assert np.array_equal(compared[2], combine(distances, own, votes))


def check_exemplars(kernel: native.Kernel, seed: int) -> None:
    """Compare the nearest exemplars of random sizes."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, [40, 30, 40, 140])
    columns = random.integers(0, 60_000, (sizes[0], sizes[1])).astype(np.float32)
    plane = random.integers(-5000, 5000, (sizes[2], sizes[3])).astype(np.float32)
    held = Exemplars(np.arange(max(sizes[0], sizes[2]), dtype=np.uint64), columns, plane)
    most = 2 ** int(random.choice([10, 16, 30, 62]))
    first, second = (random.integers(-most, most, size) for size in (sizes[1], sizes[3]))
    found, expected = both(kernel, lambda: nearest_to_one(held, first, second))
    assert found == expected
    rows = min(sizes[0], sizes[2])
    own = np.where(random.random(rows) < 0.5, held.keys[:rows], np.uint64(1 << 40))
    # The largest leave the range in which C is exact.
    apart = columns[:rows] + np.float32(random.choice([0, 1_000, 1 << 22]))
    many, expected_many = both(kernel, lambda: nearest(held, apart, plane[:rows], own))
    assert many.tolist() == expected_many.tolist()


def check_joint(kernel: native.Kernel, seed: int) -> None:
    """Compare joint scores with exemplars: ties, concepts without any, and odd scales."""
    random = np.random.default_rng(seed)
    case = case_of(random)
    while case.geometry.plane is None or not len(case.rows):
        case = case_of(random)
    geometry, count = case.geometry, int(random.integers(1, 20))
    with computing_with(None):
        codes = geometry.project(case.rows)
        held = geometry.project(random.integers(0, 256, (60, geometry.width), dtype=np.uint8))
    columns, plane = coordinates(geometry, held)
    keys = np.arange(60, dtype=np.uint64)
    exemplars = tuple(
        None
        if random.random() < 0.2
        else Exemplars(keys[:n], columns[:n], plane[: int(random.integers(1, n + 1))])
        for n in random.integers(1, 61, count).tolist()
    )
    most = int(random.choice([3, 4000, 2**40]))
    shape = (count, 1 + len(geometry.blocks))
    distances, scores = random.integers(0, most, shape), random.integers(0, most, count)
    scales = np.stack([random.integers(0, most, shape), random.integers(1, most, shape)], axis=-1)
    near = np.stack([random.integers(0, most, (count, 2))] * 2, axis=-1)
    near[..., 1] += 1
    for row in range(len(codes)):
        samples = ScoredSamples(geometry, codes[row])
        nearest = NearestExemplars(exemplars, near)
        arguments = (distances, scores, scales, samples, nearest)
        found, expected = both(kernel, partial(join_one_score, *arguments))
        assert found == expected


def check_landmarks(kernel: native.Kernel, seed: int) -> None:
    """Compare distances to random landmarks with those of numpy and of 64-bit numbers, up to the
    order of the sums and the rounding to 16 bits."""
    random = np.random.default_rng(seed)
    rows, width = int(random.integers(0, 140)), int(random.choice([*WIDTHS, 5000, 33_025]))
    codes = random.integers(0, 256, (rows if width < 5000 else rows % 5, width), dtype=np.uint8)
    codes[: len(codes) // 3] = 255
    row, step, shift = random.normal(0, 1, (3, width)).astype(np.float32)
    row *= np.float32(random.choice([0.0, 1e-3, 1.0]))
    step, sums = np.abs(step) / np.float32(16), codes.sum(axis=1, dtype=np.int32)
    lengths = np.square(codes * step).sum(axis=1, dtype=np.float32)
    given = (codes, sums, lengths, row, (step, shift))
    c, numpy = both(kernel, lambda: native.landmark_distances(*given))
    wide, size = (row * step).astype(np.float64), np.abs(row * step).max()
    exact = 2 * (codes @ wide - row @ shift.astype(np.float64) - row @ row / 2) - lengths
    largest = np.abs(codes @ np.abs(wide)).max(initial=0) + np.abs(row * shift).sum() + row @ row
    largest += lengths.max(initial=0)
    assert c.dtype == np.float32
    assert (c <= 0).all()
    assert np.abs(c - numpy).max(initial=0) <= 1e-5 * largest
    rounded = sums * size / 32_767
    assert (np.abs(c - np.minimum(exact, 0)) <= rounded + 1e-5 * largest).all()


def check_votes(kernel: native.Kernel, seed: int) -> None:
    """Compare what functions of votes.py find and change for random domains, alike and different,
    with few novelties so that some are equal."""
    random = np.random.default_rng(seed)
    names = [f"domain-{one}" for one in range(int(random.integers(1, 9)))]
    span = int(random.choice([3, 5_000, 1 << 24]))

    def numbers() -> dict[str, int]:
        chosen = [one for one in random.permutation(names).tolist() if random.random() < 0.8]
        return {one: int(random.integers(0, span)) for one in chosen or names[:1]}

    leads, newest, oldest = numbers(), numbers(), numbers()
    oldest = {one: oldest.get(one, 5) for one in newest} if seed % 2 else oldest
    places = {one: place for place, one in enumerate(names[seed % 3 :])}
    logits = (
        random.normal(0, 3, len(places)).astype(np.float32) if places else np.empty(0)
    ).tolist()
    domain, most, length = str(random.choice([*names, "other"])), int(span // 2), len(names)

    def all_of_it() -> tuple[object, ...]:
        held, since, evidence = {**leads}, dict.fromkeys(names, length), {**oldest}
        slid = hdc.slide(held, newest, oldest)
        highest = hdc.gather(evidence, since, newest, domain, most)
        led = hdc.leader(leads), hdc.leader(leads, ((newest, 8), (oldest, 1)))
        preferred = hdc.prefer(newest, places, logits, 1_024, 8 * 1_024)
        sure = hdc.decisive(newest, most)
        return [*held.items()], slid, evidence, since, highest, led, [*preferred.items()], sure

    c, numpy = both(kernel, all_of_it)
    assert c == numpy


def check_tails(kernel: native.Kernel, seed: int) -> None:
    """Compare upper tails of the normal distribution, to the last digit."""
    scores = np.random.default_rng(seed).normal(0, 15, 50).tolist()
    c, numpy = both(kernel, lambda: [upper_tail(one) for one in (*scores, 0.0, 45.0, -45.0)])
    assert c == numpy


def check_linear(kernel: native.Kernel, seed: int) -> None:
    """Compare linear scores of random bytes with those of numpy, up to the order of their sums, and
    with those of the first instruction set exactly."""
    random = np.random.default_rng(seed)
    width, rows = int(random.choice([*WIDTHS, 5000])), int(random.integers(1, 10))
    one, table = random.integers(0, 256, width, np.uint8), random.random(256).astype(np.float32)
    weights = random.normal(0, 1, (rows, width)).astype(np.float32)
    bias = random.normal(0, 1, rows).astype(np.float32)
    c, numpy = both(kernel, lambda: native.linear_scores(one, table, weights, bias))
    apart = np.abs(c - numpy) / (np.abs(weights) @ table[one] + np.abs(bias))
    assert apart.max() < 1e-5
    with computing_with(native.kernels()[0]):
        assert np.array_equal(c, native.linear_scores(one, table, weights, bias))


def check_likeliest(kernel: native.Kernel, seed: int) -> None:
    """Compare the likeliest last state of random rows; every third case has states that are alike
    throughout, of which the first counts."""
    random = np.random.default_rng(seed)
    states, count = int(random.choice([1, 2, 3, 4, 7, 28, 200])), int(random.integers(1, 65))
    logits = random.normal(0, random.choice([0.1, 2.0, 300.0]), (count, states))
    logits = logits[:, random.integers(0, states, states)] if seed % 3 == 0 else logits
    rows = np.exp(logits - logits.max(axis=1, keepdims=True)).tolist()
    stays = tuple(random.random(int(random.integers(1, 6))).tolist())
    c, numpy = both(kernel, lambda: hdc.likeliest(rows, stays))
    assert c == numpy


def check_decisions(kernel: native.Kernel, seed: int) -> None:
    """Compare what one call finds of a sample with what coding, comparing and joining find."""
    random = np.random.default_rng(seed)
    case = case_of(random)
    geometry, memory = case.geometry, Memory(case.geometry)
    sizes = random.integers(1, 6, int(random.integers(1, 9))).tolist()
    with computing_with(None):
        facts = []
        for number, size in enumerate(sizes):
            rows = random.integers(0, 256, (size, geometry.width), dtype=np.uint8)
            facts.append((f"domain {number % 3}", f"{number:04}", geometry.project(rows)))
            memory.add(*facts[-1])
        known = facts[: int(random.integers(0, len(facts) + 1))]
        calibration = hdc.calibrate(memory, known, exemplars=random.random() < 0.8)
    for row in case.rows:
        found, expected = both(kernel, partial(hdc.examine, row, memory, calibration))
        assert np.array_equal(found.codes.bits, expected.codes.bits)
        assert np.array_equal(found.codes.values, expected.codes.values)
        for name in ("distances", "common", "own"):
            assert np.array_equal(getattr(found, name), getattr(expected, name))
        assert found.nearest() == expected.nearest()
        with computing_with(None):
            verdict = hdc.decide(expected, memory, calibration)
        assert hdc.decide(found, memory, calibration) == verdict


def check_spread(kernel: native.Kernel, seed: int) -> None:
    """Compare the sums over residuals of consecutive samples."""
    random = np.random.default_rng(seed)
    case = case_of(random)
    with computing_with(None):
        codes = list(case.geometry.project(case.rows))
    if not codes:
        return
    columns = random.integers(0, len(case.memory.keys), len(codes)).astype(np.intp)
    memory = Memory.unpack(case.geometry, case.memory.pack())
    found, expected = both(kernel, partial(memory.residual_terms, codes, columns))
    assert found.shape == (len(case.geometry.blocks), TERMS)
    assert np.array_equal(found, expected)


def _largest(memory: Memory) -> int:
    return int(max(np.abs(part).max() for part in memory._derived().held))  # noqa: SLF001


def check_windows(kernel: native.Kernel, seed: int) -> None:
    """Compare distances to the windows of a random series, sample by sample, with those of numpy,
    and the table with distances of whole windows."""
    random = np.random.default_rng(seed)
    channels, windows = int(random.integers(1, 5)), int(random.choice([5, 31, 32, 33, 100, 257]))
    back, gap, nearest = (int(random.integers(1, most)) for most in (40, 70, 6))
    start, steps = windows + back + gap, int(random.integers(1, 80))
    most = int(random.choice([2, 1024, 3000]))
    series = random.integers(-most, most, (channels, start + steps)).astype(np.int32)
    series[:, :start] = 0

    def follow() -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        table, sums = np.zeros((channels, windows), np.int32), []
        for at in range(start, start + steps + 1):
            full = int(np.clip(at - start, 0, windows)) if at - start >= nearest else 0
            given = {"at": at, "back": back, "gap": gap, "full": full, "nearest": nearest}
            sums.append(hdc.follow_windows(series, table, **given))
        return table, np.array(sums)

    c, numpy = both(kernel, follow)
    assert np.array_equal(c[0], numpy[0])
    assert np.array_equal(c[1], numpy[1])
    newest = series[:, -back:]
    for place in range(windows):
        end = series.shape[1] - gap - (windows - 1 - place)
        earlier = series[:, end - back : end]
        assert np.array_equal(c[0][:, place], np.square(newest - earlier).sum(axis=1))


CHECKS = (
    *(check, check_exemplars, check_joint, check_landmarks, check_decisions, check_spread),
    check_windows,
    *(check_likeliest, check_linear, check_votes, check_tails),
)


def main(path: str, seeds: str) -> None:
    """Run all checks on a module's kernels."""
    native.LEVELS = load(Path(path)).LEVELS
    for kernel in native.kernels():
        for seed in range(int(seeds)):
            for one in CHECKS:
                one(kernel, seed)
        sys.stdout.write(f"{kernel.name}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
