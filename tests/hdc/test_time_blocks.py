from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import hdc
from hdc import calibration
from hdc.normal import normal_quantile
from hdc.switches import ALONE, TOGETHER, changes, share_rate, switch_statistics
from hdc.time_blocks import recut
from hdc.time_statistics import autocorrelation_time, sample_p_value, time_statistics

WIDTH = 12
RATE = 0.01


def series(count: int, seed: int, alike: float = 0.9) -> NDArray[np.uint8]:
    """Samples that follow each other: a first-order autoregression per column."""
    random = np.random.default_rng(seed)
    noise = random.normal(size=(count + 100, WIDTH)) * np.sqrt(1 - alike**2)
    values = np.zeros(WIDTH)
    rows = []
    for step in noise:
        values = alike * values + step
        rows.append(values)
    levels = np.rint(128 + 20 * np.asarray(rows[100:]))
    return np.asarray(np.clip(levels, 0, 255).astype(np.uint8))


def order(count: int) -> hdc.TimeOrder:
    """The order of samples of one concept that are given in time."""
    ids = [f"{at:05}" for at in range(count)]
    return hdc.order_in_time(["a"] * count, np.arange(1, count + 1), [""] * count, ids)["a"]


def learned(
    rows: NDArray[np.uint8], times: NDArray[np.int64] | None = None
) -> tuple[hdc.Memory, hdc.Calibration]:
    """Memory and calibration of one concept; times: of the rows, None if they have none."""
    orders = None
    if times is not None:
        ids = [f"{at:05}" for at in times]
        orders = hdc.order_in_time(["a"] * len(rows), times, [""] * len(rows), ids)
    labels = np.zeros(len(rows), dtype=np.int64)
    given = [orders["a"]] if orders else None
    geometry = hdc.fit_geometry(rows, labels, ((0, WIDTH),), 1, orders=given)
    memory = hdc.Memory(geometry)
    codes = geometry.project(rows)
    memory.add("home", "a", codes)
    held = {("home", "a"): orders["a"]} if orders else None
    return memory, hdc.calibrate(memory, [("home", "a", codes)], orders=held)


def test_a_block_is_held_out_with_a_gap_on_both_sides():
    """Each sample is scored once, by a fold that leaves out its block and its close neighbours."""
    found = list(order(200).folds())
    assert len(found) == hdc.BLOCKS
    assert sorted(np.concatenate([scored for scored, _ in found]).tolist()) == list(range(200))
    scored, left_out = found[2]
    assert (scored.min(), scored.max()) == (80, 119)
    assert np.flatnonzero(left_out).tolist() == list(range(70, 130))


def test_blocks_do_not_cut_through_recordings():
    """With at least as many recordings as blocks, all samples of one are held out together."""
    sources = [f"r{at // 13}" for at in range(91)]
    ids = [f"{at:03}" for at in range(91)]
    held = hdc.order_in_time(["a"] * 91, np.arange(1, 92), sources, ids)["a"]
    for name in set(sources):
        assert len({int(held.block[at]) for at in range(91) if sources[at] == name}) == 1
    assert len(set(held.block.tolist())) == hdc.BLOCKS


@pytest.mark.parametrize(
    ("alike", "gap", "blocks"), [(1.0, 16, 5), (10.0, 16, 5), (13.0, 20, 5), (14.0, 21, 4)]
)
def test_blocks_are_long_beside_the_autocorrelation(alike: float, gap: int, blocks: int):
    """Gaps become one and a half autocorrelation times long, and there is one block fewer where
    each is not nine times as long; what is long enough stays as it is."""
    found = recut([order(600)], alike)
    if (gap, blocks) == (16, 5):
        assert found is None
        return
    assert found is not None
    (one,) = found
    assert (one.gap, len(set(one.block.tolist()))) == (gap, blocks)
    scored, left_out = one.folds()[1]
    assert len(scored) == 600 // blocks
    assert left_out.sum() == len(scored) + 2 * gap


def test_blocks_become_fewer_down_to_three():
    """Cut after cut, for as long as scores stay alike as long as a block; a gap is widened once."""
    cuts = [[order(600)]]
    while (cut := recut(cuts[-1], 100.0)) is not None:
        cuts.append(cut)
    assert [len(set(one.block.tolist())) for (one,) in cuts] == [5, 4, 3]
    wider = recut([order(600)], 12.0)
    assert wider is not None
    assert recut(wider, 13.0) is None


def test_blocks_between_recordings_stay():
    """Samples of two recordings are not alike at the border."""
    sources = [f"r{at // 60}" for at in range(600)]
    ids = [f"{at:03}" for at in range(600)]
    held = hdc.order_in_time(["a"] * 600, np.arange(1, 601), sources, ids)["a"]
    assert recut([held], 100.0) is None


