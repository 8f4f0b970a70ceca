"""The Node-RED nodes work in a real Node-RED, with a real broker and a real daemon.

Needs node and a folder whose `node_modules` has node-red, node-red-node-test-helper and mocha:
`.ci/nodered FOLDER` makes one, AURICLE_NODE_RED names it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from edge.signing import make_key
from edge.signing.keys import public_text
from tests.brokers import Mosquitto, needs_mosquitto
from tests.daemons import Process
from tests.homes import new_home, run, write_csv
from tests.worlds import clouds

FOLDER = Path(os.environ.get("AURICLE_NODE_RED", "/nonexistent"))
FACTS = 150  # of each class: from 99 on, the detector says known or new

needs_node_red = pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "node_modules" / "node-red").is_dir(),
    reason="needs node and AURICLE_NODE_RED, a folder that .ci/nodered made",
)


@pytest.fixture
def package(source: Path) -> Path:
    """The folder of the npm package."""
    return source / "integrations" / "node-red"


def mocha(package: Path, copy: Path, test: str, world: dict[str, object] | None = None) -> str:
    """Run a test of the package with the modules of FOLDER; return what it printed."""
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "node_modules").symlink_to(FOLDER / "node_modules")
    result = subprocess.run(
        ["npx", "--no-install", "mocha", "--timeout", "60000", "--exit", f"test/{test}"],
        cwd=copy,
        env={**os.environ, **({"AURICLE_TEST": json.dumps(world)} if world else {})},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-4000:]
    return result.stdout


def home_with_commands(folder: Path, port: int) -> tuple[Path, Path, Path]:
    """Return a home that has learned two classes, its signing key, and a key that it does not
    know."""
    home = new_home(folder / "home")
    table = write_csv(folder / "table.csv", per_label=FACTS)
    result = run("learn", table, "--home", home, "--domain", "hall")
    assert result.exit_code == 0, result.output
    keys = [folder / "node-red.key", folder / "other.key"]
    public = [make_key(key) for key in keys]
    with (home / "auricle.toml").open("a", encoding="utf-8") as file:
        file.write(f"""
[device]
name = "gw1"

[mqtt]
host = "127.0.0.1"
port = {port}

[streams.press]
source = "topic"

[streams.gate]
source = "topic"

[streams.line]
source = "topic"
kind = "series"

[commands]
enabled = ["label", "forget", "confirm"]
per_minute = 600

[commands.keys]
node-red = "{public[0]}"
""")
    return home, keys[0], keys[1]


@needs_node_red
@needs_mosquitto
def test_the_nodes_work_with_a_daemon(package: Path, tmp_path: Path) -> None:
    """Decide, label, forget and alarm work with a daemon, and refuse invalid messages."""
    random = np.random.default_rng(0)
    known = clouds([1], 1, 2, seed=5)[0].tolist()
    strange = random.integers(0, 256, (64, len(known))).tolist()
    steps = [*random.normal(20, 0.2, 80), *random.normal(35, 0.2, 40)]
    with Mosquitto(tmp_path / "broker") as broker:
        home, key, other = home_with_commands(tmp_path, broker.port)
        daemon = Process(home)
        try:
            world = {
                "port": broker.port,
                "device": "gw1",
                "key": key.read_text("utf-8"),
                "otherKey": other.read_text("utf-8"),
                "known": known,
                "novel": [255 - value for value in known],
                "strange": strange,
                "series": [round(float(value), 3) for value in steps],
                "ofPersonOne": 2 * FACTS // 3,
            }
            output = mocha(package, tmp_path / "package", "flow.test.js", world)
        finally:
            daemon.stop()
    assert re.search(r"\b17 passing", output), output
    assert "pending" not in output


@needs_node_red
def test_messages_and_topics(package: Path, tmp_path: Path) -> None:
    """Signatures, times, topics and waiting requests are right without a broker."""
    assert re.search(r"\b6 passing", mocha(package, tmp_path / "package", "unit.test.js"))


def test_the_package_holds_what_it_names(package: Path) -> None:
    """Every node has its code, editor, texts, help and an output label for each output; npm finds
    the package by its keyword; the examples use known nodes only."""
    described = json.loads((package / "package.json").read_text("utf-8"))
    assert "node-red" in described["keywords"]
    assert set(described["files"]) == {"lib", "nodes", "examples"}
    nodes = described["node-red"]["nodes"]
    for name, code in nodes.items():
        assert (package / code).is_file()
        editor = (package / "nodes" / f"{name}.html").read_text("utf-8")
        assert f'data-template-name="{name}"' in editor
        texts = json.loads((package / "nodes/locales/en-US" / f"{name}.json").read_text("utf-8"))
        help_text = (package / "nodes/locales/en-US" / f"{name}.html").read_text("utf-8")
        assert f'data-help-name="{name}"' in help_text
        for key in re.findall(rf"{name}\.((?:label|placeholder|tip|palette)[\w.]*)", editor):
            place = texts[name]
            for step in key.split("."):
                place = place[step]
            assert place
        outputs = re.search(r"outputs: (\d)", editor)
        if outputs:
            assert len(texts[name]["output"]) == int(outputs.group(1))
        assert "auricle.svg" in editor or name == "auricle-device"
    for example in (package / "examples").glob("*.json"):
        for one in json.loads(example.read_text("utf-8")):
            assert not one["type"].startswith("auricle-") or one["type"] in nodes


def test_a_key_of_auricle_is_one_that_node_can_read(tmp_path: Path) -> None:
    """`auricle keygen` writes PKCS #8 in PEM, which the nodes load."""
    text = make_key(tmp_path / "key")
    assert (tmp_path / "key").read_text("utf-8").startswith("-----BEGIN PRIVATE KEY-----")
    loaded = load_pem_private_key((tmp_path / "key").read_bytes(), password=None)
    assert public_text(loaded) == text  # type: ignore[arg-type]
