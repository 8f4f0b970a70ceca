"""`auricle fleet`: what it prints, and what it says where something is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from edge.core.events import Enrol, FitGeometry, StoreGeometry
from edge.fleet.aggregate_home import describe_aggregate
from edge.home.home import Home
from edge.storage.aggregate_file import AggregateFile, ChildPage, ChildRow, OutlierRow
from tests import workers
from tests.aggregates import NOW_NS, aggregating, raw
from tests.edge.fleet.test_member import many
from tests.homes import new_home, run, spawn
from tests.worlds import World

AGGREGATE = '\n[aggregate]\nname = "site"\nfleet = "hall"\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a frozen geometry and an aggregator that holds three children."""
    from edge.fleet.aggregate_home import read_place

    folder = new_home(tmp_path / "home")
    with Home(folder) as opened:
        opened.feed(Enrol(many("fact-", 32)))
        opened.feed(FitGeometry())
    path = folder / "auricle.toml"
    path.write_text(path.read_text("utf-8") + AGGREGATE, "utf-8")
    place = read_place(folder)
    with aggregating(folder / "aggregate.db", place=place) as one:
        for name in "abc":
            world = World()
            world.ledger.apply(StoreGeometry(place.geometry.pack()))
            world.crash()
            world.feed(Enrol(many(f"{name}-", 32)))
            message = raw(world.runtime.contribute(name, 1).contribution)
            assert one.receive([message], NOW_NS)[0].state == "summed"
    return folder


def test_a_fleet_is_simulated(tmp_path: Path):
    """A small fleet: exit status 0, and the numbers as JSON."""
    pytest.importorskip("joblib")
    found = run("fleet", "simulate", "--devices", 24, "--jobs", 1, "--json")
    assert found.exit_code == 0, found.output
    shown = json.loads(found.stdout)
    assert shown["digest_equal"] is True
    assert shown["bits_differing"] == 0
    table = run("fleet", "simulate", "--devices", 24, "--jobs", 1)
    assert "bits that differ from one device that holds these facts\t0\t✓" in table.output


def simulators_of(process: subprocess.Popen[str], count: int) -> list[int]:
    """The ids of the processes that simulate, as soon as there are so many."""
    until = time.monotonic() + 180  # a busy machine starts processes slowly
    while True:
        found = []
        for task in Path(f"/proc/{process.pid}/task").iterdir():
            for child in (task / "children").read_text("ascii").split():
                words = Path(f"/proc/{child}/cmdline")
                if words.exists() and b"popen_loky" in words.read_bytes():
                    found.append(int(child))
        if len(found) >= count:
            return found
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize("delay_s", [0.0, 0.15, 0.5, 3.0])
def test_an_interrupt_of_a_simulation_is_one_line(delay_s: float):
    """Ctrl-C reaches the whole group, while its processes start and while they work: one line,
    status 130, and none of them is left."""
    pytest.importorskip("joblib")

    def listen() -> None:
        # A test run in the background would hand its deafness to Ctrl-C down.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.setsid()

    process = spawn("fleet", "simulate", "--devices", 4000, "--jobs", 2, preexec_fn=listen)
    simulators = simulators_of(process, 2)
    time.sleep(delay_s)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "error: interrupted: reported results are kept, the rest is undone\n"
    assert all(workers.gone(one) for one in simulators)


@pytest.mark.parametrize("delay_s", [0.0, 0.5, 3.0])
def test_a_terminated_simulation_leaves_nothing(delay_s: float, tmp_path: Path):
    """SIGTERM, as a service manager sends it, reaches the parent alone: no output, the status of
    shells, no process and no temporary file left."""
    pytest.importorskip("joblib")
    words = ("fleet", "simulate", "--devices", 4000, "--jobs", 2)
    process = spawn(*words, variables={"TMPDIR": str(tmp_path)})
    simulators = simulators_of(process, 2)
    time.sleep(delay_s)
    process.terminate()
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 143
    assert all(workers.gone(one) for one in simulators)
    assert not list(tmp_path.iterdir())


def test_a_home_without_an_aggregator_says_what_to_do(tmp_path: Path):
    """Every verb names what is missing and how to get it."""
    folder = new_home(tmp_path / "home")
    for words in (("status",), ("drop", "x"), ("admit", "x"), ("check",)):
        found = run("fleet", *words, "--home", folder)
        assert found.exit_code == 1
        assert "it has none" in found.output
        assert "auricle fleet aggregate" in found.output
    found = run("fleet", "aggregate", "--home", folder)
    assert found.exit_code == 1
    assert "no [aggregate]" in found.output


