from __future__ import annotations

import json
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge import Store
from edge.cli import app as cli
from edge.home.home import Home
from tests.homes import learned_home, new_home, run, run_json, spawn, write_csv
from tests.worlds import WIDTH, vector


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that has learned two labels."""
    return learned_home(tmp_path / "home")


def lines(text: str) -> list[str]:
    """The non-blank lines of a text."""
    return [line for line in text.splitlines() if line.strip()]


def timed_table(path: Path, when: str = "time") -> Path:
    """A table of two labels whose first row has no time."""
    names = ",".join(f"x{column}" for column in range(WIDTH))
    lines = [f"label,{when},{names}"]
    for number in range(8):
        cell = f"2024-03-01T12:00:{number:02}" if number else ""
        lines.append(f"{'ab'[number % 2]},{cell},{','.join(map(str, vector(number)))}")
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_learning_reports_where_times_come_from(tmp_path):
    """`learn` prints how many facts have a time and from where, and counts recordings."""
    home = new_home(tmp_path / "home")
    told = run("learn", timed_table(tmp_path / "t.csv"), "--home", home).stdout
    assert (
        "times             7 from the column time; 1 of 8 have none: more than a tenth turns time"
        " order off" in " ".join(told.split("\n"))
    )
    assert "recordings        1" in told
    again = run_json("learn", timed_table(tmp_path / "t.csv"), "--home", home)
    assert again["times"] == {"the column time": 7, "": 1}
    assert (again["recordings"], again["count"]) == (1, 0)


def test_facts_without_a_time_are_given_one(tmp_path):
    """Learning a table again with its column of times named adds the times to known facts, once;
    a time that a fact has stays."""
    home, table = new_home(tmp_path / "home"), timed_table(tmp_path / "t.csv", "moment")
    bare = tmp_path / "bare.csv"
    lines = [line.split(",") for line in table.read_text("utf-8").splitlines()]
    bare.write_text("\n".join(",".join([one[0], *one[2:]]) for one in lines) + "\n", "utf-8")
    assert run_json("learn", bare, "--home", home)["times"] == {"": 8}
    words = ("learn", table, "--home", home, "--time-column", "moment")
    assert run_json(*words)["count"] == 7
    assert run_json(*words)["count"] == 0
    later = table.read_text("utf-8").replace("2024-03", "2025-03")
    table.write_text(later, "utf-8")
    assert run_json(*words)["count"] == 0
    result = run("learn", tmp_path, "--home", home, "--time-column", "moment")
    assert "expected a table" in result.stderr


def test_verbs_are_listed_in_the_order_of_use():
    """The help lists every verb once, in the order of use."""
    result = run("--help")
    listed = [line.split()[0] for line in result.output.split("Commands:")[1].splitlines() if line]
    assert listed == list(cli.app.commands)


@pytest.mark.parametrize("verb", list(cli.app.commands))
def test_every_verb_explains_itself(verb):
    """Each verb has a help text with a sentence."""
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert f"auricle {verb}" in result.output.replace("root", "auricle")


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("forgt",), "(did you mean one of: 'forecast', 'forget'?)"),
        (("bridge", "moniter"), "did you mean 'monitor'?"),
        (("forget", "--lable", "x"), "'--label'"),
        (("learn",), "missing argument 'path'"),
        (("learn", "a.csv", "b.csv"), "unexpected extra argument (b.csv)"),
        (("forget", "--since", "yesterday"), "'--since': expected a date such as 2026-03-01"),
        (("forget", "--since", "1712010121212"), "'--since': expected a date such as 2026-03-01"),
        (("top", "--every", "nan"), "'--every': expected a number, found 'nan'"),
        (("simulate", "a.toml", "--jobs", "0"), "'--jobs': 0 is not in the range x>=1"),
        (("demo", "storm"), "'storm' is not one of 'reader', 'forecast'"),
    ],
)
def test_mistyped_words_are_answered(words, hint):
    """An invalid verb, option or value ends with status 2, names it and the nearest valid one,
    and leaves standard output empty."""
    result = run(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert hint in result.stderr.lower()


@pytest.mark.parametrize("words", [(), ("bundle",), ("encoder",)])
def test_a_group_without_a_verb_lists_its_verbs(words):
    """Without a verb the help is shown with the exit status of a usage error."""
    result = run(*words)
    assert result.exit_code == 2
    assert "Commands:" in result.output


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("auricle fo", {"forget", "forecast"}),
        ("auricle encoder c", {"card", "calibrate", "columns"}),
        ("auricle forget --la", {"--label"}),
        ("auricle demo r", {"reader"}),
    ],
)
def test_the_shell_completes_verbs_options_and_values(line, expected):
    """Shell completion answers click's script on standard output."""
    process = spawn(
        variables={
            "_AURICLE_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(line.count(" ")),
        }
    )
    out, err = process.communicate(timeout=60)
    assert ({row.removeprefix("plain,") for row in out.splitlines()}, err) == (expected, "")