def test_the_autocorrelation_time_is_that_of_the_process():
    """1 for independent scores, (1 + a) / (1 - a) for a first-order autoregression."""
    random = np.random.default_rng(8)
    noise = random.normal(size=20_000)
    for alike in (0.0, 0.5, 0.8):
        values = np.zeros(len(noise))
        for at in range(1, len(noise)):
            values[at] = alike * values[at - 1] + noise[at]
        whole = np.rint(1024 * (values - values.mean())).astype(np.int64)
        expected = (1 + alike) / (1 - alike)
        assert autocorrelation_time(whole) == pytest.approx(expected, rel=0.15)
    assert autocorrelation_time(np.zeros(50, np.int64)) == 1
    assert autocorrelation_time(np.tile([1, -1], 30)) == 1
    assert autocorrelation_time(np.zeros(1, np.int64)) == 1


@pytest.mark.parametrize(("alike", "least", "most"), [(0.98, 0.35, 0.65), (0.9, 0.0, 0.12)])
def test_slow_scores_measure_a_ninth_of_a_block(alike: float, least: float, most: float):
    """Of autoregressions with a time of one block, 100 samples, half measure a ninth of it or more
    within blocks; with a fifth of one, few do."""
    random = np.random.default_rng(1)
    rows = np.zeros((200, 1_000))
    for at in range(1, rows.shape[1]):
        rows[:, at] = alike * rows[:, at - 1] + random.normal(size=len(rows))
    blocks = rows[:, 500:].reshape(200, hdc.BLOCKS, 100)
    within = np.rint(1024 * (blocks - blocks.mean(axis=2, keepdims=True))).astype(np.int64)
    times = np.array([autocorrelation_time(one.ravel()) for one in within])
    assert least <= np.mean(times >= 100 / 9) <= most


def test_a_calibration_widens_gaps_by_the_scores(monkeypatch):
    """Scores that stay alike for long are held out with wider gaps: fewer close neighbours judge
    them.  The same samples in random order are alike for no time."""
    rows, times = series(1000, 5, 0.99), np.arange(1, 1001)
    wide = learned(rows, times)[1].in_time["home"]
    shuffled = np.random.default_rng(3).permutation(len(rows))
    fast = learned(rows[shuffled], times)[1].in_time["home"]
    assert fast.autocorrelation < 3
    assert wide.autocorrelation > 11
    monkeypatch.setattr(calibration, "recut", lambda *_: None)
    narrow, still = (learned(one, times)[1].in_time["home"] for one in (rows, rows[shuffled]))
    assert wide.pack("a")["a.numbers"].tolist() != narrow.pack("a")["a.numbers"].tolist()
    assert fast.pack("a")["a.numbers"].tolist() == still.pack("a")["a.numbers"].tolist()


@pytest.mark.parametrize("alike", [0.995, 0.5])
def test_scores_that_stay_alike_longer_than_a_block_have_fewer_blocks(alike: float):
    """In several draws of a slow process calibrations have three or four blocks, in none of a fast
    one."""
    found = []
    for seed in range(6):
        calibration = learned(series(250, seed, alike), np.arange(1, 251))[1]
        found.append(calibration.in_time["home"].blocks)
    assert (min(found) < hdc.BLOCKS) is (alike > 0.9)


def test_the_calibration_does_not_depend_on_the_order_of_the_samples():
    """Geometry, thresholds and their digest are those of the set of samples with their times."""
    rows, times = series(150, 1), np.arange(1, 151)
    shuffled = np.random.default_rng(3).permutation(150)
    digests = {
        (memory.digest(), calibration.digest())
        for memory, calibration in (learned(rows, times), learned(rows[shuffled], times[shuffled]))
    }
    assert len(digests) == 1


def test_false_alarms_of_later_samples_stay_at_the_chosen_rate():
    """On samples that follow each other, windows keep about the rate with times, and break it
    without: the whole point of holding out blocks."""
    rates = {}
    for timed in (True, False):
        alarms = []
        for seed in range(4):
            rows = series(900, seed)
            times = np.arange(1, 601) if timed else None
            memory, calibration = learned(rows[:600], times)
            codes = memory.geometry.project(rows[600:])
            verdicts = [one for _, one in hdc.detect_each(codes, memory, calibration, RATE)]
            alarms += [
                hdc.detect_window(verdicts[at : at + 16], calibration, RATE).p_value <= RATE
                for at in range(len(verdicts) - 16)
            ]
        rates[timed] = np.mean(alarms)
    assert rates[True] <= 0.03
    assert rates[False] >= 0.08


