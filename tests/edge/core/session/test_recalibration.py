from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

import hdc
from edge.core.config import Config
from edge.core.events import (
    Acknowledgement,
    AlarmQuestion,
    ConfirmAlarm,
    Decision,
    DriftAlarm,
    FitGeometry,
    ForgetRequest,
    Message,
    Observation,
    Rejected,
    Relabel,
)
from edge.core.facts import Selector
from edge.core.recalibration import OFFSET_MAX
from edge.core.runtime import Runtime
from edge.core.session.recalibration import REPEATED_SAMPLES, STORED_SAMPLES
from tests.worlds import World, fact

WIDTH = 16
SECOND = 10**9
CENTRE = 128
SPREAD = 12.0


def rows(count: int, seed: int, shift: NDArray[np.float64] | float = 0.0) -> NDArray[np.uint8]:
    """Samples around one centre, each column moved by `shift` spreads (one per sample, or one)."""
    noise = np.random.default_rng(seed).normal(size=(count, WIDTH))
    moved = CENTRE + SPREAD * (noise + np.broadcast_to(np.asarray(shift), (count,))[:, None])
    return np.asarray(np.clip(np.rint(moved), 0, 255).astype(np.uint8))


ALIKE = (1.0,) * 5
UNLIKE = (1.0, 1.4, 0.7, 1.3, 0.8)


