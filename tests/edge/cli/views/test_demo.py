"""The view of the demonstration, shown from made-up events."""

import io
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from edge.cli.views import demo as demo_view
from edge.core.events import Decision
from edge.core.facts import Selector
from edge.core.receipt import Receipt
from edge.demo.events import (
    DemoEvent,
    DemoOutcome,
    EvaluationSummary,
    ImageEvent,
    PhaseEvent,
    PixelOutcome,
    StreamSummary,
    TextEvent,
    WaitEvent,
)
from edge.demo.forget_proof import ForgetProof
from edge.extras import missing_torch
from edge.home.home import Home
from edge.sim.digits import load_mnist, load_optdigits
from edge.sim.recording import DecisionStep, GrowthEpisode, RunRecording, TimelineMark
from tests import workers

DECISION = Decision(
    observation_id="r:0",
    stream="r",
    captured_at_ns=1,
    known=True,
    domain="mnist",
    label="7",
    guess="7",
    score=3.0,
    p_value=0.5,
    window_p=0.8,
    alarm=False,
)
STEP = DecisionStep(
    index=0,
    stream="r",
    truth_domain="mnist",
    truth_label="7",
    known=True,
    domain="mnist",
    label="7",
    guess="7",
    score=3.0,
    p_value=0.5,
    window_p=0.8,
    alarm=False,
)
RECEIPT = Receipt(
    request_id="demo-forget-1",
    requested_at_ns=1,
    selector=Selector(label="7"),
    facts_forgotten=12,
    concepts_touched=("optdigits/7",),
    digest_before="a" * 64,
    digest_after="b" * 64,
    rebuilt=("sums",),
    evicted_before=0,
    not_covered=("backups",),
)
PROOF = ForgetProof(
    facts=12,
    expected="b" * 64,
    receipt="b" * 64,
    runtime="b" * 64,
    reopened="b" * 64,
    ids_left=0,
    traces_before=12,
    traces_after=0,
    redelivered=12,
    relearned=0,
)
EVALUATIONS = (
    EvaluationSummary("before any label", 0.96, 0.2, 0.0, 0.2),
    EvaluationSummary("after 120 labels", 0.96, 0.87, 0.8, 0.88),
    EvaluationSummary("after forgetting its 7s", 0.96, 0.8, 0.0, 0.88),
)
GROWN = GrowthEpisode(
    job_id="j",
    domain="optdigits",
    version=1,
    facts=120,
    asked_at=1,
    ended_at=1,
    until=None,
    state="serving",
    reason="",
    blueprint="linear taps 0",
    accuracy=0.9,
    incumbent=0.8,
    seconds=3.2,
)
OUTCOME = DemoOutcome(
    recording=RunRecording(
        title="demo",
        seed=1,
        steps=(STEP,),
        marks=(TimelineMark(0, "domain", "mnist"),),
        digest="b" * 64,
    ),
    evaluations=EVALUATIONS,
    known=StreamSummary(images=500, read=480, new=5),
    unlabelled=StreamSummary(
        images=250,
        read=50,
        new=250,
        routed=0,
        alarms=1,
        alarm_after=16,
        cleared_after=None,
        domain="domain-2",
    ),
    labelled=StreamSummary(images=400, read=350, new=4, routed=396),
    labels=120,
    placed=120,
    digit="7",
    receipt=RECEIPT,
    proof=PROOF,
    encoder_ms=4.5,
    rest_ms=0.45,
)
EVENTS: tuple[DemoEvent, ...] = (
    PhaseEvent("Enrolment", "A reader learns.", 1, load_mnist()),
    ImageEvent(),
    WaitEvent("searching and training"),
    PhaseEvent("Known domain", "Unlabelled digits.", 1),
    ImageEvent(DECISION, right=True),
    TextEvent("ALARM after 16 images", "alarm"),
    RECEIPT,
    OUTCOME,
)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[DemoEvent]:
    """The events that the view receives."""
    made = list(EVENTS)

    def run(*_given: object, **_named: object) -> Iterator[DemoEvent]:
        return iter(made)

    monkeypatch.setattr(demo_view, "run_demo", run)
    return made


