from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

import hdc
from edge.core.config import Config
from edge.core.events import DriftAlarm, FitGeometry, Label, Observation
from edge.core.knowledge.derive import derive_knowledge
from edge.core.knowledge.knowledge import Knowledge
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.session.alarms import LABELS_MIN, MERGE_SHIFT_MAX, Alarms
from edge.core.session.novel_domains import UnlabelledRow, unpack_rows
from edge.core.session.session_state import SessionState
from edge.core.session.stream import StreamState
from tests.worlds import World, clouds, fact, vector

WIDE = 64
WINDOW = 8


def taught() -> MemoryLedger:
    """A ledger that knows one cloud."""
    return MemoryLedger(
        replace(fact(f"t{row:04}", "a", at=row), features=values.tobytes())
        for row, values in enumerate(clouds((1,), 200, width=WIDE))
    )


def opened(session: SessionState, name: str, centre: int, count: int) -> None:
    """Add observations of a cloud to a novel domain."""
    for at, values in enumerate(clouds((centre,), count, seed=count, width=WIDE)):
        session.novel_domains.add(name, f"{name}:{at}", UnlabelledRow("a", values.tobytes()))


def show(
    session: SessionState, known: Knowledge, stream: StreamState, centre: int, count: int
) -> list[str]:
    """Show a stream a cloud; return the sequence of its alarm states."""
    config = Config(window=WINDOW)
    alarms, found = Alarms(config, session), []
    for at, values in enumerate(clouds((centre,), count, seed=77, width=WIDE)):
        reference = session.reference_model(known)
        stream.push(session.assess(str(at), values, known, reference))
        verdicts = [glance.verdict for glance in stream.window]
        window = hdc.detect_window(verdicts, known.calibration()) if stream.full else None
        turned = alarms.update(stream, window, known, reference)
        if turned is not None:
            stream.alarm_domain = turned
            found.append(turned)
    return found


def test_openings_that_are_one_are_merged():
    """Two novel domains of the same cloud are merged into the larger when a stream enters the
    other."""
    known = derive_knowledge(taught(), hdc.identity_geometry(WIDE, ((0, WIDE),), 1))
    session = SessionState(Config(window=WINDOW))
    opened(session, "domain-2", 7, 40)
    opened(session, "domain-3", 7, 20)
    stream = session.streams.get("s")
    stream.alarm_domain = "domain-3"
    stream.tracker.enter("domain-3")
    show(session, known, stream, 7, 3 * WINDOW)
    assert session.novel_domains.names == {"domain-2"}
    assert stream.alarm_domain == "domain-2"


def test_openings_that_are_two_stay_two():
    """A stream that moves between two separate novel domains merges nothing."""
    known = derive_knowledge(taught(), hdc.identity_geometry(WIDE, ((0, WIDE),), 1))
    session = SessionState(Config(window=WINDOW))
    opened(session, "domain-2", 7, 40)
    opened(session, "domain-3", 11, 40)
    stream = session.streams.get("s")
    stream.alarm_domain = "domain-2"
    stream.tracker.enter("domain-2")
    assert show(session, known, stream, 11, 3 * WINDOW) == ["domain-3"]
    assert session.novel_domains.names == {"domain-2", "domain-3"}


def test_extreme_samples_do_not_hide_that_two_openings_differ():
    """A few extreme samples widen the spread of an opening so far that its shift looks small; its
    parts without them still lie far from the other opening."""
    world = World(taught().facts(), width=WIDE, config=Config(window=WINDOW))
    world.feed(FitGeometry())
    known = world.runtime.knowledge
    session = SessionState(Config(window=WINDOW))
    opened(session, "domain-2", 7, 40)
    rows = np.array(clouds((7,), 64, seed=3, width=WIDE)).astype(int) + 5
    rows[56:] = 255 * np.random.default_rng(0).integers(0, 2, (8, WIDE))
    for at, values in enumerate(np.clip(rows, 0, 255).astype(np.uint8)):
        row = UnlabelledRow("a", values.tobytes())
        session.novel_domains.add("domain-3", f"domain-3:{at}", row)
    held = tuple(session.novel_domains.rows("domain-3").values())
    codes = known.geometry.project(unpack_rows(held))
    reference = session.reference_model(known)
    assert reference.shift(codes, "domain-2", [""] * len(held)) < MERGE_SHIFT_MAX
    alarms = Alarms(Config(window=WINDOW), session)
    assert not alarms._merge("domain-3", "domain-2", known, reference)  # noqa: SLF001
    assert session.novel_domains.names == {"domain-2", "domain-3"}