def test_a_closed_pipe_ends_a_verb_quietly(tmp_path, home):
    """A reader that closes the pipe early, such as `head -1`, causes no error message."""
    table = write_csv(tmp_path / "long.csv", 2000)
    assert run("encoder", "columns", table, "--home", home).exit_code == 0
    process = spawn("predict", table, "--home", home, "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["source"] == f"{table}:2"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(60) == 1


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "--home", "{tmp}/nowhere"),
        ("learn", "{tmp}/nothing.csv", "--home", "{home}"),
        ("predict", "{tmp}/nothing.csv", "--home", "{home}"),
        ("predict", "{tmp}/nothing.csv", "--home", "{home}", "--json"),
        ("init", "{home}"),
        ("init", "{tmp}/new", "--encoder", "nosuch"),
        ("init", "{tmp}/new", "--vectors", "{tmp}/nothing.npz"),
        ("init", "{home}/auricle.toml/x"),
        ("merge", "{tmp}/none.db", "--home", "{home}"),
    ],
)
def test_errors_are_two_lines_and_status_1(tmp_path, home, words):
    """An error is printed with a hint on standard error; standard output stays empty."""
    result = run(*(word.format(tmp=tmp_path, home=home) for word in words))
    assert result.exit_code == 1
    assert result.stdout == ""
    found = lines(result.stderr)
    assert found[0].startswith("error: ")
    assert len(found) <= 2
    assert not (tmp_path / "new").exists()


def test_the_whole_way_with_json(tmp_path):
    """Every verb with --json prints one value, and nothing else on standard output."""
    home, table = tmp_path / "home", write_csv(tmp_path / "table.csv")
    made = run_json("init", home, "--vectors", table)
    assert made["settings"] == str(home / "auricle.toml")
    learned = run_json("learn", table, "--home", home, "--domain", "hall")
    assert learned["count"] == 24
    assert learned["concepts"][0] == {"domain": "hall", "label": "a", "facts": 12}
    assert run_json("inspect", "--home", home)["width"] == 8
    relabelled = run_json("relabel", "--home", home, "--label", "b", "--to-label", "c")
    assert relabelled["count"] == 12
    assert run_json("fit-geometry", "--home", home)["count"] == 24
    receipt = run_json("forget", "--home", home, "--label", "c", "--yes")
    assert receipt["facts_forgotten"] == 12
    verified = run_json("verify", "--home", home)
    assert verified["receipts"] == [receipt["request_id"]]
    assert run_json("backup", tmp_path / "b.db", "--home", home)["file_bytes"] > 0
    assert run_json("export", tmp_path / "e.npz", "--home", home)["count"] == 12
    assert run_json("merge", tmp_path / "b.db", "--home", home)["count"] == 0
    assert run_json("restore", tmp_path / "b.db", "--home", home)["forgotten"] == 0
    assert run_json("verify", "--home", home)["complaints"] == []


def test_predictions_with_json_are_one_value_a_line(tmp_path, home):
    """Each example gives one line, unreadable ones included."""
    table = write_csv(tmp_path / "t.csv", 3)
    assert run("encoder", "columns", table, "--home", home).exit_code == 0
    result = run("predict", table, "--home", home, "--json")
    values = [json.loads(line) for line in result.stdout.splitlines()]
    assert [value["truth"] for value in values] == list("aaabbb")
    assert result.stderr == ""


def test_predictions_are_plain_lines_outside_a_terminal(tmp_path, home):
    """Without a terminal the output is a heading, lines with tabs, and comments after `#`."""
    result = run("predict", write_csv(tmp_path / "t.csv", 3), "--home", home)
    found = lines(result.stdout)
    assert found[0].split("\t") == ["label", "known", "domain", "guess", "p-value", "source"]
    assert all(len(line.split("\t")) == 6 for line in found[1:7])
    assert found[-1] == "# 6 of 6 guesses agree with the given labels"
    assert result.stdout.isascii()


def test_predicting_changes_nothing(tmp_path, home):
    """Reading verbs do not change a byte of the file."""
    before = (home / "knowledge.db").read_bytes()
    run("predict", home / "table.csv", "--home", home)
    run("verify", "--home", home)
    assert (home / "knowledge.db").read_bytes() == before