def test_a_slow_process_breaks_the_rate():
    """A limit that docs/explanation/time.md names: six independent samples say little of how far a
    slow process goes, and the rate counts as attainable all the same."""
    rates = []
    for seed in range(16):
        rows = series(900, seed, 0.98)
        memory, calibration = learned(rows[:600], np.arange(1, 601))
        if hdc.find_shortfall("home", calibration, RATE) is None:
            codes = memory.geometry.project(rows[600:])
            found = [one.p_value for _, one in hdc.detect_each(codes, memory, calibration, RATE)]
            rates.append(np.mean(np.array(found) <= RATE))
    assert len(rates) >= 4
    assert 0.05 < np.mean(rates) < 0.25


def test_few_samples_of_a_class_keep_the_rate_where_the_level_is_known():
    """Twelve samples of each of ten classes, independent of each other: a sample that helps to
    estimate its class's usual score looks too typical, and must not lower the limit."""
    beyond = []
    for seed in range(16):
        random = np.random.default_rng(seed)
        centres = random.integers(60, 196, (10, WIDTH))

        def draw(
            count: int, random: np.random.Generator = random, centres: NDArray[np.int64] = centres
        ) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
            """Samples of the classes in turn, with a deviation of their own each."""
            labels = np.arange(count) % 10
            wide = random.gamma(4, 2, (count, 1))
            rows = centres[labels] + wide * random.normal(size=(count, WIDTH))
            return labels, np.clip(np.rint(rows), 0, 255).astype(np.uint8)

        labels, rows = draw(120)
        names = [f"c{label}" for label in labels]
        ids = [f"{at:03}" for at in range(120)]
        orders = hdc.order_in_time(names, np.arange(1, 121), [""] * 120, ids)
        geometry = hdc.fit_geometry(rows, labels, ((0, WIDTH),), 1)
        memory, codes = hdc.Memory(geometry), geometry.project(rows)
        facts = [("home", f"c{at}", codes[np.flatnonzero(labels == at)]) for at in range(10)]
        for fact in facts:
            memory.add(*fact)
        held = {("home", name): one for name, one in orders.items()}
        calibration = hdc.calibrate(memory, facts, orders=held)
        found = calibration.in_time["home"]
        known = hdc.Level(found.level / hdc.ONE, 0.0)
        fresh = geometry.project(draw(400)[1])
        verdicts = [one for _, one in hdc.detect_each(fresh, memory, calibration, RATE)]
        beyond += [
            sample_p_value(found, one.deviation, known, RATE) <= 1 / (1 + found.effective)
            for one in verdicts
        ]
    assert np.mean(beyond) <= 1.3 / 120


def test_samples_that_follow_each_other_closely_count_as_fewer():
    """The rate is not attainable on few independent samples, however many there are, and the reason
    says how many more are needed."""
    memory, calibration = learned(series(300, 5, alike=0.995), np.arange(1, 301))
    shortfall = hdc.find_shortfall("home", calibration, RATE)
    assert shortfall is not None
    assert shortfall.found < shortfall.needed == 99
    assert "count as" in shortfall.reason
    assert "more at the same pace" in shortfall.reason
    times = np.arange(1, 301) * 60 * 10**9
    slow = hdc.find_shortfall("home", learned(series(300, 5, alike=0.995), times)[1], RATE)
    assert slow is not None
    assert "hours" in slow.reason
    few = learned(series(80, 5, alike=0.0), times[:80])[1]
    independent = hdc.find_shortfall("home", few, RATE)
    assert independent is not None
    assert independent.reason.endswith("found 80: record 19 (about 19 minutes) more")
    assert memory.keys
    assert hdc.find_shortfall("home", learned(series(300, 5, 0.995))[1], RATE) is None


def test_missing_samples_are_counted_in_recordings_too():
    """Where recordings are held out, the reason says about how many more; where samples come in
    bursts, the time is that of bursts, not of samples within one."""
    rows, hours = series(300, 5, alike=0.995), np.repeat(np.arange(1, 31), 10) * 3_600
    burst = (hours + np.tile(np.arange(10), 30)) * 10**9
    ids = [f"{at:05}" for at in range(300)]
    six = [f"r{at // 50}" for at in range(300)]
    for sources, wanted in ((six, "like the 6 so far"), ([""] * 300, "more at the same pace")):
        order = hdc.order_in_time(["a"] * 300, burst, sources, ids)
        given = list(order.values())
        geometry = hdc.fit_geometry(rows, np.zeros(300, int), ((0, WIDTH),), 1, orders=given)
        memory, codes = hdc.Memory(geometry), geometry.project(rows)
        memory.add("home", "a", codes)
        held = {("home", "a"): order["a"]}
        found = hdc.calibrate(memory, [("home", "a", codes)], orders=held)
        shortfall = hdc.find_shortfall("home", found, RATE)
        assert shortfall is not None
        assert shortfall.reason.endswith(wanted)
        took = int(shortfall.reason.split("(about ")[1].split(" hours")[0])
        missing = 300 * (shortfall.needed - shortfall.found) / shortfall.found
        assert took == pytest.approx(missing / 10, rel=0.2)


