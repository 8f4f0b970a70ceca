"""Where the program starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.daemons import daemon_home

START = "import sys; from edge.cli.entry import main; sys.argv[1:] = ['run', '--help']\n"


def started(code: str, **given: str) -> str:
    """The last line that a fresh interpreter prints after `auricle run --help`."""
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
def test_numpy_gets_one_thread_unless_the_user_sets_another(given: dict[str, str], expected: str):
    """The variable is set before numpy reads it, unless the user has set it."""
    before = "import os; print(os.environ['OPENBLAS_NUM_THREADS'])"
    assert started(before, **given) == expected


def test_numpy_is_not_loaded_before_its_threads_are_set():
    """Importing the entry loads neither numpy nor any verb."""
    code = "import sys, edge.cli.entry; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


UNUSED = frozenset(
    {
        "PIL",
        "cbor2",
        "click",
        "concurrent.futures",
        "cryptography",
        "difflib",
        "edge.core.drift",
        "edge.core.forecasting.kinds",
        "edge.growth",
        "edge.bundles.exchange",
        "edge.cli.app",
        "edge.daemon.http_server",
        "edge.fleet.member",
        "edge.home.archives",
        "edge.home.growth",
        "edge.home.labelling",
        "edge.sources.folder",
        "edge.mqtt.sparkplug.client",
        "firmware_bridge",
        "fractions",
        "importlib.metadata",
        "nas.proxies",
        "numpy.random",
        "onnxruntime",
        "prometheus_client",
        "rich",
        "safetensors",
        "secrets",
        "structlog",
        "subprocess",
        "tarfile",
        "torch",
        "zipfile",
    }
)
"""What a home of vectors on a broker's topic does not use."""

SERVING = """
import json, sys
from edge.cli.entry import main
from edge.daemon.daemon import Daemon
ready = Daemon.start
def start(daemon):
    ready(daemon)
    print(json.dumps(sorted(sys.modules)), flush=True)
    daemon.stop()
Daemon.start = start
main()
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The modules that `auricle run` of a plain home has loaded when it is ready."""
    folder = tmp_path_factory.mktemp("plain")
    home = daemon_home(folder, '[mqtt]\nhost = "127.0.0.1"\n[streams.s]\nsource = "topic"\n')
    done = subprocess.run(
        [sys.executable, "-c", SERVING, "run", str(home)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return set(json.loads(done.stdout))


def test_a_plain_home_imports_only_needed_modules(loaded: set[str]):
    """A starting daemon imports nothing that its settings do not need."""
    assert {"numpy", "paho", "edge.core.runtime", "edge.outbox"} <= loaded
    assert loaded & UNUSED == set()


def test_the_unused_modules_exist():
    """Each of these modules exists, so that the test above would see it; torch and structlog may
    not be installed."""
    absent = {name for name in UNUSED if find_spec(name) is None}
    assert absent <= {"structlog", "torch"}


def test_a_plain_run_that_cannot_start_reports_the_reason(tmp_path: Path):
    """An error without the option parser is also two lines and status 1."""
    command = [sys.executable, "-c", "from edge.cli.entry import main; main()", "run"]
    done = subprocess.run(
        [*command, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "hint: " in done.stderr
