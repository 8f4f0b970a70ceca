"""Use homes of one machine on another: learn, verify, predict, correct, merge and forget.

Usage: python scripts/compare_machines.py FOLDER -- COMMAND...

FOLDER: a folder that both machines see; it is made again.  COMMAND: runs `auricle` on the other
machine in that folder; `.ci/full` does so under emulation.  Every digest, prediction and receipt
must agree.  Prints one line for each step, and ends with status 1 where one differs.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

NUMBERS: Final = 24
"""Columns, as of a vibration sensor."""

ROWS: Final = 40
"""Rows of a label: enough for thresholds.  Chosen by hand; effect not measured."""

LABELS: Final = ("fine", "worn", "loose")
ROOT = Path(__file__).resolve().parent.parent


class Machine:
    """One machine.  start: the command that runs `auricle` there, with the shared folder as its
    working directory."""

    def __init__(self, name: str, start: Sequence[str], folder: Path) -> None:
        self.name = name
        self._start, self._folder = tuple(start), folder

    def run(self, *words: str) -> list[dict[str, Any]]:
        """Run a verb with --json and return its values."""
        done = subprocess.run(
            [*self._start, *words, "--json"],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"{self.name}: auricle {' '.join(words)} failed:\n{done.stdout}{done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def digests(self, home: str) -> dict[str, str]:
        """Derive a home's knowledge again and return its digests."""
        (found,) = self.run("verify", "--home", home)
        return {"facts": found["facts_digest"], "knowledge": found["knowledge_digest"]}


class StepReport:
    """Steps so far.  failed: whether one differed."""

    def __init__(self) -> None:
        self.failed = False

    def step(self, what: str, there: Any, here: Any) -> None:
        """Print one step, and the first difference in it."""
        same = there == here
        self.failed = self.failed or not same
        print(f"{'same   ' if same else 'DIFFERS'} {what}", flush=True)
        if not same:
            print(f"        {first_difference(there, here)}", flush=True)


def first_difference(there: Any, here: Any, path: str = "") -> str:
    """Return the place of the first difference of two values, with both."""
    if isinstance(there, dict) and isinstance(here, dict) and there.keys() == here.keys():
        name = next(name for name in there if there[name] != here[name])
        return first_difference(there[name], here[name], f"{path}.{name}")
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        apart = [n for n, pair in enumerate(zip(there, here, strict=True)) if pair[0] != pair[1]]
        place = f"{path}[{apart[0]}], the first of {len(apart)} of {len(here)}: "
        return first_difference(there[apart[0]], here[apart[0]], place)
    return f"{path} there {str(there)[:200]}, here {str(here)[:200]}"


def write_table(path: Path, *, shift: int = 0, labelled: bool = True) -> None:
    """Write rows around one centre for each label; whole numbers, so that nothing is rounded.
    The domain and the noise follow from the name of the file."""
    fixed = random.Random(7)  # noqa: S311 - the same centres in every table
    noise = random.Random(path.stem)  # noqa: S311 - the same table in every run
    centres = [[fixed.randint(40, 200) for _ in range(NUMBERS)] for _ in LABELS]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        numbers = [f"band{n}" for n in range(NUMBERS)]
        table.writerow(["id", "label", "domain", "subject", *numbers])
        for row in range(ROWS * len(LABELS)):
            label = row % len(LABELS)
            values = [centre + shift + round(noise.gauss(0, 9)) for centre in centres[label]]
            named = (LABELS[label], path.stem) if labelled else ("", "")
            table.writerow([f"{path.stem}-{row}", *named, f"person-{row % 5}", *values])


def compare(here: Machine, there: Machine, folder: Path) -> bool:
    """Run all steps and return whether all agree."""
    steps = StepReport()
    write_table(folder / "hall.csv")
    write_table(folder / "yard.csv", shift=20)
    write_table(folder / "shown.csv", labelled=False)
    learn = ("learn", "hall.csv", "--home")
    here.run("init", "here", "--vectors", "hall.csv")
    there.run("init", "there", "--vectors", "hall.csv")
    card = [(folder / home / "card.toml").read_bytes() for home in ("here", "there")]
    steps.step("the card with its quantiser, calibrated on each", card[1], card[0])
    here.run(*learn, "here")
    there.run(*learn, "there")
    made = here.digests("here")
    steps.step("a home made here and one made there, of equal facts", there.digests("there"), made)
    steps.step("a home made here, derived again there", there.digests("here"), made)
    shown = ("predict", "shown.csv", "--home")
    steps.step("its predictions", there.run(*shown, "here"), here.run(*shown, "here"))
    there.run("learn", "yard.csv", "--home", "here")
    grown = there.digests("here")
    steps.step("the same home after learning there, derived here", here.digests("here"), grown)
    merge_both(here, there, steps)
    forget = ("forget", "--subject", "person-3", "--yes", "--home")
    (receipt,) = there.run(*forget, "here")
    (again,) = here.run(*forget, "there")
    agreeing = [
        machine.run("verify", "--home", home)[0]["receipts"]
        for machine, home in ((here, "here"), (there, "there"))
    ]
    ordered = [[one["request_id"]] for one in (receipt, again)]
    steps.step("receipts of a forget, each verified by the other", agreeing, ordered)
    steps.step(
        "both homes, each derived by the other", there.digests("there"), here.digests("here")
    )
    return not steps.failed


def merge_both(here: Machine, there: Machine, steps: StepReport) -> None:
    """Merge two homes with different facts, each on the machine that did not make it."""
    there.run("merge", "here/knowledge.db", "--home", "there")
    here.run("merge", "there/knowledge.db", "--home", "here")
    steps.step("two homes merged, each on the other", here.digests("there"), there.digests("here"))


def main() -> int:
    """Compare this machine with another."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="an empty folder that both machines see")
    parser.add_argument("command", nargs="+", help="runs auricle on the other")
    chosen = parser.parse_args()
    shutil.rmtree(chosen.folder, ignore_errors=True)
    chosen.folder.mkdir(parents=True)
    code = "from edge.cli.entry import main; main()"
    here = Machine("here", (sys.executable, "-c", code), chosen.folder)
    there = Machine("there", chosen.command, chosen.folder)
    return 0 if compare(here, there, chosen.folder) else 1


if __name__ == "__main__":
    sys.exit(main())
