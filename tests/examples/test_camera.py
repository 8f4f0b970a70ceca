"""The example that starts everything with one command, run as its page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.brokers import needs_mosquitto


@needs_mosquitto
def test_the_camera_example_runs(source, tmp_path):
    """Learned digits are known, the other scanner raises an alarm, and no number is missing."""
    script = source / "examples" / "camera" / "run.py"
    result = subprocess.run(
        [sys.executable, str(script), "--folder", str(tmp_path / "kept")],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    (account,) = re.findall(r"received (.*); (\d+) repeated, (\d+) missing", result.stdout)
    heard = dict(reversed(part.split()) for part in account[0].split(", "))
    assert int(heard["decision"]) == 120, result.stdout
    assert int(heard["alarm"]) >= 1
    assert account[2] == "0"
    first = re.findall(r"camera +(known|NEW|\?)", result.stdout)[:60]
    assert first.count("known") > 50