def taught(noise: tuple[float, ...] = ALIKE) -> World:
    """A world that learned 400 samples in time order.  noise: of each block, in spreads."""
    centred = rows(400, 1).astype(np.float64) - CENTRE
    scaled = CENTRE + centred * np.repeat(noise, 400 // len(noise))[:, None]
    facts = [
        replace(fact(f"t{at:04}", at=SECOND * (at + 1), stream="past"), features=row.tobytes())
        for at, row in enumerate(np.clip(np.rint(scaled), 0, 255).astype(np.uint8))
    ]
    world = World(facts, width=WIDTH, config=Config(growth=False))
    world.feed(FitGeometry())
    return world


class Stream:
    """Observations of one stream, with a subject and a recording."""

    def __init__(self, world: World, name: str = "live") -> None:
        self.world, self.name, self.at = world, name, 0
        self.questions: list[AlarmQuestion] = []
        self.decisions: list[Decision] = []

    def watch(self, values: Iterable[NDArray[np.uint8]], subject: str = "") -> None:
        """Observe samples; collects decisions and questions."""
        for row in values:
            event = Observation(
                stream=self.name,
                sequence=self.at,
                captured_at_ns=(1000 + self.at) * SECOND,
                payload=row,
                subject=subject,
                recording="today",
            )
            self.at += 1
            for message in self.world.feed(event):
                self.questions += [message] if isinstance(message, AlarmQuestion) else []
                self.decisions += [message] if isinstance(message, Decision) else []

    def outside(self, count: int) -> float:
        """The share of the last windows that lay outside."""
        return float(np.mean([one.window_p <= 0.01 for one in self.decisions[-count:]]))


def score_of(world: World, shift: float) -> float:
    """The mean score of samples with a shift, in within-block deviations above the level."""
    known = world.runtime.knowledge
    calibration = known.calibration()
    codes = known.geometry.project(rows(300, 77, shift))
    found = [one for _, one in hdc.detect_each(codes, known.memory, calibration)]
    statistics = calibration.in_time["home"]
    mean = float(np.mean([one.deviation for one in found])) - statistics.level / hdc.ONE
    return mean / statistics.spread


def shift_for(world: World, wanted: float) -> float:
    """The shift whose mean score is `wanted`."""
    low, high = 0.0, 6.0
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if score_of(world, middle) < wanted else (low, middle)
    return high


def largest_absorbed(world: World) -> float:
    """The largest mean score that can stay without an alarm, as `status` reports it, in
    within-block deviations."""
    (status,) = world.runtime.calibration_status()
    assert status.absorbed > OFFSET_MAX
    return status.absorbed


@pytest.mark.parametrize(
    ("noise", "outside"), [(ALIKE, 0.8), ((1.0, 1.15, 0.85, 1.1, 0.9), 0.7), (UNLIKE, 0.6)]
)
@pytest.mark.parametrize("samples", [100, 1_000, 10_000])
def test_a_slow_attack_ends_in_a_lasting_alarm(
    samples: int, noise: tuple[float, ...], outside: float
):
    """A linear drift that ends just above the largest shift absorbed raises an alarm that lasts,
    however slow it is and however much enrolled blocks differ, and the level never rises by more
    than its bound."""
    world = taught(noise)
    top = shift_for(world, largest_absorbed(world) + 0.4)
    stream = Stream(world)
    stream.watch(rows(64, 2))
    stream.watch(rows(samples, 3, np.linspace(0, top, samples)))
    stream.watch(rows(200, 4, top))
    assert stream.questions
    assert all(one.alarm for one in stream.decisions[-100:])
    assert stream.outside(100) >= outside
    assert world.ledger.recalibrations()["live"].offset <= OFFSET_MAX * hdc.ONE


@pytest.mark.parametrize("noise", [ALIKE, UNLIKE])
def test_every_window_far_beyond_the_limit_lies_outside(noise: tuple[float, ...]):
    """However slowly a stream came there, and though each sample counts up to a clip only."""
    world = taught(noise)
    top = shift_for(world, largest_absorbed(world) + 4)
    stream = Stream(world)
    stream.watch(rows(64, 2))
    stream.watch(rows(2_000, 3, np.linspace(0, top, 2_000)))
    stream.watch(rows(200, 4, top))
    assert stream.outside(200) == 1.0


def test_a_small_drift_is_followed_without_an_alarm():
    """A drift of half a within-block deviation moves the level and raises no question."""
    world = taught()
    top = shift_for(world, 0.6)
    stream = Stream(world)
    stream.watch(rows(400, 3, np.linspace(0, top, 400)))
    stream.watch(rows(400, 4, top))
    assert not stream.questions
    assert 0.2 * hdc.ONE < world.ledger.recalibrations()["live"].offset < hdc.ONE
    assert stream.outside(200) <= 0.05


def shifted(world: World, shift: float = 2.0) -> Stream:
    """A stream with an open question after an abrupt change."""
    stream = Stream(world)
    stream.watch(rows(64, 2), subject="before")
    stream.watch(rows(40, 3, shift), subject="after")
    assert len(stream.questions) == 1
    return stream


def answer(world: World, asked: AlarmQuestion, *, harmless: bool) -> list[Message]:
    """Answer a question."""
    return world.feed(ConfirmAlarm(asked.alarm_id, asked.stream, harmless, 5))


def test_one_answer_re_bases_the_level():
    """After "harmless" the stream is inside at its new level, and a further change is asked about
    again."""
    world = taught()
    stream = shifted(world)
    asked = stream.questions[0]
    assert asked in world.runtime.alarm_questions()
    done, ended = answer(world, asked, harmless=True)
    assert isinstance(ended, DriftAlarm)
    assert (ended.stream, ended.raised) == (asked.stream, False)
    assert isinstance(done, Acknowledgement)
    assert not world.runtime.alarm_questions()
    stream.watch(rows(200, 4, 2.0), subject="after")
    assert stream.outside(150) <= 0.05
    assert not stream.decisions[-1].alarm
    stream.watch(rows(60, 5, 4.0), subject="later")
    assert len(stream.questions) == 2
    (record,) = world.ledger.recalibrations()["live"].confirmed
    assert record.alarm_id == asked.alarm_id
    assert record.recordings == ("today",)
    assert record.observation_ids == asked.observation_ids


def test_an_unanswered_question_is_not_sent_again_soon():
    """The same shift that comes back is asked about under the same id, and no message is sent; an
    answer then counts for what the stream shows now."""
    world = taught()
    stream = shifted(world)
    asked = open_now = stream.questions[0]
    for turn in range(4):
        stream.watch(rows(60, 10 + turn))
        assert not world.runtime.alarm_questions()
        stream.watch(rows(40, 20 + turn, 2.0), subject="again")
        (open_now,) = world.runtime.alarm_questions()
        assert open_now.alarm_id == asked.alarm_id
    assert len(stream.questions) == 1
    answer(world, open_now, harmless=True)
    (record,) = world.ledger.recalibrations()["live"].confirmed
    assert record.observation_ids == open_now.observation_ids != asked.observation_ids
    assert record.subjects == ("again",)


def test_a_larger_shift_or_a_late_one_is_asked_about_anew():
    """What lies farther out than the unanswered question, or comes long after it, is new."""
    world = taught()
    stream = shifted(world)
    stream.watch(rows(60, 10))
    stream.watch(rows(40, 11, 4.0))
    assert len({one.alarm_id for one in stream.questions}) == len(stream.questions) == 2
    stream.watch(rows(REPEATED_SAMPLES + 60, 12))
    stream.watch(rows(40, 13, 4.0))
    assert len(stream.questions) == 3


def test_a_forget_request_drops_an_unanswered_question():
    """Nothing of a question about forgotten observations is left: the shift is asked about anew."""
    world = taught()
    stream = shifted(world)
    stream.watch(rows(60, 10))
    world.feed(ForgetRequest(request_id="r", selector=Selector(subject="after")))
    stream.watch(rows(40, 11, 2.0), subject="again")
    assert len(stream.questions) == 2
    assert stream.questions[1].alarm_id != stream.questions[0].alarm_id


def test_a_stream_that_returns_is_judged_at_the_enrolled_level_again():
    """What was called harmless has ended once the stream has been back for two windows: the same
    shift is asked about again, after a restart as well."""
    world = taught()
    stream = shifted(world)
    answer(world, stream.questions[0], harmless=True)
    stream.watch(rows(60, 4, 2.0), subject="after")
    stream.watch(rows(80, 5, -0.3), subject="back")
    (record,) = world.ledger.recalibrations()["live"].confirmed
    assert record.returned
    assert world.ledger.recalibrations()["live"].offset == 0
    assert stream.outside(60) <= 0.05
    world.runtime = Runtime(world.config, world.model, world.ledger)
    stream.watch(rows(64, 6, -0.3), subject="back")
    assert len(stream.questions) == 1
    stream.watch(rows(40, 7, 2.0), subject="again")
    assert len(stream.questions) == 2


def test_a_forget_of_the_return_keeps_what_was_called_harmless():
    """That the stream has returned follows from its observations: without them the confirmed level
    counts again."""
    world = taught()
    stream = shifted(world)
    answer(world, stream.questions[0], harmless=True)
    stream.watch(rows(60, 4, 2.0), subject="after")
    stream.watch(rows(80, 5, -0.3), subject="back")
    assert world.ledger.recalibrations()["live"].confirmed[0].returned
    world.feed(ForgetRequest(request_id="f", selector=Selector(subject="back")))
    assert not world.ledger.recalibrations()["live"].confirmed[0].returned
    stream.watch(rows(60, 6, 2.0), subject="after")
    assert stream.outside(30) <= 0.05


def test_an_answer_of_not_harmless_keeps_the_alarm():
    """The question is closed, nothing is stored, and the stream stays outside."""
    world = taught()
    stream = shifted(world)
    (done,) = answer(world, stream.questions[0], harmless=False)
    assert isinstance(done, Acknowledgement)
    assert not world.runtime.alarm_questions()
    (again,) = answer(world, stream.questions[0], harmless=True)
    assert isinstance(again, Rejected)
    assert not any(one.confirmed for one in world.ledger.recalibrations().values())


def test_a_question_that_nobody_asked_is_rejected():
    """An answer to an unknown alarm changes nothing and says so."""
    world = taught()
    (refused,) = world.feed(ConfirmAlarm("never", "live", harmless=True))
    assert isinstance(refused, Rejected)


def test_recalibration_survives_a_restart():
    """A runtime that is created on the same ledger judges at the confirmed level, and knows the
    observed rate."""
    world = taught()
    stream = shifted(world)
    answer(world, stream.questions[0], harmless=True)
    stream.watch(rows(400, 4, 2.0), subject="after")
    before = world.runtime.digest()
    rates = world.runtime.observed_rates()["live"]
    world.runtime = Runtime(world.config, world.model, world.ledger)
    assert world.runtime.digest() == before
    stored = world.runtime.observed_rates()["live"]
    assert 0 < stored.samples <= rates.samples
    stream.watch(rows(100, 6, 2.0), subject="after")
    assert stream.outside(60) <= 0.05


@pytest.mark.parametrize(
    "selector",
    [
        Selector(subject="after"),
        Selector(stream="live"),
        Selector(from_ns=1000 * SECOND),
        Selector(recording="today"),
    ],
)
def test_a_forget_drops_what_stems_from_the_observations(selector: Selector):
    """No selector that names them leaves a confirmed alarm, an offset or a count behind."""
    world = taught()
    stream = shifted(world)
    answer(world, stream.questions[0], harmless=True)
    stream.watch(rows(300, 4, 2.0), subject="after")
    assert world.ledger.recalibrations()["live"].confirmed
    world.feed(ForgetRequest(request_id="f", selector=selector))
    assert "live" not in world.ledger.recalibrations()
    stream.watch(rows(40, 5, 2.0), subject="again")
    assert stream.outside(10) == 1.0


def test_a_level_is_stored_as_often_after_a_forget_as_before():
    """A forget drops the counts of a stream; its level is stored again as that of a stream that
    never saw the forgotten observations, so that a restart loses no more of it."""
    world, twin = taught(), taught()
    stream, other = Stream(world), Stream(twin)
    stream.watch(rows(400, 4, 0.3), subject="gone")
    assert world.ledger.recalibrations()["live"].samples > STORED_SAMPLES
    world.feed(ForgetRequest(request_id="f", selector=Selector(subject="gone")))
    stream.at = 0
    for one in (stream, other):
        one.watch(rows(300, 5, 0.3), subject="again")
    assert world.ledger.recalibrations() == twin.ledger.recalibrations()
    assert world.ledger.recalibrations()["live"].samples


def test_a_forget_of_others_keeps_a_confirmed_alarm():
    """A forget that names another subject's facts keeps the record, and derives its level again."""
    world = taught()
    stream = shifted(world)
    answer(world, stream.questions[0], harmless=True)
    world.feed(ForgetRequest(request_id="f", selector=Selector(ids=frozenset({"t0007"}))))
    record = world.ledger.recalibrations()["live"]
    assert len(record.confirmed) == 1
    assert record.geometry == world.runtime.knowledge.geometry.fingerprint


def test_a_renamed_domain_keeps_its_confirmed_alarms():
    """After a domain is renamed the stream is still judged at the confirmed level."""
    world = taught()
    stream = shifted(world)
    answer(world, stream.questions[0], harmless=True)
    world.feed(Relabel(Selector(domain="home"), domain="house"))
    assert world.ledger.recalibrations()["live"].confirmed[0].domain == "house"
    stream.watch(rows(60, 6, 2.0), subject="after")
    assert stream.outside(30) <= 0.05


def test_recalibration_is_outside_the_digest():
    """Neither drift that is followed nor a confirmed alarm changes the digest."""
    world = taught()
    before = world.runtime.digest()
    stream = shifted(world)
    answer(world, stream.questions[0], harmless=True)
    stream.watch(rows(300, 4, 2.0))
    assert world.runtime.digest() == before


def test_the_observed_rate_stands_in_the_decisions():
    """Decisions carry the rate observed so far, with an interval that contains it."""
    world = taught()
    stream = Stream(world)
    stream.watch(rows(600, 8))
    last = stream.decisions[-1]
    assert last.observed_rate is not None
    assert last.observed_low is not None
    assert last.observed_high is not None
    assert last.observed_low <= last.observed_rate <= last.observed_high
    assert last.observed_low <= 0.01
    assert last.observed_high <= 0.05


def test_status_says_which_facts_have_no_times():
    """Facts with capture times are held out in blocks; those without count as exchangeable."""
    (timed,) = taught().runtime.calibration_status()
    assert not timed.exchangeable
    assert timed.blocks == hdc.BLOCKS
    assert 0 < timed.effective_samples <= timed.samples
    facts = [replace(fact(f"t{at}"), features=row.tobytes()) for at, row in enumerate(rows(120, 1))]
    (untimed,) = World(facts, width=WIDTH).runtime.calibration_status()
    assert untimed.exchangeable
    assert untimed.blocks == 0


def test_facts_without_times_have_an_observed_rate_too():
    """Decisions report the chosen rate and the observed one.  Observations in a lasting alarm are
    not counted, no question is raised, and a forget request drops the counts."""
    facts = [replace(fact(f"t{at}"), features=row.tobytes()) for at, row in enumerate(rows(400, 1))]
    world = World(facts, width=WIDTH, config=Config(growth=False))
    world.feed(FitGeometry())
    stream = Stream(world)
    stream.watch(rows(STORED_SAMPLES + 60, 2), subject="ann")
    found = world.runtime.observed_rates()["live"]
    assert found.samples >= STORED_SAMPLES
    assert found.low <= 0.02
    last = stream.decisions[-1]
    assert last.false_alarm_rate == world.config.false_alarm_rate
    assert last.observed_rate == pytest.approx(found.rate, abs=1e-3)
    assert world.ledger.recalibrations()["live"].subjects == ("ann",)
    stream.watch(rows(40, 3, 3.0), subject="ann")
    assert stream.decisions[-1].alarm
    assert not stream.questions
    assert world.runtime.observed_rates()["live"].alarms <= found.alarms + 1
    world.feed(ForgetRequest(request_id="f", selector=Selector(subject="ann")))
    assert "live" not in world.ledger.recalibrations()
    assert "live" not in world.runtime.observed_rates()


def test_a_clear_alarm_is_asked_about_after_half_a_window():
    """Where the newest half window lies outside by itself the question does not wait for a whole
    one, and is about these observations: where the stream is now."""
    world = taught()
    stream = Stream(world)
    stream.watch(rows(64, 2))
    stream.watch(rows(60, 3, 2.0))
    raised = next(at for at, one in enumerate(stream.decisions) if one.window_p <= 0.01)
    (asked,) = stream.questions
    ids = [one.observation_id for one in stream.decisions]
    assert ids.index(asked.alarm_id) == raised + 7
    assert list(asked.observation_ids) == ids[raised : raised + 8]
    assert asked.from_ns == stream.decisions[raised].captured_at_ns


def test_outliers_that_have_passed_are_not_asked_about():
    """A burst of outliers keeps its windows outside for more than half a window; the observations
    after it lie inside, so that nothing is asked."""
    world = taught()
    stream = Stream(world)
    stream.watch(rows(64, 2))
    stream.watch(rows(6, 3, 4.0))
    stream.watch(rows(60, 4))
    outside = [one.window_p <= 0.01 for one in stream.decisions]
    assert 8 < sum(outside) < 16
    assert not stream.questions


def test_samples_in_doubt_count_towards_a_lasting_alarm():
    """Samples that are neither known nor new, because labels have few samples, are asked about once
    their windows have lain outside."""
    classes = np.tile([-0.2, 0.2], 100)
    facts = [
        replace(
            fact(f"t{at:04}", str(at % 2), at=SECOND * (at + 1), stream="past"),
            features=row.tobytes(),
        )
        for at, row in enumerate(rows(200, 1, classes))
    ]
    world = World(facts, width=WIDTH, config=Config(growth=False))
    world.feed(FitGeometry())
    stream = Stream(world)
    stream.watch(rows(64, 2, classes[:64]))
    stream.watch(rows(24, 3, classes[:24] + 1.5))
    assert sum(one.known is None for one in stream.decisions[-24:]) >= 12
    assert stream.questions
