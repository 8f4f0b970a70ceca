from __future__ import annotations

import io
import json
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console

from edge.cli.views import common as views
from edge.core.events import Decision, DriftAlarm, Rejected
from edge.core.facts import Selector
from edge.core.receipt import (
    AdaptorOutcome,
    DeviceOrder,
    EvictedConcept,
    FileFound,
    PlacedDomain,
    Receipt,
    SeriesForgotten,
)
from edge.datasets.class_folders import Skipped
from edge.home.actions import ClassCount, LearnSummary, Prediction, VerifyReport

DIGEST = "0123456789abcdef" * 4


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal 40 columns wide, and its output."""
    shown = io.StringIO()
    monkeypatch.setattr(
        views, "console", Console(file=shown, force_terminal=True, width=40, color_system=None)
    )
    return shown


def decision(**changes: object) -> Decision:
    """A decision about a known cat."""
    fields: dict[str, Any] = {
        "known": True,
        "domain": "hall",
        "label": "cat",
        "guess": "cat",
        "reason": "",
    }
    fields |= changes
    numbers: dict[str, Any] = {"score": 1.0, "p_value": 0.5, "window_p": 1.0, "alarm": False}
    return Decision(observation_id="o", stream="s", captured_at_ns=0, **numbers, **fields)


def test_digests_never_wrap(screen):
    """A digest is never wrapped, however narrow the terminal."""
    views.show_verified(
        VerifyReport(
            facts=3,
            facts_digest=DIGEST,
            beside_digest=DIGEST,
            knowledge_digest=DIGEST,
            stamped={"facts": DIGEST, "knowledge": DIGEST},
        )
    )
    receipt = Receipt(
        request_id="r",
        requested_at_ns=5,
        selector=Selector(),
        facts_forgotten=1,
        concepts_touched=("hall/cat",),
        digest_before=DIGEST,
        digest_after=DIGEST,
        rebuilt=(),
        evicted_before=0,
        not_covered=("backups",),
    )
    views.show_receipt(receipt)
    assert screen.getvalue().count(DIGEST + "\n") == 4


def test_a_receipt_lists_the_parts_that_are_set(screen):
    """Each part of a receipt that names something is printed, and no empty part is."""
    bare = Receipt(
        request_id="r",
        requested_at_ns=5,
        selector=Selector(),
        facts_forgotten=1,
        concepts_touched=("hall/cat",),
        digest_before=DIGEST,
        digest_after=DIGEST,
        rebuilt=(),
        evicted_before=0,
        not_covered=("backups",),
    )
    views.show_receipt(bare)
    assert "files" not in screen.getvalue()
    full = replace(
        bare,
        series=(SeriesForgotten("pump", 60, "restarted", 12),),
        evictions=(EvictedConcept("hall", "cat", 10),),
        placed=(PlacedDomain("hall", 40, "placed again", "domain-2"),),
        files=(FileFound("old.npz", "export", "kept", "remove it"),),
        devices=(DeviceOrder("cam-2", "bundle", "recall-7", sent=False),),
        adaptors=(AdaptorOutcome("hall", 1, "derived again", 2),),
        duplicates="near",
        accepted_at_ns=1_000_000_000,
        excluded_at_ns=1_020_000_000,
        completed_at_ns=2_500_000_000,
    )
    views.show_receipt(full)
    shown = "".join(screen.getvalue().split())
    for part in (
        "pump: 60 samples forgotten, forecaster restarted, 12 other samples lost",
        "hall/cat: 10 facts",
        "learn them again where you have them",
        "move facts with `auricle relabel`",
        "hall: 40 facts placed again, now domain-2",
        "old.npz (export): kept; remove it",
        "cam-2 holds a bundle: order recall-7 not sent yet",
        "hall 1: derived again, version 2 serves",
        "near",
        "0.020 s",
        "1.500 s",
    ):
        assert part.replace(" ", "") in shown, part


def test_nothing_shown_steers_the_terminal(screen, capsys):
    """Control characters and markup in names are shown as text."""
    nasty = "\x1b[2J[bold]x[/bold]\a\tb"
    views.show_skipped((Skipped(nasty, nasty),))
    views.show_table(("name",), [(nasty,)])
    views.show_prediction(Prediction(nasty, Rejected("x", nasty)))
    views.show_error(nasty, nasty)
    shown = screen.getvalue()
    assert "\x1b" not in shown
    assert "\a" not in shown
    assert "[bold]" in shown
    assert "\x1b[2J" not in capsys.readouterr().err


def test_tables_are_plain_lines_outside_a_terminal(capsys):
    """Other programs get a line for each row with tabs between cells, whatever the cells
    contain."""
    views.show_table(("domain", "label"), [("hall", "a\tb"), ("x\ny", 3)])
    assert capsys.readouterr().out == "domain\tlabel\nhall\ta\\tb\nx y\t3\n"


def test_predictions_line_up_in_a_terminal(screen):
    """Columns keep their place, with wide letters too; the source comes last and is never cut."""
    views.show_prediction_names()
    views.show_prediction(Prediction("a/very/long/path/" * 5, decision(label="日本", guess="日本")))
    views.show_prediction(Prediction("b", decision(known=False, label=None)))
    first, second, third = screen.getvalue().splitlines()
    assert second.endswith("a/very/long/path/" * 5)
    assert first.index("domain") == third.index("hall")
    assert "NEW" in third
    assert third.startswith("-")


def test_alarms_stand_between_predictions(capsys):
    """A drift alarm is a line that other programs can tell from a prediction."""
    for raised, words in ((True, "alarm raised"), (False, "alarm cleared")):
        alarm = DriftAlarm(
            stream="s",
            observation_id="o",
            captured_at_ns=0,
            raised=raised,
            window_p=0.001,
            domain="hall",
        )
        views.show_prediction(Prediction("x", alarm))
        line = capsys.readouterr().out
        assert line.startswith("# drift alarm")
        assert words in line


def test_a_score_counts_undecided_examples(capsys):
    """Agreement is counted for examples with a label; an unattainable rate is shown with its
    reason."""
    score = views.PredictionScore()
    score.count(Prediction("a", decision(), "cat"))
    score.count(Prediction("b", decision(known=None, reason="needs 99 samples"), "dog"))
    score.count(Prediction("c", decision(known=False)))
    score.count(Prediction("d", Rejected("x", "bad")))
    views.show_score(score)
    assert capsys.readouterr().out.splitlines() == [
        "# 3 examples, 1 called new",
        "# 1 of them neither known nor new: needs 99 samples",
        "# 1 of 2 guesses agree with the given labels",
    ]


def test_learned_examples_are_shown(capsys):
    """Layout, concepts, counts and the first skipped files are shown; further ones are counted."""
    skips = tuple(Skipped(f"f{number}", "bad") for number in range(9))
    views.show_learned(
        LearnSummary(
            count=2,
            detail="1 already known",
            layout="3 as <label>/<image>",
            concepts=(ClassCount("hall", "cat", 3),),
            skipped=skips,
            knowledge_digest=DIGEST,
        )
    )
    shown = capsys.readouterr().out
    for words in (
        "3 as <label>/<image>",
        "hall\tcat\t3",
        "learned 2 facts (1 already known)",
        "skipped f4: bad",
        "4 more skipped",
        DIGEST,
    ):
        assert words in shown
    assert "f5" not in shown


@pytest.mark.parametrize(
    ("stamped", "words"),
    [
        ({}, "none yet"),
        ({"facts": "other", "beside": DIGEST, "knowledge": DIGEST}, "did not end cleanly"),
        ({"facts": DIGEST, "beside": "other", "knowledge": "other"}, "of another geometry"),
        ({"facts": DIGEST, "beside": DIGEST, "knowledge": DIGEST}, "agrees"),
        ({"facts": DIGEST, "beside": DIGEST, "knowledge": "other"}, "DISAGREES"),
    ],
)
def test_the_last_stamp_is_judged(capsys, stamped, words):
    """The output describes how the last stamp relates to the current digests."""
    report = VerifyReport(
        facts=1,
        facts_digest=DIGEST,
        beside_digest=DIGEST,
        knowledge_digest=DIGEST,
        stamped=stamped,
        complaints=("page 3 is bad",),
    )
    views.show_verified(report)
    shown = capsys.readouterr().out
    assert words in shown
    assert "WRONG: page 3 is bad" in shown
    assert "verified" not in shown


def test_json_is_one_line(capsys):
    """A value is printed as one line of JSON, whatever line ends it holds."""
    views.show_json({"skipped": (Skipped("a\nb", "é"),)})
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert json.loads(line) == {"skipped": [{"source": "a\nb", "reason": "é"}]}


def test_progress_is_silent_outside_a_terminal(capsys):
    """If standard error is not a terminal, no progress bar is drawn."""
    with views.counting("encoding") as tick:
        tick(None)
        tick(5)
    assert capsys.readouterr() == ("", "")
