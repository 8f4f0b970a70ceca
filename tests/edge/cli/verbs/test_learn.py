"""`auricle learn` with folders and tables as users have them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.homes import command, learned_home, run, run_json, write_csv


def pictures(folder: Path, *labels: str, count: int = 1, seed: int = 0) -> Path:
    """Images of noise in folders named by label; other seeds give other images."""
    random = np.random.default_rng([seed, len(labels)])
    for label in labels:
        (folder / label).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{number}.png")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A new home with the shipped image encoder."""
    assert run("init", tmp_path / "home").exit_code == 0
    return tmp_path / "home"


def concepts(home: Path) -> dict[str, int]:
    """The number of facts by domain and label."""
    shown = run_json("inspect", "--home", home)
    return {f"{one['domain']}/{one['label']}": one["facts"] for one in shown["concepts"]}


def test_splits_of_a_data_set_are_no_domains(home, tmp_path):
    """FOLDER/train and FOLDER/val are read as one domain, and a note says so with a hint."""
    pictures(tmp_path / "photos/train", "cat", "dog", seed=1)
    pictures(tmp_path / "photos/Val", "cat", "dog", seed=2)
    result = run("learn", tmp_path / "photos", "--home", home, "--domain", "hall")
    assert result.exit_code == 0, result.output
    assert "4 as <split>/<label>/<image>" in result.stdout
    assert "note: read as splits of one data set, not as domains: Val, train" in result.stdout
    assert f"name {tmp_path}/photos/train instead" in result.stdout
    assert concepts(home) == {"hall/cat": 2, "hall/dog": 2}


def test_domains_inside_splits_are_kept(home, tmp_path):
    """FOLDER/train/<domain>/<label> keeps the domain."""
    pictures(tmp_path / "photos/train/night", "cat")
    shown = run_json("learn", tmp_path / "photos", "--home", home)
    assert shown["layout"] == "1 as <split>/<domain>/<label>/<image>"
    assert concepts(home) == {"night/cat": 1}


def test_a_split_among_domains_is_pointed_out(home, tmp_path):
    """If only some outer folders are named like splits, all are domains, and a note warns."""
    pictures(tmp_path / "photos/test", "cat", seed=1)
    pictures(tmp_path / "photos/night", "cat", seed=2)
    result = run("learn", tmp_path / "photos", "--home", home)
    assert "note: read as domains: night, test; if test should be a split" in result.stdout
    assert concepts(home) == {"night/cat": 1, "test/cat": 1}


def test_labels_that_are_named_like_splits_are_pointed_out(home, tmp_path):
    """Images directly in FOLDER/train and FOLDER/test have these labels, and a note warns."""
    pictures(tmp_path / "photos", "train", "test")
    result = run("learn", tmp_path / "photos", "--home", home, "--domain", "hall")
    assert (
        "note: read as labels: test, train; for a data set with splits, expected" in result.stdout
    )
    assert concepts(home) == {"hall/test": 1, "hall/train": 1}


def test_folders_of_domains_and_labels_have_no_note(home, tmp_path):
    """Domains and labels of other names are read without a note."""
    pictures(tmp_path / "photos/day", "cat")
    assert run_json("learn", tmp_path / "photos", "--home", home)["notes"] == []


