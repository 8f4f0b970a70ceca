"""The files that put the daemon under a service manager."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze, which is not here"
)
def test_systemd_takes_the_unit(source: Path, tmp_path: Path):
    """`systemd-analyze verify` accepts the unit without a message."""
    text = (source / "examples/deploy/auricle@.service").read_text("utf-8")
    unit = tmp_path / "auricle@.service"
    unit.write_text(text.replace("/opt/auricle/bin/auricle", shutil.which("true") or ""), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_and_the_container_run_the_daemon_as_a_separate_user(source: Path):
    """Both run `auricle run` as a separate user, and stop it with SIGTERM."""
    unit = (source / "examples/deploy/auricle@.service").read_text("utf-8")
    assert re.search(r"^Type=notify", unit, re.MULTILINE)
    assert re.search(r"^WatchdogSec=\d+", unit, re.MULTILINE)
    assert re.search(r"^ExecStart=\S+/auricle run ", unit, re.MULTILINE)
    assert re.search(r"^User=auricle", unit, re.MULTILINE)
    container = (source / "examples/deploy/Containerfile").read_text("utf-8")
    assert re.search(r"^USER auricle$", container, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["auricle"\]\nCMD \["run"', container, re.MULTILINE)
