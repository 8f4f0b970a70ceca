"""The joint novelty is the same alone and in a batch, and exemplars make a difference."""

import numpy as np

import hdc
from hdc.joint import SHORTLIST, VOTES, ScoredSamples, join_one_score, join_scores
from hdc.neighbours import coordinates, nearest
from hdc.scoring import combine
from tests.hdc.samples import LABELS, draw

ONE_TAP = ((0, 60),)


def many_formed(seed: int, count: int, forms: int = 8):
    """Rows of a class that is `forms` small groups far apart."""
    centres = np.random.default_rng(99).integers(30, 220, (forms, 60))
    rows = centres[np.arange(count) % forms]
    return np.clip(rows + np.random.default_rng(seed).normal(0, 4, rows.shape), 0, 255).astype(
        np.uint8
    )


def learned(rows, labels):
    """A memory and calibration of one domain over one tap."""
    geometry = hdc.fit_geometry(rows, labels, ONE_TAP, 5, bits=1024)
    memory, codes = hdc.Memory(geometry), geometry.project(rows)
    facts = [("home", LABELS[n], codes[labels == n]) for n in sorted(set(labels.tolist()))]
    for fact in facts:
        memory.add(*fact)
    return memory, hdc.calibrate(memory, facts)


def test_novelty_is_what_detect_says():
    """Scored together or one by one, in one domain or two, samples get the same."""
    rows, labels = np.concatenate([many_formed(0, 80), draw(1, 60, 1)]), np.repeat([0, 1], [80, 60])
    memory, _ = learned(rows, labels)
    away = memory.geometry.project(draw(50, 40, 0, 40))
    memory.add("away", "cat", away)
    codes = memory.geometry.project(rows)
    facts = [("home", LABELS[n], codes[labels == n]) for n in range(2)]
    calibration = hdc.calibrate(memory, [*facts, ("away", "cat", away)])
    asked = memory.geometry.project(np.concatenate([many_formed(7, 9), draw(8, 9, 1), draw(9, 9)]))
    single = [hdc.detect(asked[n], memory, calibration).score for n in range(len(asked))]
    assert hdc.novelty(asked, memory, calibration).tolist() == single
    assert hdc.novelty(asked[:0], memory, calibration).tolist() == []


def test_the_gap_between_groups_is_new():
    """A sample in the middle of a many-formed class is nearer to its mean, and yet new."""
    rows = many_formed(0, 160)
    memory, calibration = learned(rows, np.zeros(160, dtype=np.int64))
    middle = np.rint(rows.reshape(20, 8, 60).mean(axis=1)).astype(np.uint8)
    known = hdc.novelty(memory.geometry.project(many_formed(5, 60)), memory, calibration)
    between = hdc.novelty(memory.geometry.project(middle), memory, calibration)
    assert between.min() > np.quantile(known, 0.95)


def test_held_out_scores_keep_the_ordered_rate():
    """Fresh samples of a many-formed class are called new about as often as ordered."""
    rows = many_formed(0, 320)
    memory, calibration = learned(rows, np.zeros(320, dtype=np.int64))
    codes = memory.geometry.project(many_formed(11, 800))
    found = [hdc.detect(codes[n], memory, calibration, 0.05).known for n in range(len(codes))]
    assert 0.02 < found.count(False) / len(found) < 0.09


def test_looking_no_further_loses_nothing():
    """The lowest score and its column are those of looking at every concept of the short list."""
    rows = np.concatenate([many_formed(label, 40, 4 + label) for label in range(5)])
    labels = np.repeat(np.arange(5), 40)
    geometry = hdc.fit_geometry(rows, labels, ONE_TAP, 5, bits=1024)
    memory, codes = hdc.Memory(geometry), geometry.project(rows)
    facts = [("home", f"{n}", codes[labels == n]) for n in range(5)]
    for fact in facts:
        memory.add(*fact)
    calibration = hdc.calibrate(memory, facts)
    asked = geometry.project(np.concatenate([many_formed(70 + n, 40, 4 + n) for n in range(5)]))
    distances, scales = memory.distances(asked), calibration.scales_for(memory)
    near = calibration.near_for(memory, range(5))
    assert near is not None
    scores, votes = combine(distances, scales, geometry.votes), [*geometry.votes, *VOTES]
    columns, plane = coordinates(geometry, asked)
    expected = []
    for row in range(len(asked)):
        found = []
        for at in np.argsort(scores[row], kind="stable")[:SHORTLIST]:
            apart = nearest(near.exemplars[at], columns[row : row + 1], plane[row : row + 1])
            both = np.concatenate([distances[row, at], apart[0]])
            usual = np.concatenate([scales[at], near.scales[at]])
            found.append((int(combine(both, usual, np.asarray(votes))), int(at)))
        expected.append(min(found))
    lowest, places = join_scores(distances, scales, ScoredSamples(geometry, asked), near)
    assert list(zip(lowest.tolist(), places.tolist(), strict=True)) == expected
    for row in range(len(asked)):
        alone = ScoredSamples(geometry, asked[row])
        assert join_one_score(distances[row], scores[row], scales, alone, near) == expected[row]
    # Or nothing would be tested: some are nearest to another than they start nearest to.
    assert any(at != first for (_, at), first in zip(expected, scores.argmin(1), strict=True))