def test_links_are_followed_and_end(home, tmp_path):
    """Links to folders inside and outside are followed; one that leads back up, one to nothing and
    one that is too deep are skipped with a reason."""
    pictures(tmp_path / "elsewhere", "cat", seed=1)
    pictures(tmp_path / "deep/a/b/c", "d", seed=3)
    photos = pictures(tmp_path / "photos", "dog", seed=2)
    (photos / "cat").symlink_to(tmp_path / "elsewhere/cat")
    (photos / "pup").symlink_to("dog")
    (photos / "dog/again").symlink_to(photos)
    (photos / "gone").symlink_to(tmp_path / "nowhere")
    (photos / "far").symlink_to(tmp_path / "deep")
    shown = run_json("learn", photos, "--home", home, "--domain", "hall")
    skipped = {
        Path(one["source"]).relative_to(photos).as_posix(): one["reason"]
        for one in shown["skipped"]
    }
    assert concepts(home) == {"hall/cat": 1, "hall/dog": 1}
    assert skipped == {
        "dog/again": "a link back to a folder above it",
        "pup/again": "a link back to a folder above it",
        "gone": f"a link to nothing: {tmp_path}/nowhere",
        "far/a/b/c": "deeper than FOLDER/<domain>/<label>/<image>",
        "pup/0.png": "the same example came before, there with the label dog",
    }


def test_a_folder_of_broken_links_is_an_error(home, tmp_path):
    """If a folder holds only a broken link, the error names it."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/dog").symlink_to(tmp_path / "nowhere")
    result = run("learn", tmp_path / "photos", "--home", home)
    assert result.exit_code == 1
    assert "the folder holds no files; skipped:" in result.stderr
    assert "a link to nothing" in result.stderr


@pytest.fixture
def taught(tmp_path: Path) -> Path:
    """A home that knows a table of two labels in the domain hall, and the names of its columns."""
    home = learned_home(tmp_path / "home")
    assert run("encoder", "columns", home / "table.csv", "--home", home).exit_code == 0
    return home


@pytest.fixture
def misspelt(tmp_path: Path) -> Path:
    """The rows of that table, all with one other label."""
    table = write_csv(tmp_path / "again.csv")
    lines = table.read_text("utf-8").splitlines()
    rows = [f"dgo,{line.partition(',')[2]}" for line in lines[1:]]
    table.write_text("\n".join([lines[0], *rows]) + "\n", "utf-8")
    return table


def test_facts_that_move_are_reported(taught, misspelt):
    """Known facts that get another domain and label are counted by both, as text and as JSON."""
    result = run("learn", misspelt, "--home", taught, "--domain", "hal")
    assert "moved 12 facts from hall/a to hal/dgo" in result.stdout
    assert "moved 12 facts from hall/b to hal/dgo" in result.stdout
    assert concepts(taught) == {"hal/dgo": 24}
    back = run_json("learn", taught / "table.csv", "--home", taught)
    assert back["moved"] == [
        {"old": ["hal", "dgo"], "new": ["hal", name], "facts": 12} for name in "ab"
    ]


def test_facts_that_stay_are_not_reported(taught):
    """Facts with unchanged domain and label are not moved."""
    assert "moved" not in run("learn", taught / "table.csv", "--home", taught).stdout


def in_terminal(answer: bytes, *words: object) -> tuple[int, str, str]:
    """Run a verb whose input is a terminal; its exit status, output and errors."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command(*words), stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        os.close(theirs)
        os.write(ours, answer)
        output, errors = process.communicate(timeout=120)
    os.close(ours)
    return process.returncode, output, errors


def test_a_terminal_confirms_before_facts_move(taught, misspelt):
    """No changes nothing, yes moves the facts, and with --yes there is no question."""
    before = concepts(taught)
    words: list[Any] = ["learn", misspelt, "--home", taught, "--domain", "hal", "--json"]
    status, _, errors = in_terminal(b"n\n", *words)
    assert status == 1
    assert "12 facts from hall/a to hal/dgo" in errors
    assert "move 24 facts? [y/N]" in errors
    assert "nothing was changed" in errors
    assert concepts(taught) == before
    status, output, _ = in_terminal(b"y\n", *words)
    assert (status, json.loads(output)["count"]) == (0, 24)
    assert concepts(taught) == {"hal/dgo": 24}
    status, _, errors = in_terminal(b"", "learn", taught / "table.csv", "--home", taught, "--yes")
    assert (status, errors) == (0, "")
    assert concepts(taught) == {"hal/a": 12, "hal/b": 12}
