"""`auricle forget --like` and `--suspect`: as a page with pictures, and through a live daemon."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli.views.choice_page import choice_page
from edge.cli.views.choices import Choice
from edge.home.home import Home
from tests.daemons import Process
from tests.homes import learned_home, run, run_json

PIXELS = b"P6 2 1 255\n" + bytes((255, 0, 0, 0, 255, 0))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with facts of `b` that are called `a`, one of them with a picture."""
    made = learned_home(tmp_path / "home")
    lines = (made / "table.csv").read_text("utf-8").splitlines()
    moved = [f"wrong-{n},a,{line.split(',', 2)[2]}1" for n, line in enumerate(lines[13:18])]
    head = f"id,label,{lines[0].split(',', 2)[2]}"
    (tmp_path / "wrong.csv").write_text("\n".join((head, *moved)) + "\n", "utf-8")
    assert run("learn", tmp_path / "wrong.csv", "--home", made, "--domain", "hall").exit_code == 0
    with Home(made) as opened:
        opened.store.store_raw_inputs({"wrong-1": PIXELS})
    with (made / "auricle.toml").open("a", encoding="utf-8") as file:
        file.write('\n[device]\nname = "gw1"\n')
    return made


@pytest.fixture
def daemon(home: Path) -> Iterator[Process]:
    """A daemon of the home."""
    made = Process(home)
    with made.process:
        yield made
        made.process.kill()


def facts(home: Path) -> int:
    """The number of facts in a home."""
    return sum(int(one["facts"]) for one in run_json("inspect", "--home", home)["concepts"])


def test_choices_are_a_private_page_until_the_answer(home: Path) -> None:
    """The page embeds the pictures, escapes names, is readable by its owner alone, and is gone
    afterwards; without pictures there is none."""
    choices = [Choice(("wrong-1",), "hall/<b>a</b>"), Choice(("wrong-2",), "no picture")]
    with Home(home, writable=False) as opened:
        with choice_page(opened, choices) as page:
            assert page is not None
            text = page.read_text("utf-8")
            assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700
        assert not page.exists()
        with choice_page(opened, choices[1:]) as none:
            assert none is None
    assert text.count('<img alt="" src="data:image/png;base64,') == 1
    assert "hall/&lt;b&gt;a&lt;/b&gt;" in text
    assert "http" not in text


def test_the_verb_names_the_page(home: Path) -> None:
    """Where pictures were kept the question comes with the address of a page."""
    words = ("forget", "--home", home, "--suspect", "--id", "wrong-0")
    result = run(*words, answer="\n")
    assert "with pictures, until you answer: file:///" in result.stderr
    assert "nothing was chosen" in result.stderr
    assert facts(home) == 29


def test_suspects_are_chosen_and_forgotten_through_the_daemon(home: Path, daemon: Process) -> None:
    """With a daemon at work the facts are shown, chosen and confirmed; the answer is the receipt,
    and the daemon has forgotten them."""
    words = ("forget", "--home", home, "--suspect", "--id", "wrong-0")
    assert run(*words, answer="all\nn\n").exit_code == 1
    assert facts(home) == 29
    result = run(*words, answer="all\ny\n")
    assert result.exit_code == 0, result.output
    assert "for good?" in result.stderr
    assert "digest after" in result.stdout
    daemon.stop()
    assert facts(home) <= 24
    with Home(home, writable=False) as opened:
        assert opened.store.get("wrong-0") is None
        assert opened.store.get("wrong-1") is None


def test_an_example_and_a_label_work_through_the_daemon(home: Path, daemon: Process) -> None:
    """`--like` and plain selections go through the daemon, too; one that matches nothing is refused
    with the reason."""
    lines = (home / "table.csv").read_text("utf-8").splitlines()
    example = home.parent / "example.csv"
    example.write_text("\n".join((lines[0], lines[3])) + "\n", "utf-8")
    result = run("forget", "--home", home, "--like", example, answer="1\ny\n")
    assert result.exit_code == 0, result.output
    assert run_json("forget", "--home", home, "--label", "b", "--yes")["facts_forgotten"] == 12
    seen = run_json("forget", "--home", home, "--label", "a", "--preview")
    assert (seen["facts"], seen["concepts"][0]["remaining"]) == (16, 0)
    refused = run("forget", "--home", home, "--label", "nosuch", "--yes")
    assert refused.exit_code == 1
    assert "no fact has the label 'nosuch'; there are 'a'" in refused.stderr
    assert "nothing matches the selection" in refused.stderr
    daemon.stop()
    assert facts(home) == 16
