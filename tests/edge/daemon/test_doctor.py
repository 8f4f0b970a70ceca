"""`auricle doctor`: whether a machine suits a daemon, and what a decision costs there."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from edge.daemon import benchmark, doctor
from tests.daemons import daemon_home
from tests.homes import run
from tests.terminals import Terminal

HTTP = '[http]\n[streams.door]\nsource = "http"\n'
FIGURES = {
    "encode": "ms",
    "prepare_jpeg": "ms",
    "encode_jpeg": "ms",
    "learn": "s",
    "decide_image": "us",
    "decide_numbers": "us",
    "memory": "MiB",
}
PLACELESS = ("disk", "fsync", "settings", "folder")
"""Findings about a home."""


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least that a measurement repeats."""
    monkeypatch.setattr(benchmark, "SECONDS", 0.0)
    monkeypatch.setattr(benchmark, "FACTS", 3)


def details(folder: Path) -> dict[str, str]:
    """What the doctor finds, by name."""
    return {one.what: one.detail for one in doctor.examine_machine(folder)}


def test_the_doctor_looks_at_the_machine(tmp_path: Path):
    """Python, packages, clock, disk and its speed are reported; no file is left behind."""
    folder = daemon_home(tmp_path, HTTP)
    result = run("doctor", folder, "--json")
    for what in ("python", "packages", "torch", "clock", "memory", "systemd", "disk", "fsync"):
        assert f'"what":"{what}"' in result.stdout.replace(": ", ":")
    assert not list(folder.glob(".doctor*"))
    assert result.exit_code == 0


def test_the_doctor_wants_a_folder(tmp_path: Path):
    """A home that does not exist is an error."""
    assert run("doctor", tmp_path / "none").exit_code == 1


@pytest.mark.usefixtures("quick")
def test_bench_prints_every_figure_as_json(tmp_path: Path):
    """Each figure is one line with its unit; a bench needs no home and leaves no file."""
    result = run("doctor", tmp_path, "--bench", "--json")
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    figures = {line["what"]: line for line in lines if "unit" in line}
    assert {name: one["unit"] for name, one in figures.items()} == FIGURES
    assert all(0 < one["fastest"] <= one["median"] for one in figures.values())
    assert figures["encode_jpeg"]["median"] > figures["prepare_jpeg"]["fastest"]
    named = [line["what"] for line in lines if "state" in line]
    assert {"python", "processor", "numpy", "onnxruntime"} <= {*named}
    assert not {*PLACELESS} & {*named}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("quick")
def test_bench_of_a_home_also_checks_the_home(tmp_path: Path):
    """With settings in the folder the findings of an ordinary run stay."""
    folder = daemon_home(tmp_path, HTTP)
    result = run("doctor", folder, "--bench")
    assert result.exit_code == 0, result.output
    assert "fsync: " in result.output
    assert "bench   decide_numbers: " in result.output


def test_bench_at_a_terminal_shows_each_figure_when_it_is_measured(tmp_path: Path):
    """A user who waits sees the lines appear, in order."""
    with Terminal("doctor", tmp_path, "--bench", columns=90) as terminal:
        for name, unit in FIGURES.items():
            terminal.until(f"bench   {name}: ")
            terminal.until(f" {unit}")
        terminal.process.wait(timeout=60)
    assert terminal.process.returncode == 0


def test_a_mistyped_option_names_the_nearest(tmp_path: Path):
    """`--benchmark` is refused with status 2 and the option that exists, and measures nothing."""
    result = run("doctor", tmp_path, "--benhc")
    assert result.exit_code == 2
    assert "--bench" in result.output
    assert "bench   " not in result.output


def test_a_32_bit_python_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A wheel that was installed all the same is found out, with the page that says what runs."""
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(maxsize=2**31 - 1))
    (found,) = [one for one in doctor.examine_machine(tmp_path) if one.what == "python"]
    assert found.state == "error"
    assert "32-bit" in found.detail
    assert "docs/howto/devices.md" in found.hint
    monkeypatch.setattr(doctor, "sys", sys)
    assert details(tmp_path)["python"].startswith(sys.version.split()[0])


def test_a_container_without_sysfs_is_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """There onnxruntime cannot tell an ARM processor's instructions."""
    assert "sysfs" not in details(tmp_path)
    monkeypatch.setattr(doctor, "FEATURES_FOLDER", tmp_path / "none")
    assert "onnxruntime" in details(tmp_path)["sysfs"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "Features\t: fp asimd crc32 asimddp\n\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n",
            ("Raspberry Pi 5 Model B Rev 1.0", "asimd asimddp"),
        ),
        (
            "model name\t: AMD EPYC 9R14\nflags\t\t: fpu sse4_2 avx2 avx512_vnni\n",
            ("AMD EPYC 9R14", "sse4_2 avx2 avx512_vnni"),
        ),
        ("", ("unnamed", "none of those looked for")),
    ],
)
def test_the_processor_and_its_instructions_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, wanted: tuple[str, str]
):
    """A board, a server and a file without any name are described by /proc/cpuinfo."""
    (tmp_path / "cpuinfo").write_text(text, "utf-8")
    monkeypatch.setattr(doctor, "PROCESSOR_FILE", tmp_path / "cpuinfo")
    assert all(part in details(tmp_path)["processor"] for part in wanted)


def test_a_system_without_proc_is_examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where /proc is not mounted, what it would report is left out."""
    monkeypatch.setattr(doctor, "PROCESSOR_FILE", tmp_path / "none")
    monkeypatch.setattr(doctor, "MEMORY_FILE", tmp_path / "none")
    found = details(tmp_path)
    assert found["memory"] == "this system does not report it"
    assert "cores" in found["processor"]
