"""Processes that kill themselves with -9 at a step of SQLite, so that a test decides where."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import encoder

OPERATIONS = 5
"""Operations of SQLite in a step."""

_COUNTED = textwrap.dedent("""
    import atexit, os, signal, sys
    from edge.storage import database

    steps, last, connect = 0, int(sys.argv.pop(1)), database.connect

    def step():
        global steps
        steps += 1
        if steps == last:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    def counted(*given, **named):
        db = connect(*given, **named)
        db.set_progress_handler(step, OPERATIONS)
        return db

    database.connect = counted
    atexit.register(lambda: print(steps, flush=True))
""")


def environment() -> dict[str, str]:
    """The environment of a process that imports this program and its tests."""
    roots = (Path(encoder.__file__).parents[1], Path(__file__).parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots))}


def run_up_to(step: int, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script that is killed at a step of SQLite; 0: never, and its last line of output is the
    number of steps."""
    made = _COUNTED.replace("OPERATIONS", str(OPERATIONS)) + textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, "-c", made, str(step), *arguments],
        env=environment(),
        text=True,
        capture_output=True,
        check=False,
    )


def steps_of(script: str, *arguments: str) -> int:
    """Return the number of steps of a script that ends by itself."""
    done = run_up_to(0, script, *arguments)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1])
