"""The fault runs at a small scale: their checks can fail, and hold."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from signal import SIGALRM, SIGHUP, SIGINT, SIGTERM

from benchmarks.faults.driver import ReceivedMessages
from benchmarks.faults.fuzz import Fuzzer
from benchmarks.faults.places import unreported_jumps
from benchmarks.faults.signals import Outcome, Trial, send_signals, trials
from tests.brokers import needs_mosquitto


def _message(number: int, kind: str = "decision", **more: object) -> dict[str, object]:
    return {"schema": f"auricle/v1/{kind}", "sequence": number, "historical": False, **more}


def test_missing_numbers_and_two_meanings_are_counted():
    """A number that neither came nor lies in a gap is missing; one that comes twice with another
    meaning is a conflict, one that comes again as late is none."""
    received = ReceivedMessages()
    for message in (
        _message(1, x=1),
        _message(1, x=1) | {"historical": True},
        _message(3, x=1),
        _message(7),
    ):
        received.record(message)
    assert (received.unreported(), received.repeated, received.conflicts) == (4, 1, 0)
    received.record(_message(8, "gap", first=4, last=5))
    received.record(_message(3, x=2))
    assert (received.unreported(), received.conflicts) == (2, 1)


def test_clock_jumps_must_be_reported():
    """A jump and its reversal must both be reported, with their size."""
    received = ReceivedMessages()
    received.record(_message(1, "clock-jump", seconds=-946_080_000.0))
    assert unreported_jumps(received.jumps) == 1
    received.record(_message(2, "clock-jump", seconds=5.0))
    assert unreported_jumps(received.jumps) == 1
    received.record(_message(3, "clock-jump", seconds=946_080_003.2))
    assert unreported_jumps(received.jumps) == 0


@needs_mosquitto
def test_malformed_messages_are_accepted_or_refused_with_a_reason(tmp_path: Path):
    """By a daemon in a process of its own, through a real broker and its HTTP door."""
    fuzzed = Fuzzer(tmp_path, seed=4).run(400)
    assert (fuzzed.messages, fuzzed.crashes, fuzzed.bugs, fuzzed.unexplained) == (400, 0, 0, 0)
    assert min(fuzzed.by_door.values()) > 0


def test_signals_in_a_row_never_hang_a_daemon(tmp_path: Path):
    """Reloads with a stop on their heels, impatient stops, and signals during start-up and
    shutdown: it ends with status 0 or goes on deciding, and every number is accounted for."""
    chosen = [
        # A hundred, so that one arrives while the one before it is being handled.
        *[Trial("reloading", (*[SIGHUP] * 100, SIGTERM))] * 3,
        *[Trial("load", (*[SIGHUP] * 100, SIGINT, SIGTERM))] * 2,
        *[Trial("start-up", (SIGHUP, SIGHUP))] * 3,
        *[Trial("stopping", (SIGHUP, SIGTERM, SIGINT))] * 3,
    ]
    signalled = send_signals(tmp_path, chosen, seed=0, at_once=2)
    assert sum(one.runs for one in signalled.phases.values()) == len(chosen)
    assert signalled.bad == Counter()
    assert (signalled.unreported, signalled.conflicts) == (0, 0)
    assert signalled.messages > 0


def test_a_hang_and_a_silent_daemon_are_bad_ends():
    """Before it handles signals a daemon may be ended by SIGTERM; by anything else, or later, it
    may not, and after SIGHUP alone it must decide."""
    outcome = Outcome()
    outcome.note(Trial("start-up", (SIGTERM,)), -SIGTERM, 0.1, decides=True)
    outcome.note(Trial("idle", (SIGTERM,)), 0, 0.1, decides=True)
    assert (outcome.runs, outcome.bad) == (2, Counter())
    outcome.note(Trial("start-up", (SIGHUP,)), -SIGHUP, 0.1, decides=False)
    outcome.note(Trial("idle", (SIGHUP, SIGTERM)), -SIGALRM, 5.0, decides=True)
    outcome.note(Trial("stopping", (SIGTERM,)), -SIGTERM, 0.1, decides=True)
    assert (outcome.bad.total(), outcome.hangs, outcome.slow, outcome.silent) == (3, 1, 1, 1)


def test_each_sequence_of_signals_is_sent_in_each_phase():
    """Three signals make 39 sequences of one to three."""
    made = trials(5)
    assert len(set(made)) == len(made) == 39 * 5