def shown(folder: Path, width: int, *, terminal: bool = False) -> tuple[int, str]:
    """The exit status of the demonstration, and its output."""
    screen = io.StringIO()
    console = Console(file=screen, width=width, force_terminal=terminal, highlight=False)
    return demo_view.show_demo(folder, console=console), screen.getvalue()


def test_outside_a_terminal_there_are_plain_lines(events: list[DemoEvent], tmp_path: Path):
    """A log holds no control characters, no moving bar, and no line beyond its width."""
    code, text = shown(tmp_path / "demo", 80)
    assert code == 0
    assert "\x1b" not in text
    assert "\r" not in text
    summary = text.split("report   ")[0]
    assert max(map(len, summary.splitlines())) <= 80
    assert text.count("ALARM after 16 images") == 1


@pytest.mark.parametrize("width", [80, 120])
def test_the_last_screen_sums_up_the_run(events: list[DemoEvent], tmp_path: Path, width: int):
    """The last screen has accuracies, delay, false alarms, times, paths and next steps."""
    text = " ".join(shown(tmp_path / "demo", width)[1].split())
    for part in (
        "96.0% 87.0% 80.0% 88.0%",
        "after 16 images",
        "9 of 900 decided = 1.0% (chosen: 1%)",
        "12 facts, 0 of them still in the file",
        "0 of 12 relearned",
        "encoder 4.50 ms, everything else 0.45 ms (10%)",
        "demo/report.html",
        "demo/knowledge.db",
        "auricle init",
        "auricle learn",
    ):
        assert part in text


