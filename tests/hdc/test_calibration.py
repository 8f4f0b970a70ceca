"""Thresholds follow from the facts, whatever their order."""

from math import isqrt

import numpy as np

import hdc
from tests.hdc.samples import TAPS, draw, learned


def half_up(total: int, count: int) -> int:
    """The nearest whole number to a quotient."""
    return (2 * total + count) // (2 * count)


def leaning(rows: list[int], variance: int) -> tuple[int, int]:
    """Mean and spread of numbers that lean on 0 as five more of them, on a variance as twenty."""
    usual = half_up(sum(rows), len(rows) + 5)
    squares = sum((row - usual) ** 2 for row in rows) + 20 * variance
    return usual, max(1, isqrt(half_up(squares, len(rows) + 20)))


def spread_of(rows: list[int]) -> tuple[int, int]:
    """Mean and mean square deviation, rounded."""
    centre = half_up(sum(rows), len(rows))
    return centre, half_up(sum((row - centre) ** 2 for row in rows), len(rows))


def by_definition(memory: hdc.Memory, facts: list[tuple[str, str, hdc.Codes]]):
    """A calibration of one domain without exemplars, number by number, in Python's integers."""
    held = [memory.distances_held_out(d, label, codes).tolist() for d, label, codes in facts]
    labels, blocks = range(len(facts)), range(len(memory.geometry.scales))
    scales = [[(0, 0) for _ in blocks] for _ in labels]
    for block in blocks:
        own = [[row[at][block] for row in held[at]] for at in labels]
        centre, variance = spread_of([one for rows in own for one in rows])
        for at in labels:
            moved = [one - centre for one in own[at]]
            usual, spread = leaning(moved, variance)
            scales[at][block] = (usual + centre, spread)
            for place, one in enumerate(moved):
                rest = moved[:place] + moved[place + 1 :]
                without, narrower = leaning(rest, variance)
                units = (one - without) * 1024 // narrower
                held[at][place][at][block] = usual + centre + units * spread // 1024
    votes = memory.geometry.votes.tolist()

    def score(distances: list[int], at: int) -> int:
        above = [
            min(max((one - usual) * 1024 // spread + 2048, 0), 1 << 16)
            for one, (usual, spread) in zip(distances, scales[at], strict=True)
        ]
        return isqrt(sum(vote * one * one for vote, one in zip(votes, above, strict=True)))

    lowest = [min((score(row[at], at), at) for at in labels) for rows in held for row in rows]
    centre, variance = spread_of([one for one, _ in lowest])
    shapes: list[list[int]] = []
    cubes: list[int] = []
    for at in labels:
        mine = [one for one, nearest in lowest if nearest == at]
        middle, spread = leaning([one - centre for one in mine], variance)
        shapes.append([len(mine), middle + centre, spread])
        units = [(one - middle - centre) * 1024 // spread for one in mine]
        cubes += [min(max(one, -4096), 4096) ** 3 // 1024**2 for one in units]
    return scales, shapes, sorted(one for one, _ in lowest), half_up(sum(cubes), len(cubes))


def test_every_number_is_that_of_its_definition() -> None:
    """Scales, what is usual, scores and skewness follow from held-out distances as documented."""
    memory, facts = learned(count=25)
    far = memory.geometry.project(np.concatenate([draw(70, 2, 0, 25), draw(71, 1, 0, 90)]))
    memory.add("home", "cat", far)
    facts = [("home", "cat", hdc.Codes.concat([facts[0][2], far])), facts[1]]
    made = hdc.calibrate(memory, facts)
    scales, usual, scores, skew = by_definition(memory, facts)
    assert np.array_equal(made.scales, np.asarray(scales))
    assert made.usual.tolist() == usual
    assert made.scores["home"].tolist() == scores
    assert made.skews == {"home": skew}


def test_facts_that_are_all_alike_have_a_spread() -> None:
    """Nothing is divided by zero where no held-out sample differs from another."""
    memory = hdc.Memory(hdc.identity_geometry(60, TAPS, 5, bits=128))
    codes = memory.geometry.project(np.repeat(draw(1, 1), 8, axis=0))
    memory.add("home", "cat", codes)
    made = hdc.calibrate(memory, [("home", "cat", codes)])
    assert made.scales[..., 1].tolist() == [[1]]
    assert made.usual[:, 2].tolist() == [1]
    found = hdc.detect(codes[0], memory, made, 0.2)
    assert (found.known, found.deviation) == (True, 0.0)


def test_calibrations_unite_by_domain() -> None:
    """Concepts come sorted, scores of one domain in two parts are sorted together."""
    memory, facts = learned()
    parts = [hdc.calibrate(memory, [fact]) for fact in facts]
    made = hdc.merge_calibrations(parts[::-1])
    assert made.keys == (("home", "cat"), ("home", "dog"))
    for place, part in enumerate(parts):
        assert np.array_equal(made.scales[place], part.scales[0])
        assert np.array_equal(made.usual[place], part.usual[0])
    every = np.concatenate([part.scores["home"] for part in parts])
    assert made.scores["home"].tolist() == sorted(every.tolist())
    assert made.skews["home"] == parts[0].skews["home"]


def test_order_and_grouping_of_facts_do_not_matter() -> None:
    """Facts in pieces and in reverse give the same numbers."""
    memory, facts = learned()
    pieces = [(d, lb, codes[n : n + 7]) for d, lb, codes in facts for n in range(0, len(codes), 7)]
    one = hdc.calibrate(memory, facts)
    assert hdc.calibrate(memory, pieces[::-1]).digest() == one.digest()


def test_only_whole_numbers_are_kept() -> None:
    """Nothing in a calibration is a float."""
    packed = hdc.calibrate(*learned()).pack()
    assert {array.dtype.kind for array in packed.values()} <= {"i", "u", "U"}


def test_domains_are_calibrated_apart() -> None:
    """Facts of another domain leave the thresholds of the first as they were."""
    memory, facts = learned()
    before = hdc.calibrate(memory, facts)
    away = memory.geometry.project(draw(50, 40, 0, 30))
    memory.add("away", "cat", away)
    after = hdc.calibrate(memory, [*facts, ("away", "cat", away)])
    assert np.array_equal(after.scores["home"], before.scores["home"])
    assert len(after.scores["away"]) == 40


def test_a_single_sample_calibrates_nothing() -> None:
    """A concept of one sample has nothing to be held out against."""
    memory, facts = learned()
    lone = memory.geometry.project(draw(8, 1, 5))
    memory.add("home", "bird", lone)
    made = hdc.calibrate(memory, [*facts, ("home", "bird", lone)])
    assert ("home", "bird") not in made.keys
    assert len(made.scores["home"]) == 120
    assert made.usual_of(("home", "bird")) is None