def test_an_opening_that_is_a_part_of_a_learned_domain_is_merged_on_return():
    """A stream that is back in a learned domain for a window gives back what was opened there."""
    known = derive_knowledge(taught(), hdc.identity_geometry(WIDE, ((0, WIDE),), 1))
    session = SessionState(Config(window=WINDOW))
    opened(session, "domain-2", 1, 20)
    stream = session.streams.get("s")
    stream.tracker.enter("home")
    show(session, known, stream, 1, 3 * WINDOW)
    assert stream.domain == "home"
    assert not session.novel_domains.names


def test_a_labelled_opening_no_longer_follows_its_stream():
    """A novel domain takes in what its stream shows until it has labels enough: a similar domain
    that comes next would otherwise make it its own."""
    world = World(taught().facts(), width=WIDE, config=Config(window=WINDOW))
    session = world.runtime._session  # noqa: SLF001
    rows = clouds((7,), 120, seed=5, width=WIDE)
    for at, row in enumerate(rows[:60]):
        world.observe(row, at)
    early = set(session.novel_domains.rows("domain-2"))
    for at, row in enumerate(rows[60:80], 60):
        world.observe(row, at)
    before = set(session.novel_domains.rows("domain-2"))
    assert early < before
    for at in range(20, 20 + LABELS_MIN):
        world.feed(Label(f"s:{at}", "a"))
    before = set(session.novel_domains.rows("domain-2"))
    for at, row in enumerate(rows[80:], 80):
        world.observe(row, at)
    assert set(session.novel_domains.rows("domain-2")) <= before


@pytest.mark.parametrize("fits", [True, False])
def test_an_alarm_ends_in_a_labelled_opening_that_scatters_more(fits: bool):
    """Once the novel domain is labelled, a stream that stays in it ends its alarm for good, even
    where its samples now scatter more: it takes in nothing, but it is where it belongs."""
    random = np.random.default_rng(0)
    world = World(taught().facts(), width=WIDE, config=Config(growth=False))
    if fits:
        world.feed(FitGeometry())
    centre = vector(7, WIDE).astype(np.int64)
    states: list[tuple[int, bool]] = []

    def show(first: int, count: int, around: np.ndarray, noise: range) -> None:
        for at in range(first, first + count):
            moved = around + random.integers(noise[0], noise[-1] + 1, WIDE)
            row = np.clip(moved, 0, 255).astype(np.uint8)
            found = world.observe(row, at)
            states.extend((at, one.raised) for one in found if isinstance(one, DriftAlarm))

    show(0, 60, vector(1, WIDE).astype(np.int64), range(-12, 13))
    show(60, 120, centre, range(-12, 13))
    for at in range(100, 100 + LABELS_MIN + 4):
        world.feed(Label(f"s:{at}", "b"))
    show(180, 300, centre, range(-24, 25))
    assert [raised for _, raised in states] == [True, False]
    assert states[-1][0] < 240


def test_an_odd_part_of_a_domain_opens_none():
    """Samples of a domain that only scatter more raise an alarm there, and open no domain."""
    world = World(taught().facts(), width=WIDE, config=Config(window=WINDOW))
    rows = clouds((1,), 60, spread=70, seed=5, width=WIDE)
    result = [m for at, row in enumerate(rows) for m in world.observe(np.asarray(row), at)]
    (alarm,) = (m for m in result if isinstance(m, DriftAlarm))
    assert (alarm.raised, alarm.domain) == (True, "home")