def test_a_less_known_level_widens_the_limits():
    """The p-value of a high score rises with the uncertainty of the level, and falls with the level
    itself."""
    scores = np.rint(np.random.default_rng(1).normal(size=400) * 1024).astype(np.int64)
    found = time_statistics([order(400)], scores)
    high = found.quantile(RATE) + 0.1
    sure, unsure = hdc.Level(0.0, 0.0), hdc.Level(0.0, 1.0)
    assert sample_p_value(found, high, sure, RATE) <= RATE
    assert sample_p_value(found, high, unsure, RATE) > RATE
    assert sample_p_value(found, high + 1, hdc.Level(1.5, 0.0), RATE) > RATE
    assert normal_quantile(RATE) > 2.3


def test_blocks_that_differ_widen_the_limits():
    """Scores whose blocks lie apart give a wider spread between blocks than those whose blocks do
    not."""
    random = np.random.default_rng(2)
    scores = random.normal(size=400)
    apart = scores + np.repeat([0, 2, -2, 1, -1], 80)
    calm, shifted = (
        time_statistics([order(400)], np.rint(values * 1024).astype(np.int64))
        for values in (scores, apart)
    )
    assert shifted.between > 4 * max(calm.between, 1)
    assert shifted.variance < 1.2 * calm.variance


def test_two_tests_share_a_rate():
    """A test counts alone at less than the rate, both together at more, and a window that was not
    compared with the observations before it by its score alone."""
    assert share_rate(RATE / ALONE, 0.9) == RATE
    assert share_rate(0.9, RATE / ALONE) == RATE
    assert share_rate(RATE, 0.9) > RATE
    assert share_rate(TOGETHER * RATE, TOGETHER * RATE) == RATE
    assert share_rate(RATE, None) == ALONE * RATE
    assert share_rate(0.9, RATE / ALONE, consecutive=False) > RATE
    assert share_rate(TOGETHER * RATE, RATE / ALONE, consecutive=False) == RATE
    assert share_rate(0.9, None) == 1.0


def test_a_switch_stands_out_and_slow_drift_does_not():
    """A step of the displacements has a low p-value; a drift of the same size over all samples has
    not."""
    random = np.random.default_rng(4)
    calm = np.rint(random.normal(size=(500, 6)) * 64).astype(np.int64)
    found = switch_statistics(calm, [order(500)])
    assert found is not None
    fresh = np.rint(random.normal(size=(300, 6)) * 64).astype(np.int64)
    drift = fresh + np.linspace(0, 128, 300).astype(np.int64)[:, None]
    step = fresh.copy()
    step[200:] += 128
    drifted = [found.p_value(change, RATE) for change in changes(drift)]
    switched = [found.p_value(change, RATE) for change in changes(step)]
    assert np.mean([p <= RATE for p in drifted]) <= 0.05
    assert min(switched[170 : 170 + 16]) <= RATE / 2 or switched[168] <= RATE


def test_a_verdict_at_a_level_is_the_verdict_moved_there():
    """Deciding at a stream's level equals deciding at that of enrolment and moving it there."""
    rows = series(400, 1)
    memory, calibration = learned(rows, np.arange(1, 401))

    def level(_domain: str, statistics: hdc.TimeStatistics) -> hdc.Level:
        return hdc.Level(statistics.initial.centre + 0.4, 0.1)

    for row in series(60, 2):
        compared = hdc.compare(memory.geometry.project(row), memory, calibration)
        first = hdc.decide(compared, memory, calibration, RATE)
        expected = hdc.at_level(first, calibration, level, RATE)
        assert hdc.decide(compared, memory, calibration, RATE, level) == expected


def test_displacements_are_those_of_single_samples():
    """Samples lie as far from the means of their concepts together as one by one."""
    rows = series(400, 3)
    memory, _ = learned(rows)
    memory.add("other", "b", memory.geometry.project(rows[:9] + np.uint8(3)))
    codes = list(memory.geometry.project(rows[:6]))
    keys = [("home", "a"), ("other", "b")] * 3
    each = [memory.displacement(key, one)[0] for key, one in zip(keys, codes, strict=True)]
    np.testing.assert_array_equal(memory.displacements(keys, codes), each)
