from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from edge.cli.verbs import change as cli_change
from edge.core.events import StoreLabelCandidates
from edge.core.facts import LabelCandidate
from edge.home.home import Home
from tests.homes import learned_home, new_home, run, run_json
from tests.worlds import WIDTH, vector


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that has learned two labels."""
    return learned_home(tmp_path / "home")


def facts(home: Path) -> int:
    """The number of facts in a home."""
    return int(run_json("verify", "--home", home)["facts"])


def test_forgetting_asks_first(home):
    """Without --yes the verb shows the number of facts and waits for an answer."""
    result = run("forget", "--home", home, "--label", "a", answer="n\n")
    assert result.exit_code == 1
    assert "forget 12 facts (label a) for good?" in result.stderr
    assert facts(home) == 24
    result = run("forget", "--home", home, "--label", "a", answer="y\n")
    assert result.exit_code == 0
    assert facts(home) == 12


def test_without_a_terminal_nothing_changes(home):
    """Without a terminal and without --yes nothing is forgotten, and the error names --yes."""
    result = run("forget", "--home", home, "--label", "a", "--json")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "--yes" in result.stderr
    assert facts(home) == 24


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("--subject", "person-1"), 8),
        (("--subject", "person-1", "--label", "b"), 4),
        (("--domain", "hall", "--stream", "learn"), 24),
        (("--since", "1970-01-01", "--until", "1970-01-01T00:00:01"), 24),
    ],
)
def test_options_must_all_match(home, words, count):
    """Each option narrows the selection of facts to forget."""
    receipt = run_json("forget", "--home", home, "--yes", *words)
    assert receipt["facts_forgotten"] == count
    assert facts(home) == 24 - count


def test_a_label_candidate_is_forgotten_without_a_fact(home):
    """A request that matches no fact, but a label candidate, is carried out after a question that
    says so; a second one finds nothing."""
    kept = LabelCandidate(
        observation_id="late",
        stream="s",
        subject="ann",
        domain="domain-9",
        captured_at_ns=5,
        score=1.0,
        features=vector(3).tobytes(),
    )
    with Home(home) as opened:
        opened.store.apply(StoreLabelCandidates((kept,)))
    result = run("forget", "--home", home, "--subject", "ann", answer="y\n")
    assert "forget label candidates and recalibration, no facts (subject ann)" in result.stderr
    with Home(home, writable=False) as opened:
        assert opened.store.candidates() == {}
    assert "no fact matches" in run("forget", "--home", home, "--subject", "ann", "--yes").stderr


def test_a_recording_is_forgotten_by_its_name(tmp_path):
    """A table's column of recordings is stored with the facts, and one recording is forgotten."""
    home, table = new_home(tmp_path / "home"), tmp_path / "runs.csv"
    names = [f"x{number}" for number in range(WIDTH)]
    lines = [",".join([*names, "label", "recording"])]
    for number in range(12):
        row = vector(number).tolist()
        lines.append(",".join(map(str, [*row, "ab"[number % 2], f"run {number % 3}"])))
    table.write_text("\n".join(lines) + "\n", "utf-8")
    assert run("learn", table, "--home", home).exit_code == 0
    result = run("forget", "--home", home, "--recording", "run 1", answer="y\n")
    assert "forget 4 facts (recording run 1) for good?" in result.stderr
    assert facts(home) == 8
    assert run("forget", "--home", home, "--recording", "run 1", "--yes").exit_code == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("forget",), "nothing was selected"),
        (("forget", "--label", "nosuch"), "no fact matches label nosuch"),
        (("forget", "--label", ""), "no fact matches"),
        (("forget", "--id", "x", "--domain", "y"), "no fact matches ids x, domain y"),
        (("forget", "--since", "2100-01-01"), "no fact matches since 2100-01-01T00:00:00Z"),
        (("forget", "--since", "1970-01-02", "--until", "1970-01-01"), "not after --since"),
        (("forget", "--subject", "persn-1"), "did you mean 'person-1'?"),
        (("relabel", "--to-label", "x"), "nothing was selected"),
        (("relabel", "--label", "nosuch", "--to-label", "x"), "no fact matches label nosuch"),
        (("relabel", "--label", "a"), "new label"),
        (("relabel", "--label", "a", "--to-label", "x" * 201), "200"),
    ],
)
def test_a_selection_without_matches_is_refused(home, words, message):
    """A request that would change nothing, or everything by mistake, is refused."""
    verb, *options = words
    extra = ["--yes"] if verb == "forget" else []
    result = run(verb, "--home", home, *options, *extra)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "Selector(" not in result.output
    assert facts(home) == 24


def test_a_preview_shows_what_would_go_and_changes_nothing(home):
    """It counts by concept what is erased and what stays, and warns of ids that are no facts."""
    seen = run_json("forget", "--home", home, "--label", "a", "--preview")
    assert seen["concepts"] == [{"domain": "hall", "label": "a", "facts": 12, "remaining": 0}]
    known = seen["sample_ids"][0]
    result = run("forget", "--home", home, "--id", known, "--id", "nosuch", "--preview")
    assert result.exit_code == 0, result.output
    assert "no fact has the id nosuch (1 of 2 ids)" in result.stderr
    assert result.stdout.splitlines()[1].split() == ["hall", "a", "1", "11"]
    assert result.stdout.splitlines()[-1] == "nothing was changed"
    nothing = run_json("forget", "--home", home, "--label", "nosuch", "--preview")
    assert (nothing["facts"], nothing["concepts"]) == (0, [])
    assert run("forget", "--home", home, "--suspect", "--preview").exit_code == 1
    assert facts(home) == 24


