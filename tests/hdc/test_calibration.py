"""Thresholds follow from the facts in any order, and exemplars join the score."""

import warnings
from math import isqrt

import numpy as np

import hdc
from hdc.geometry import fingerprint_of
from hdc.integers import combine
from hdc.joint import EXEMPLAR_SHORTLIST, ScoredSamples, join_one_score, join_scores
from hdc.neighbours import coordinates, nearest
from tests.hdc.samples import LABELS, TAPS, draw, learned, many_groups


def half_up(total: int, count: int) -> int:
    """The nearest whole number to a quotient."""
    return (2 * total + count) // (2 * count)


def shrunk(rows: list[int], variance: int, weights: tuple[int, int]) -> tuple[int, int]:
    """Mean and deviation, shrunk towards 0 and towards a variance with the given weights."""
    mean = half_up(sum(rows), len(rows) + weights[0])
    squares = sum((row - mean) ** 2 for row in rows) + weights[1] * variance
    return mean, max(1, isqrt(half_up(squares, len(rows) + weights[1])))


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
            centre_here, spread = shrunk(moved, variance, (50, 50))
            scales[at][block] = (centre_here + centre, spread)
            for place, one in enumerate(moved):
                rest = moved[:place] + moved[place + 1 :]
                without, narrower = shrunk(rest, variance, (50, 50))
                units = (one - without) * 1024 // narrower
                held[at][place][at][block] = centre_here + centre + units * spread // 1024
    votes = memory.geometry.votes.tolist()

    def score(distances: list[int], at: int) -> int:
        above = [
            min(max((one - mean) * 1024 // spread + 2048, 0), 1 << 16)
            for one, (mean, spread) in zip(distances, scales[at], strict=True)
        ]
        return isqrt(sum(vote * one * one for vote, one in zip(votes, above, strict=True)))

    lowest = [min((score(row[at], at), at) for at in labels) for rows in held for row in rows]
    centre, variance = spread_of([one for one, _ in lowest])
    shapes: list[list[int]] = []
    cubes: list[int] = []
    for at in labels:
        mine = [one for one, nearest in lowest if nearest == at]
        middle, spread = shrunk([one - centre for one in mine], variance, (5, 20))
        shapes.append([len(mine), middle + centre, spread])
        units = [(one - middle - centre) * 1024 // spread for one in mine]
        cubes += [min(max(one, -4096), 4096) ** 3 // 1024**2 for one in units]
    return scales, shapes, sorted(one for one, _ in lowest), half_up(sum(cubes), len(cubes))


def test_every_number_is_that_of_its_definition() -> None:
    """Scales, references, scores and skewness follow from held-out distances as documented."""
    memory, facts = learned(count=25)
    far = memory.geometry.project(np.concatenate([draw(70, 2, 0, 25), draw(71, 1, 0, 90)]))
    memory.add("home", "cat", far)
    facts = [("home", "cat", hdc.Codes.concat([facts[0][2], far])), facts[1]]
    made = hdc.calibrate(memory, facts)
    scales, references, scores, skew = by_definition(memory, facts)
    assert np.array_equal(made.scales, np.asarray(scales))
    assert made.references.tolist() == references
    assert made.scores["home"].tolist() == scores
    assert made.skews == {"home": skew}


def test_identical_facts_have_a_deviation() -> None:
    """Nothing is divided by zero where no held-out sample differs from another."""
    memory = hdc.Memory(hdc.identity_geometry(60, TAPS, 5, bits=128))
    codes = memory.geometry.project(np.repeat(draw(1, 1), 8, axis=0))
    memory.add("home", "cat", codes)
    made = hdc.calibrate(memory, [("home", "cat", codes)])
    assert made.scales[..., 1].tolist() == [[1]]
    assert made.references[:, 2].tolist() == [1]
    found = hdc.detect(codes[0], memory, made, 0.2)
    assert (found.known, found.deviation) == (True, 0.0)


def test_identical_facts_of_many_labels_overflow_nothing() -> None:
    """Six labels of ten identical facts give finite scales, scores and skewness, and no warning."""
    rows = np.random.default_rng(8).integers(0, 256, (6, 24)).astype(np.uint8).repeat(10, axis=0)
    labels = np.repeat(range(6), 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        geometry = hdc.fit_geometry(rows, labels, ((0, 24),), 1, bits=256)
        memory, codes = hdc.Memory(geometry), geometry.project(rows)
        facts = [("home", str(label), codes[labels == label]) for label in range(6)]
        for fact in facts:
            memory.add(*fact)
        calibration = hdc.calibrate(memory, facts)
    assert np.abs(codes.values).max() < 2**23
    packed = calibration.pack()
    assert (calibration.scales[:, :, 1] > 0).all()
    assert all(np.abs(packed[name].astype(float)).max() < 2**40 for name in ("scores", "usual"))
    assert calibration.digest() == hdc.calibrate(memory, facts).digest()
    assert calibration.digest() == fingerprint_of(packed)


def test_calibrations_merge_by_domain() -> None:
    """Concepts come sorted, scores of one domain in two parts are sorted together."""
    memory, facts = learned()
    parts = [hdc.calibrate(memory, [fact]) for fact in facts]
    made = hdc.merge_calibrations(parts[::-1])
    assert made.keys == (("home", "cat"), ("home", "dog"))
    for place, part in enumerate(parts):
        assert np.array_equal(made.scales[place], part.scales[0])
        assert np.array_equal(made.references[place], part.references[0])
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
    assert made.reference_scores.get(("home", "bird")) is None


ONE_TAP = ((0, 60),)


def one_tap_memory(rows, labels):
    """A memory and calibration of one domain over one tap."""
    geometry = hdc.fit_geometry(rows, labels, ONE_TAP, 5, bits=1024)
    memory, codes = hdc.Memory(geometry), geometry.project(rows)
    facts = [("home", LABELS[n], codes[labels == n]) for n in sorted(set(labels.tolist()))]
    for fact in facts:
        memory.add(*fact)
    return memory, hdc.calibrate(memory, facts)


def test_novelty_agrees_with_detect():
    """Scored together or one by one, in one domain or two, samples get the same scores."""
    rows, labels = np.concatenate([many_groups(0, 80), draw(1, 60, 1)]), np.repeat([0, 1], [80, 60])
    memory, _ = one_tap_memory(rows, labels)
    away = memory.geometry.project(draw(50, 40, 0, 40))
    memory.add("away", "cat", away)
    codes = memory.geometry.project(rows)
    facts = [("home", LABELS[n], codes[labels == n]) for n in range(2)]
    calibration = hdc.calibrate(memory, [*facts, ("away", "cat", away)])
    queries = memory.geometry.project(
        np.concatenate([many_groups(7, 9), draw(8, 9, 1), draw(9, 9)])
    )
    single = [hdc.detect(queries[n], memory, calibration).score for n in range(len(queries))]
    assert hdc.novelty(queries, memory, calibration).tolist() == single
    assert hdc.novelty(queries[:0], memory, calibration).tolist() == []


def test_the_gap_between_groups_is_novel():
    """A sample in the middle of a many-group class is nearer to its mean, and yet novel."""
    rows = many_groups(0, 160)
    memory, calibration = one_tap_memory(rows, np.zeros(160, dtype=np.int64))
    middle = np.rint(rows.reshape(20, 8, 60).mean(axis=1)).astype(np.uint8)
    known = hdc.novelty(memory.geometry.project(many_groups(5, 60)), memory, calibration)
    between = hdc.novelty(memory.geometry.project(middle), memory, calibration)
    assert between.min() > np.quantile(known, 0.95)


def test_held_out_scores_keep_the_rate():
    """Fresh samples of a many-group class are novel about as often as the rate says."""
    rows = many_groups(0, 320)
    memory, calibration = one_tap_memory(rows, np.zeros(320, dtype=np.int64))
    codes = memory.geometry.project(many_groups(11, 800))
    found = [hdc.detect(codes[n], memory, calibration, 0.05).known for n in range(len(codes))]
    assert 0.02 < found.count(False) / len(found) < 0.09


def test_stopping_early_loses_nothing():
    """The lowest score and its column are those of comparing every concept of the shortlist."""
    rows = np.concatenate([many_groups(label, 40, 4 + label) for label in range(5)])
    labels = np.repeat(np.arange(5), 40)
    geometry = hdc.fit_geometry(rows, labels, ONE_TAP, 5, bits=1024)
    memory, codes = hdc.Memory(geometry), geometry.project(rows)
    facts = [("home", f"{n}", codes[labels == n]) for n in range(5)]
    for fact in facts:
        memory.add(*fact)
    calibration = hdc.calibrate(memory, facts)
    queries = geometry.project(np.concatenate([many_groups(70 + n, 40, 4 + n) for n in range(5)]))
    distances, scales = memory.distances(queries), calibration.scales_for(memory)
    near = calibration.exemplars_for(memory, range(5))
    assert near is not None
    scores = combine(distances, scales, geometry.votes)
    votes = [*geometry.votes, *geometry.exemplar_votes]
    columns, plane = coordinates(geometry, queries)
    expected = []
    for row in range(len(queries)):
        found = []
        for at in np.argsort(scores[row], kind="stable")[:EXEMPLAR_SHORTLIST]:
            apart = nearest(near.exemplars[at], columns[row : row + 1], plane[row : row + 1])
            both = np.concatenate([distances[row, at], apart[0]])
            joint = np.concatenate([scales[at], near.scales[at]])
            found.append((int(combine(both, joint, np.asarray(votes))), int(at)))
        expected.append(min(found))
    lowest, places = join_scores(distances, scales, ScoredSamples(geometry, queries), near)
    assert list(zip(lowest.tolist(), places.tolist(), strict=True)) == expected
    for row in range(len(queries)):
        alone = ScoredSamples(geometry, queries[row])
        assert join_one_score(distances[row], scores[row], scales, alone, near) == expected[row]
    # Or nothing would be tested: some are nearest to another than they start nearest to.
    assert any(at != first for (_, at), first in zip(expected, scores.argmin(1), strict=True))
