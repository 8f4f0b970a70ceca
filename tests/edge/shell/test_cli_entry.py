"""Where the program starts."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

START = "import sys; from edge.shell.cli_entry import main; sys.argv[1:] = ['run', '--help']\n"


def started(code: str, **given: str) -> str:
    """What a fresh interpreter prints last after `auricle run --help`."""
    environment = {k: v for k, v in os.environ.items() if "_NUM_THREADS" not in k}
    done = subprocess.run(
        [sys.executable, "-c", START + "try:\n    main()\nexcept SystemExit:\n    pass\n" + code],
        env={**environment, "PYTHONPATH": os.pathsep.join(sys.path), **given},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize(("given", "expected"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "2"}, "2")])
def test_numpy_gets_one_thread_unless_somebody_says_otherwise(given: dict[str, str], expected: str):
    """The variable is set before numpy reads it, and only where it was not."""
    before = "import os; print(os.environ['OPENBLAS_NUM_THREADS'])"
    assert started(before, **given) == expected


def test_numpy_is_not_loaded_before_its_threads_are_set():
    """Importing the entry loads neither numpy nor any verb."""
    code = "import sys, edge.shell.cli_entry; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_serving_loads_no_other_verb():
    """A device that starts to serve does not wait for the command line's other parts."""
    assert started("print('edge.shell.cli' in sys.modules)") == "False"