def test_an_aggregator_needs_a_broker_and_a_geometry(tmp_path: Path):
    """Sums under a geometry that is not frozen would never fit."""
    folder = new_home(tmp_path / "home")
    path = folder / "auricle.toml"
    path.write_text(path.read_text("utf-8") + AGGREGATE, "utf-8")
    found = run("fleet", "aggregate", "--home", folder)
    assert found.exit_code == 1
    assert "no [mqtt]" in found.output
    path.write_text(path.read_text("utf-8") + '\n[mqtt]\nhost = "127.0.0.1"\n', "utf-8")
    found = run("fleet", "aggregate", "--home", folder)
    assert found.exit_code == 1
    assert "no frozen geometry" in found.output


def test_children_are_listed_dropped_and_admitted(home: Path):
    """Without a running aggregator the verbs act themselves."""
    shown = run("fleet", "status", "--all", "--home", home)
    assert shown.exit_code == 0, shown.output
    assert "no child is far from the others" in shown.output
    unknown = run("fleet", "drop", "nobody", "--home", home)
    assert unknown.exit_code == 1
    assert "it has never contributed here" in unknown.output
    dropped = run("fleet", "drop", "a", "--home", home)
    assert dropped.exit_code == 0, dropped.output
    found = json.loads(run("fleet", "status", "--home", home, "--json").stdout)
    assert found["aggregate"]["states"]["dropped"] == 1
    assert run("fleet", "admit", "a", "--home", home).exit_code == 0
    assert run("fleet", "check", "--home", home).exit_code == 0


def test_a_member_sees_what_it_has_adopted(tmp_path: Path):
    """And from whom nothing has come, beside a daemon or without one."""
    folder = new_home(tmp_path / "home")
    path = folder / "auricle.toml"
    path.write_text(
        path.read_text("utf-8") + '\n[fleet]\nname = "hall"\ndevices = ["b"]\n', "utf-8"
    )
    with Home(folder):
        shown = run("fleet", "status", "--home", folder)
    assert shown.exit_code == 0, shown.output
    assert "in the fleet hall: no sums published" in shown.output
    assert "nothing has come from: b" in shown.output
    found = json.loads(run("fleet", "status", "--home", folder, "--json").stdout)
    assert found["aggregate"] is None
    assert found["member"]["waiting"] == ["b"]


def test_a_view_of_many_children_is_bounded(home: Path):
    """A page shows so many of each list, and counts all of them."""
    with AggregateFile(home / "aggregate.db", writable=True) as file, file.change("filling"):
        for number in range(300):
            file.put_child(ChildRow(device=f"m{number}", state="withdrawn", revision=1))
            file.wait(f"m{number}", NOW_NS, b"x")
        file.put_outliers(OutlierRow(f"m{n}", "hall", "a", 9.0, 0.1) for n in range(300))
    found = describe_aggregate(home, ChildPage(limit=200))
    assert found is not None
    assert [len(one) for one in (found.children, found.waiting, found.outliers)] == [200] * 3
    assert (found.waiting_count, found.far_count) == (300, 300)
    assert found.states == {"summed": 3, "withdrawn": 300}
    last = describe_aggregate(home, ChildPage(state="withdrawn", find="M29", limit=5, offset=5))
    assert last is not None
    assert [one.device for one in last.children] == [f"m{n}" for n in (294, 295, 296, 297, 298)]
    assert (last.listed, last.offset) == (11, 5)


def test_verbs_answer_as_json(home: Path):
    """For programs."""
    for verb in ("drop", "admit"):
        shown = run("fleet", verb, "a", "--home", home, "--json")
        assert json.loads(shown.stdout) == {"device": "a", "done": verb}


def test_a_device_is_admitted_from_any_revision_on(home: Path):
    """For a device whose revision was forged."""
    assert run("fleet", "drop", "a", "--home", home).exit_code == 0
    assert run("fleet", "admit", "a", "--reset", "--home", home).exit_code == 0
    found = describe_aggregate(home)
    assert found is not None
    assert found.children[0].revision == 0