def test_nothing_readable_is_status_1(tmp_path, home):
    """If no example could be decided, the exit status is 1."""
    (tmp_path / "bad.csv").write_text("label,x\na,1\n", "utf-8")
    result = run("predict", tmp_path / "bad.csv", "--home", home)
    assert result.exit_code == 1
    assert "expected shape" in result.stdout


def test_verify_ends_with_status_1_where_something_is_wrong(home):
    """Damage that SQLite does not detect is found, reported and shown in the exit status."""
    db = sqlite3.connect(home / "knowledge.db")
    db.execute("UPDATE facts SET captured_at_ns = 5")
    db.commit()
    db.close()
    result = run("verify", "--home", home)
    assert result.exit_code == 1
    assert "WRONG" in result.stdout


def test_a_home_may_be_named_by_the_environment(home, monkeypatch):
    """AURICLE_HOME replaces --home."""
    monkeypatch.setenv("AURICLE_HOME", str(home))
    assert run_json("inspect")["concepts"]


def test_images_are_learned_through_the_shipped_encoder(tmp_path):
    """A folder of images by domain and class is learned, and the output describes its layout."""
    random = np.random.default_rng(4)
    for domain in ("day", "night"):
        for label in ("cat", "dog"):
            folder = tmp_path / "images" / domain / label
            folder.mkdir(parents=True)
            for number in range(2):
                pixels = random.integers(0, 256, (24, 24, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    (tmp_path / "images/day/cat/broken.png").write_bytes(b"\x89PNG")
    home = tmp_path / "home"
    assert run("init", home).exit_code == 0
    result = run("learn", tmp_path / "images", "--home", home)
    assert result.exit_code == 0, result.output
    assert "9 as <domain>/<label>/<image>" in result.stdout
    assert "night\tdog\t2" in result.stdout
    assert "broken.png" in result.stdout
    assert run("verify", "--home", home).exit_code == 0


def test_a_second_writer_is_refused(home):
    """While one process writes, another writer is refused and readers continue."""
    with Store.open(home / "knowledge.db"):
        result = run("learn", home / "table.csv", "--home", home)
        assert result.exit_code == 1
        assert "another process has it open" in result.stderr
        assert run("predict", home / "table.csv", "--home", home).exit_code == 0


def wait_for_opening(home: Path) -> None:
    """Wait until a process has opened a home that was closed: its log is there then."""
    until = time.monotonic() + 20
    while not (home / "knowledge.db-wal").exists():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_interrupt_is_one_line(tmp_path):
    """Ctrl-C ends with one line and status 130, and the file is whole."""
    home = new_home(tmp_path / "home")
    rows = np.random.default_rng(1).random((200_000, 8)) * 255
    np.savez(tmp_path / "big.npz", features=rows, label=["a"] * len(rows))

    def listen() -> None:
        # A test run in the background would hand its deafness to Ctrl-C down.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = spawn("learn", tmp_path / "big.npz", "--home", home, preexec_fn=listen)
    wait_for_opening(home)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == ""
    assert lines(err) == ["error: interrupted: reported results are kept, the rest is undone"]
    assert run("verify", "--home", home).exit_code == 0


def test_a_killed_learning_is_whole_or_absent(tmp_path):
    """After kill -9 all examples of a call of learn are stored, or none, and verify passes."""
    home = new_home(tmp_path / "home")
    write_csv(tmp_path / "t.csv", per_label=300)
    for delay in (0.5, 0.8):
        process = spawn("learn", tmp_path / "t.csv", "--home", home, "--domain", f"d{delay}")
        time.sleep(delay)
        process.kill()
        process.communicate()
        assert run("verify", "--home", home).exit_code == 0
        with Home(home, writable=False) as opened:
            assert sum(opened.store.concepts().values()) in {0, 600}


def test_a_closed_pipe_is_no_traceback(home):
    """A reader that stops early, such as head, ends the verb quietly."""
    process = spawn("inspect", "--home", home)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.wait()
    process.stderr.close()


def test_damaged_totals_cost_a_command_that_writes_and_nothing_else(tmp_path: Path) -> None:
    """Verbs that read refuse such a home and say what to do; one that writes derives the totals
    again, with the digest that the home had."""
    home = learned_home(tmp_path)
    before = run_json("verify", "--home", home)
    with closing(sqlite3.connect(home / "knowledge.db")) as db, db:
        db.execute("UPDATE concepts SET digest = zeroblob(5)")
    refused = run("inspect", "--home", home)
    assert refused.exit_code == 1
    assert "no fact is lost" in refused.output
    assert run("fit-geometry", "--home", home).exit_code == 0
    after = run_json("verify", "--home", home)
    assert after["complaints"] == []
    assert after["facts_digest"] == before["facts_digest"]