def test_an_opening_that_is_gone_is_spoken_of_no_more():
    """Streams in a dropped novel domain are assessed again."""
    world = World(taught().facts(), width=WIDE, config=Config(window=WINDOW))
    session = world.runtime._session  # noqa: SLF001
    rows = clouds((7,), 60, seed=5, width=WIDE)
    for at, row in enumerate(rows[:30]):
        world.observe(row, at)
    assert session.novel_domains.names == {"domain-2"}
    session.novel_domains.close("domain-2")
    result = [m for at, row in enumerate(rows[30:], 30) for m in world.observe(row, at)]
    assert [m.domain for m in result if isinstance(m, DriftAlarm)] == ["domain-3"]
    assert session.label_buffer.get("s:59").domain == "domain-3"  # type: ignore[union-attr]


def test_labels_follow_a_merged_opening():
    """After a merge, the observations of a stream refer to the remaining domain."""
    known = derive_knowledge(taught(), hdc.identity_geometry(WIDE, ((0, WIDE),), 1))
    session = SessionState(Config(window=WINDOW))
    opened(session, "domain-2", 7, 40)
    opened(session, "domain-3", 7, 20)
    stream = session.streams.get("s")
    stream.alarm_domain = "domain-3"
    stream.tracker.enter("domain-3")
    show(session, known, stream, 7, 3 * WINDOW)
    assert {name for glance in stream.recent for name in glance.novelties} == {"domain-2", "home"}


@pytest.mark.parametrize("seed", range(4))
def test_after_a_short_excursion_a_stream_is_back(seed: int):
    """A sensor wanders as it did at enrolment but for sixty samples.  They raise at most one alarm
    and open one domain, although that domain holds samples that the learned one explains, too; and
    no alarm is raised while its window lies inside the learned domain."""
    random, enrolled, width = np.random.default_rng(seed), 600, 8
    values = random.normal(0, 1, (2_400, width))
    for at in range(1, len(values)):
        values[at] = 0.9 * values[at - 1] + np.sqrt(1 - 0.9**2) * values[at]
    values[800:860] += [1.2, -1.2] * (width // 2)
    rows = np.clip(np.rint(128 + 18 * values), 0, 255).astype(np.uint8)
    second = 10**9
    facts = [
        replace(fact(f"{at:05}", at=(at + 1) * second), features=row.tobytes())
        for at, row in enumerate(rows[:enrolled])
    ]
    world = World(facts, width=width, config=Config(window=16))
    world.feed(FitGeometry())
    alarms = [
        message
        for at, row in enumerate(rows[enrolled:], enrolled)
        for message in world.feed(
            Observation(stream="s", sequence=at, captured_at_ns=(at + 1) * second, payload=row)
        )
        if isinstance(message, DriftAlarm) and message.raised
    ]
    assert len(alarms) <= 1
    assert all(alarm.window_p <= world.config.false_alarm_rate for alarm in alarms)


def test_facts_that_lie_apart_stay_in_their_domain():
    """Of a stream that mixes a known cloud with a new one, a person labels the new one: what is
    left without a label lies near the known domain, and does not take the facts there."""
    random = np.random.default_rng(0)
    world = World(taught().facts(), width=WIDE, config=Config(growth=False))
    world.feed(FitGeometry())
    new: list[str] = []

    def show(first: int, count: int, share: float) -> None:
        for at in range(first, first + count):
            centre = 7 if random.random() < share else 1
            moved = vector(centre, WIDE).astype(np.int64) + random.integers(-12, 13, WIDE)
            world.observe(np.clip(moved, 0, 255).astype(np.uint8), at)
            if centre == 7:
                new.append(f"s:{at}")

    show(0, 60, 0)
    show(60, 120, 0.5)
    for one in new[-60:]:
        world.feed(Label(one, "b"))
    named = {fact.domain for fact in world.ledger.facts() if fact.label == "b"}
    show(180, 200, 0)
    assert {fact.domain for fact in world.ledger.facts() if fact.label == "b"} == named
    assert not world.ledger.domain_merges()
