"""The files that deploy and watch a daemon: alert rules, dashboard, Compose file."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from edge.config import parse_settings
from tests.brokers import Mosquitto, free_port, needs_mosquitto
from tests.daemons import DIE_WITH_PARENT, Process, daemon_home
from tests.worlds import WIDTH

WAIT_S = 30.0
UNOBSERVED = "auricle_stream_false_alarm_rate"
"""These metrics are absent while no false alarm could be observed, as with facts without times."""

needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="needs prometheus, and it is not installed (Debian: apt-get install prometheus)",
)


@pytest.fixture
def deploy(source: Path) -> Path:
    """The folder of the files."""
    return source / "examples" / "deploy"


def expressions(deploy: Path) -> list[str]:
    """Return every query of the dashboard."""
    board = json.loads((deploy / "grafana" / "auricle.json").read_text("utf-8"))
    return [one["expr"] for panel in board["panels"] for one in panel.get("targets", ())]


@needs_prometheus
@pytest.mark.parametrize(
    "words",
    [
        ("check", "rules", "prometheus/alerts.yml"),
        ("check", "config", "prometheus/prometheus.yml"),
        ("test", "rules", "prometheus/alerts_test.yml"),
    ],
)
def test_promtool_accepts_rules_and_configuration(deploy: Path, words: tuple[str, ...]):
    """The rules are valid, and fire for the series of `alerts_test.yml` as stated there."""
    *verb, place = words
    found = subprocess.run(
        ["promtool", *verb, deploy / place], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs docker-compose")
def test_compose_accepts_its_file(deploy: Path):
    """The Compose file is valid, and every file that it mounts exists."""
    found = subprocess.run(
        ["docker-compose", "-f", deploy / "compose.yaml", "config", "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    services = json.loads(found.stdout)["services"]
    mounted = [
        Path(one["source"])
        for service in services.values()
        for one in service.get("volumes", ())
        if one["type"] == "bind"
    ]
    assert mounted
    assert [path for path in mounted if not path.exists()] == []
    published = [port for one in services.values() for port in one.get("ports", ())]
    assert {one["host_ip"] for one in published} == {"127.0.0.1"}


def test_the_settings_of_compose_are_valid(deploy: Path, tmp_path: Path):
    """The daemon's settings in the Compose file can be read, after those of `auricle init`."""
    home = daemon_home(tmp_path / "home")
    text = (home / "auricle.toml").read_text("utf-8").split("[device]")[0]
    added = (deploy / "compose" / "auricle.toml").read_text("utf-8")
    settings = parse_settings(text + added, home / "auricle.toml")
    assert settings.http is not None
    assert settings.mqtt is not None
    assert (settings.mqtt.host, settings.http.port) == ("mosquitto", 9464)


@contextmanager
def prometheus(folder: Path, deploy: Path, daemon_port: int) -> Iterator[str]:
    """Run a Prometheus with the shipped configuration that scrapes a daemon; yields its address."""
    folder.mkdir()
    shutil.copy(deploy / "prometheus" / "alerts.yml", folder)
    config = (deploy / "prometheus" / "prometheus.yml").read_text("utf-8")
    config = config.replace("localhost:9464", f"127.0.0.1:{daemon_port}").replace("15s", "1s")
    (folder / "prometheus.yml").write_text(config, "utf-8")
    port = free_port()
    process = subprocess.Popen(
        [
            "prometheus",
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        cwd=folder,
        stderr=(folder / "log").open("wb"),
        preexec_fn=DIE_WITH_PARENT,  # noqa: PLW1509 - a call of C alone
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def query(address: str, expression: str) -> list[Any]:
    """Return the samples of a query, none while Prometheus does not listen; fails if the query is
    wrong."""
    text = expression.replace("$__rate_interval", "10s").replace("$instance", ".*")
    given = urllib.parse.urlencode({"query": text.replace("$stream", ".*")})
    try:
        found: list[Any] = fetch(f"{address}/api/v1/query?{given}")["result"]
    except urllib.error.HTTPError as error:
        if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
            return []
        raise AssertionError(f"{expression}: {error.read().decode()}") from error
    except OSError:
        return []
    return found


def fetch(address: str) -> Any:
    """Return the data of an answer of Prometheus."""
    with urllib.request.urlopen(address) as answer:  # noqa: S310 - a server of this test
        return json.load(answer)["data"]


@needs_prometheus
@needs_mosquitto
def test_a_real_prometheus_answers_every_query_of_the_dashboard(deploy: Path, tmp_path: Path):
    """It scrapes a real daemon: each query but those of unobserved rates has data, every rule is
    evaluated, and none fires."""
    port = free_port()
    with Mosquitto(tmp_path / "broker") as broker:
        settings = (
            f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\n[http]\nport = {port}\n'
            '[streams.hall]\nsource = "stdin"\n'
        )
        daemon = Process(daemon_home(tmp_path / "home", settings))
        try:
            with prometheus(tmp_path / "prometheus", deploy, port) as address:
                missing = [one for one in expressions(deploy) if UNOBSERVED not in one]
                end = time.monotonic() + WAIT_S
                while missing and time.monotonic() < end:
                    daemon.say(json.dumps([float(number) for number in range(WIDTH)]))
                    missing = [one for one in missing if not query(address, one)]
                    time.sleep(0.3)
                assert missing == []
                groups = fetch(f"{address}/api/v1/rules")["groups"]
                rules = [rule for group in groups for rule in group["rules"]]
                assert {rule["health"] for rule in rules} == {"ok"}
                assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []
        finally:
            daemon.process.kill()