def test_an_id_that_is_no_fact_is_told_before_the_others_are_forgotten(home):
    """Whoever orders more than is there learns it."""
    ids = run_json("forget", "--home", home, "--label", "a", "--preview")["sample_ids"]
    result = run("forget", "--home", home, "--id", ids[0], "--id", "nosuch", "--yes")
    assert result.exit_code == 0, result.output
    assert "no fact has the id nosuch" in result.stderr
    # It was carried out in one step, which nobody timed.
    assert "complete after" not in result.stdout
    assert facts(home) == 23


def test_the_geometry_is_fitted_again_after_a_forget_on_request(home):
    """--refit-geometry fits the geometry again, and the receipt covers it."""
    receipt = run_json("forget", "--home", home, "--label", "a", "--yes", "--refit-geometry")
    assert "geometry" in receipt["rebuilt"]
    assert not any("geometry" in line for line in receipt["not_covered"])


def test_domains_are_renamed_and_merged(home):
    """Relabelling a whole domain moves its facts."""
    result = run("relabel", "--home", home, "--domain", "hall", "--to-domain", "lobby")
    assert "relabelled 24 facts" in result.stdout
    concepts = run_json("inspect", "--home", home)["concepts"]
    assert {concept["domain"] for concept in concepts} == {"lobby"}


def test_fitting_a_geometry_without_facts_is_refused(tmp_path, home):
    """A home without facts has nothing to fit a geometry to."""
    run("forget", "--home", home, "--domain", "hall", "--yes")
    result = run("fit-geometry", "--home", home)
    assert result.exit_code == 1
    assert "no facts" in result.stderr


def test_moments_are_utc_unless_they_say():
    """A moment without a time zone counts as UTC, to the microsecond."""
    naive = datetime(2026, 1, 2, 3, 4, 5, 678)  # noqa: DTZ001
    there = naive.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=9)))
    assert cli_change.nanoseconds(naive) == cli_change.nanoseconds(there)
    assert (cli_change.nanoseconds(naive) or 0) % 1_000_000_000 == 678_000
    assert cli_change.nanoseconds(None) is None


def test_forgetting_by_an_example_shows_values_and_asks(home, tmp_path):
    """The facts most like a table's row are listed with their values; a number chooses, a second
    question confirms, and the same content under another id is then refused."""
    lines = (home / "table.csv").read_text("utf-8").splitlines()
    example = tmp_path / "example.csv"
    example.write_text("\n".join((lines[0], lines[3])) + "\n", "utf-8")
    result = run("forget", "--home", home, "--like", example, answer="1\ny\n")
    assert result.exit_code == 0, result.output
    assert "1.000  hall/a" in result.stderr
    assert "c1 " in result.stderr or "x0 " in result.stderr
    assert "the whole concept hall/a: 12 facts" in result.stderr
    assert facts(home) == 23
    again = run("learn", home / "table.csv", "--home", home, "--domain", "hall")
    assert "forgotten before and not relearned" in again.stdout


@pytest.mark.parametrize(("answer", "reason"), [("\n", "nothing was chosen"), ("99\n", "numbers")])
def test_a_choice_of_nothing_forgets_nothing(home, answer, reason):
    """An empty answer, and a number beyond the list, change nothing."""
    result = run("forget", "--home", home, "--like", home / "table.csv", answer=answer)
    assert result.exit_code == 1
    assert reason in result.stderr
    assert facts(home) == 24


def test_choices_exclude_other_selections(home):
    """--like and --suspect select by themselves, and a file that cannot be read is named."""
    result = run("forget", "--home", home, "--like", home / "table.csv", "--label", "a")
    assert "select by themselves" in result.stderr
    result = run("forget", "--home", home, "--like", home / "nothing.csv")
    assert result.exit_code == 1
    assert "nothing.csv" in result.stderr
    result = run("forget", "--home", home, "--suspect", "--id", "nowhere")
    assert "there is no fact 'nowhere'" in result.stderr
    assert facts(home) == 24


def test_suspicious_labels_are_confirmed_by_a_person(home, tmp_path):
    """Facts of `b` that are called `a`: one is named, the others are listed, and go when a person
    says so."""
    lines = (home / "table.csv").read_text("utf-8").splitlines()
    moved = [f"wrong-{n},a,{line.split(',', 2)[2]}1" for n, line in enumerate(lines[13:18])]
    head = f"id,label,{lines[0].split(',', 2)[2]}"
    table = tmp_path / "wrong.csv"
    table.write_text("\n".join((head, *moved)) + "\n", "utf-8")
    assert run("learn", table, "--home", home, "--domain", "hall").exit_code == 0
    words = ("forget", "--home", home, "--suspect", "--id", "wrong-0")
    assert run(*words, answer="all\nn\n").exit_code == 1
    assert facts(home) == 29
    result = run(*words, answer="all\ny\n")
    assert result.exit_code == 0, result.output
    assert all(f"wrong-{n}" in result.stderr for n in range(1, 5))
    assert facts(home) <= 24