def test_a_terminal_shows_a_live_table(events: list[DemoEvent], tmp_path: Path):
    """While images stream in, a live table shows their accuracy."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown(tmp_path / "demo", 100, terminal=True)[1])
    assert "called new" in text
    assert "quiet" in text


def test_the_folder_is_a_home_with_a_report(events: list[DemoEvent], tmp_path: Path):
    """The demonstration leaves a home that the other verbs can open."""
    shown(tmp_path / "demo", 80)
    assert (tmp_path / "demo" / "report.html").stat().st_size > 1_000
    with Home(tmp_path / "demo", writable=False) as home:
        digest = OUTCOME.recording.digest
        assert home.store.stamped({"knowledge": digest}) == {"knowledge": digest}


def test_nothing_that_is_there_is_touched(events: list[DemoEvent], tmp_path: Path):
    """A folder in use is not changed; the next free name or an empty folder is used."""
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "mine.txt").write_text("keep")
    (tmp_path / "demo-2").write_text("a file")
    assert demo_view.free_folder(tmp_path / "demo") == tmp_path / "demo-3"
    (tmp_path / "demo-3").mkdir()
    assert demo_view.free_folder(tmp_path / "demo") == tmp_path / "demo-3"
    shown(tmp_path / "demo", 80)
    assert [path.name for path in (tmp_path / "demo").iterdir()] == ["mine.txt"]
    assert (tmp_path / "demo-3" / "report.html").exists()


def test_a_broken_promise_is_reported_and_exits_with_1(events: list[DemoEvent], tmp_path: Path):
    """If the digests differ, the last screen and the exit status say so."""
    events[-1] = replace(OUTCOME, proof=replace(PROOF, reopened="c" * 64))
    code, text = shown(tmp_path / "demo", 80)
    assert code == 1
    assert "NOT bit-identical" in text


def test_a_missing_alarm_is_reported(events: list[DemoEvent], tmp_path: Path):
    """If the new scanner was not detected, the screen says so instead of a number."""
    events[-1] = replace(OUTCOME, unlabelled=StreamSummary(images=250, read=50, new=3))
    assert "not in 250 images" in shown(tmp_path / "demo", 80)[1]


def test_the_summary_states_the_outcome_of_the_growth(events: list[DemoEvent], tmp_path: Path):
    """The summary names a serving adaptor, one that was no better, a failed worker, and missing
    torch."""
    for episodes, words in (
        ((GROWN,), "linear taps 0, searched and trained in 3.2 s"),
        ((replace(GROWN, state="refused"),), "none was better, searched and trained in 3.2 s"),
        ((replace(GROWN, state="refused", accuracy=None, reason="too late"),), "none: too late"),
        ((), missing_torch()),
    ):
        events[-1] = replace(OUTCOME, recording=replace(OUTCOME.recording, episodes=episodes))
        assert words in " ".join(shown(tmp_path / "demo", 120)[1].split())


def test_bare_pixels_have_a_page_and_a_line(events: list[DemoEvent], tmp_path: Path):
    """If adaptors grew on raw pixels, the last screen shows their gain in each domain."""
    pixels = PixelOutcome(OUTCOME.recording, EVALUATIONS[0], EVALUATIONS[1], 99, 100)
    events[-1] = replace(OUTCOME, pixels=pixels)
    text = " ".join(shown(tmp_path / "demo", 120)[1].split())
    assert "MNIST 96.0% → 96.0%, new scanner 20.0% → 87.0%, 99 of 100 routed correctly" in text
    assert "demo/pixels/report.html" in text
    assert (tmp_path / "demo" / "pixels" / "report.html").exists()


def test_a_worker_is_found_where_torch_is(monkeypatch: pytest.MonkeyPatch):
    """Without torch there is no worker; with it a job runs in a process and returns its result."""
    monkeypatch.setattr(demo_view, "find_spec", lambda _name: None)
    assert demo_view.find_worker() is None
    monkeypatch.setattr(demo_view, "find_spec", lambda name: name)
    monkeypatch.setattr(demo_view, "Worker", lambda *_limits: workers.worker("grown"))
    grow = demo_view.find_worker()
    assert grow is not None
    job = workers.a_job()
    assert grow(job).job_id == job.id


def test_digits_are_drawn_side_by_side():
    """Four digits of either source fit a line of 80 columns and are not blank."""
    for digits in (load_mnist(), load_optdigits()):
        lines = demo_view.draw(digits).splitlines()
        assert max(map(len, lines)) <= 80
        assert len({len(line) for line in lines}) == 1
        assert sum("█" in line for line in lines) > 2


def test_a_digit_that_is_missing_is_left_out():
    """Fewer samples give fewer drawings."""
    few = load_mnist().select(np.arange(3))
    assert demo_view.draw(few) == ""


def install(folder: Path) -> Path:
    """An executable named auricle."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "auricle"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("running", "on_path", "expected"),
    [
        ("in here/.venv/bin", "elsewhere", "'in here/.venv/bin/auricle'"),
        (".venv/bin", "", ".venv/bin/auricle"),
        (".venv/bin", ".venv/bin", "auricle"),
    ],
)
def test_the_next_steps_name_the_program_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, running: str, on_path: str, expected: str
):
    """The command is `auricle` only if a shell would start this program by it; else its quoted
    path."""
    program = install(tmp_path / running)
    if on_path:
        install(tmp_path / on_path)
    monkeypatch.setenv("PATH", str(tmp_path / on_path) if on_path else "/nowhere")
    monkeypatch.setattr(sys, "argv", [str(program), "demo"])
    monkeypatch.chdir(tmp_path)
    assert demo_view.own_command() == expected


def test_a_path_elsewhere_is_printed_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """From an unrelated folder the command is the absolute path of the program."""
    program = install(tmp_path / "env/bin")
    (tmp_path / "work").mkdir()
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", [str(program), "demo"])
    monkeypatch.chdir(tmp_path / "work")
    assert demo_view.own_command() == str(program)
