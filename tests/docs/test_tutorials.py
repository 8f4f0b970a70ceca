"""The tutorials, run as a reader runs them: every block of each page, in order."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import encoder
from tests.brokers import free_port, needs_mosquitto
from tests.homes import command

FENCE = re.compile(r'^```(\w+)(?: title="([^"]*)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
WAIT_S = 60.0


@dataclass(slots=True)
class Reader:
    """A reader who follows a page in a folder.

    A `python` or `toml` block with a title is a file; one that exists grows by the block.  A `sh`
    block runs in the reader's terminal, or in another one where it has a title.  A `text` block
    shows lines that the block before it prints, in this order: `…` stands for anything in a line,
    the line `...` for any lines.
    """

    folder: Path
    environment: dict[str, str]
    here: Path = field(init=False)
    printed: list[str] = field(init=False, default_factory=list)
    terminals: list[tuple[subprocess.Popen[bytes], Path]] = field(init=False, default_factory=list)
    newest: Path | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.here = self.folder

    def follow(self, page: str) -> None:
        """Do what each block of a page says."""
        started = False
        for language, title, body in FENCE.findall(page):
            if language in {"python", "toml"} and title:
                with (self.here / title).open("a", encoding="utf-8") as file:
                    file.write(body)
            elif language == "sh":
                started = True
                self._open(body) if title else self._run(body)
            elif language == "text" and started:
                self._expect(body)

    def close(self) -> None:
        """End what runs in the other terminals."""
        for process, _ in reversed(self.terminals):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(WAIT_S)

    def _run(self, body: str) -> None:
        place = self.folder / "here"
        done = subprocess.run(
            ["bash", "-ec", f'{body}\npwd > "{place}"'],
            cwd=self.here,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * WAIT_S,
            check=False,
        )
        assert done.returncode == 0, f"{body}\n{done.stdout}\n{done.stderr}"
        self.here = Path(place.read_text("utf-8").strip())
        self.printed.append(done.stdout)
        self.newest = None

    def _open(self, body: str) -> None:
        log = self.folder / f"terminal-{len(self.terminals)}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-ec", body],
                cwd=self.here,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.terminals.append((process, log))
        self.newest = log

    def _expect(self, body: str) -> None:
        """Compare with the printed output; wait for that of another terminal."""
        if self.newest is None:
            assert missing_line(body, self.printed[-1]) is None, self.printed[-1]
            return
        until = time.monotonic() + WAIT_S
        while (line := missing_line(body, self.newest.read_text("utf-8"))) is not None:
            assert time.monotonic() < until, f"{line!r} not in {self.newest.read_text('utf-8')}"
            time.sleep(0.1)


def missing_line(expected: str, printed: str) -> str | None:
    """The first expected line that was not printed, in order; None where all were."""
    lines = iter(" ".join(line.split()) for line in printed.splitlines())
    for wanted in expected.splitlines():
        if wanted.strip() == "...":
            continue
        pattern = ".*".join(re.escape(part) for part in " ".join(wanted.split()).split("…"))
        if not any(re.fullmatch(pattern, line) for line in lines):
            return wanted
    return None


def programs(folder: Path) -> Path:
    """A folder with `auricle` and `python` as these tests run them."""
    folder.mkdir()
    for name, words in {"auricle": command(), "python": [sys.executable]}.items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n', "utf-8")
        script.chmod(0o755)
    return folder


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    """A reader in an empty folder, whose terminals are closed at the end."""
    desk = folder / "desk"
    desk.mkdir()
    root = str(Path(encoder.__file__).parent.parent)
    made = Reader(
        desk,
        {
            "PATH": f"{programs(folder / 'bin')}:{SYSTEM_PATH}",
            "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "COLUMNS": "100",
            "OMP_NUM_THREADS": "1",
        },
    )
    try:
        yield made
    finally:
        made.close()


def tutorial(source: Path, name: str) -> str:
    """The text of a tutorial."""
    return (source / "docs/tutorials" / name).read_text("utf-8")


def test_the_photo_tutorial_runs(source: Path, tmp_path: Path):
    """Every step prints the output on the page; forgetting restores the first digest, which the
    receipt does not show."""
    with reader(tmp_path) as person:
        person.follow(tutorial(source, "photos.md"))
    output = "\n".join(person.printed)
    learned = re.findall(r"^knowledge digest\s+(\w+)", output, re.MULTILINE)
    (after,) = re.findall(r"^digest after\s+(\w+)", output, re.MULTILINE)
    assert learned[0] == learned[-1] != learned[1]
    assert after not in learned


@needs_mosquitto
def test_the_sensor_tutorial_runs(source: Path, tmp_path: Path):
    """Every step prints the output on the page, with a real broker on another port."""
    with reader(tmp_path) as person:
        assert shutil.which("mosquitto_pub"), "mosquitto's clients are not installed"
        person.follow(tutorial(source, "sensors.md").replace("1883", str(free_port())))


def test_the_research_tutorial_runs(source: Path, tmp_path: Path):
    """Every step prints the output on the page, and the report is written."""
    with reader(tmp_path) as person:
        person.follow(tutorial(source, "research.md"))
        assert (person.here / "report/report.html").is_file()


def test_a_line_that_is_not_printed_is_found():
    """A missing line is reported, one in another order too; wildcards and spaces match."""
    assert missing_line("a  1\n...\n… end", "a\t1\nb\nthe end\n") is None
    assert missing_line("b\na", "a\nb\n") == "a"
    assert missing_line("x … z", "x y\n") == "x … z"
