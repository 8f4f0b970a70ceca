"""Stores and homes of vectors, and the command line run in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner

import encoder
from edge import Store
from edge.cli.app import app
from edge.core.events import StoreFacts
from edge.core.facts import Fact, Selector
from edge.core.receipt import Receipt
from edge.home import actions
from edge.home.home import Home
from edge.home.new_home import create_home
from tests.worlds import WIDTH, clouds, vector, whole_number_model

CARD = whole_number_model().card

RECEIPT = Receipt(
    request_id="r",
    requested_at_ns=5,
    selector=Selector(label="a"),
    facts_forgotten=1,
    concepts_touched=("home/a",),
    digest_before="x",
    digest_after="y",
    rebuilt=(),
    evicted_before=0,
    not_covered=(),
)
"""Of any erasure."""


def new_store(path: Path, facts: Iterable[Fact] = ()) -> Store:
    """A new store with some facts."""
    store = Store.create(path, CARD)
    given = tuple(facts)
    if given:
        store.apply(StoreFacts(facts=given))
    return store


def new_home(folder: Path) -> Path:
    """A new home for vectors of integers."""
    create_home(folder, CARD, "")
    return folder


def write_csv(path: Path, per_label: int = 12, labels: str = "ab", spread: int = 9) -> Path:
    """A table of vectors around one centre for each label, with subjects in turn."""
    rows = clouds(range(1, 1 + len(labels)), per_label, spread)
    lines = [",".join(["label", "subject", *(f"x{column}" for column in range(WIDTH))])]
    for number, row in enumerate(rows):
        label, subject = labels[number // per_label], f"person-{number % 3}"
        lines.append(",".join([label, subject, *(str(int(value)) for value in row)]))
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def learned_home(folder: Path) -> Path:
    """A home that has learned a table of two labels."""
    home = new_home(folder)
    table = write_csv(folder / "table.csv")
    result = run("learn", table, "--home", home, "--domain", "hall")
    assert result.exit_code == 0, result.output
    return home


def teach(home: Home, path: Path, domain: str = "", label: str = "") -> actions.LearnSummary:
    """Learn the examples at a path, without progress output."""
    return actions.learn(home, actions.read_lesson(home, path, domain, label, lambda _: None))


def run(*words: object, answer: str | None = None) -> Any:
    """Run a verb in this process."""
    return CliRunner().invoke(app, [str(word) for word in words], input=answer)


def run_json(*words: object) -> Any:
    """Run a verb with --json and return its one value; any other output fails."""
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    (line,) = result.stdout.splitlines()
    return json.loads(line)


def command(*words: object) -> list[str]:
    """The command that runs a verb in its own process."""
    code = "from edge.cli.entry import main; main()"
    return [sys.executable, "-c", code, *(str(word) for word in words)]


def spawn(
    *words: object, variables: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[str]:
    """Start a verb in its own process, without a terminal.  variables: added to the environment."""
    root = str(Path(encoder.__file__).parent.parent)
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        command(*words),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "40", **(variables or {})},
        **options,
    )


def distinct_facts(count: int, width: int = WIDTH, domain: str = "home") -> list[Fact]:
    """Facts whose ids and features occur nowhere by chance."""
    return [
        Fact(
            id=f"observation-{number:05}-{number * 7919 % 99991:05}",
            stream="s",
            domain=domain,
            label="ab"[number % 2],
            captured_at_ns=number,
            features=vector(1000 + number, width).tobytes(),
            subject=f"person-{number % 3}",
        )
        for number in range(count)
    ]


def raw_bytes(path: Path) -> bytes:
    """The bytes of a knowledge file and of its log."""
    parts = [path.with_name(path.name + suffix) for suffix in ("", "-wal")]
    return b"".join(part.read_bytes() for part in parts if part.exists())


def wide_card(width: int) -> encoder.Card:
    """A card like CARD of another width."""
    return whole_number_model(width).card


def whole_rows(values: Any) -> np.ndarray[Any, Any]:
    """An array of uint8."""
    return np.asarray(values, np.uint8)
