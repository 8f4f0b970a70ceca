"""Exports as packages: a Zephyr module, an Arduino library and a PlatformIO library."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.bridge.board import M3, SOURCES, exit_status, missing_tools
from edge.version import __version__
from firmware_bridge import PACKAGE_KINDS, PackageKind, make_package, write_c
from tests.extracts import PLAIN, extract_of, samples_of
from tests.homes import learned_home, run

HERE = Path(__file__).parent
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]
AGREE = "auricle: all golden vectors agree\n"
OPTIONS = {"AURICLE", "AURICLE_GOLDEN", "AURICLE_LINK", "AURICLE_APP", "AURICLE_UPDATE"}


def package(folder: Path, kind: PackageKind) -> Path:
    """A package of knowledge, as the command line writes it."""
    extract = replace(extract_of(PLAIN), labels=('a "b"', "??/", "naïve\n", "\\"))
    for name, data in make_package(write_c(extract, samples_of(PLAIN)), kind, "1.2.3").items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def built(command: list[object]) -> None:
    """Run a compiler; its errors are the reason of a failure."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_line_writes_a_package_of_both_exports(tmp_path):
    """Knowledge and a forecaster share a folder, without the program of the plain export; the
    version is that of the distribution, and nothing half-written stays."""
    home, out = learned_home(tmp_path / "home"), tmp_path / "module"
    for what in (["--home", home, "--bits", 256], ["--forecaster", "shipped"]):
        result = run("export-c", *what, "--out", out, "--as", "zephyr")
        assert result.exit_code == 0, result.output
        assert "README.md" in result.output
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {"src/auricle_knowledge.c", "src/auricle_forecaster.c", "zephyr/module.yml"} <= found
    assert not any(path.endswith(("auricle_check.c", ".new")) for path in found)
    assert __version__ in (out / "README.md").read_text("utf-8")
    assert b"@VERSION@" not in b"".join((out / path).read_bytes() for path in found)


def test_an_unknown_package_is_refused_with_the_known_ones(tmp_path):
    """The error lists what there is."""
    result = run("export-c", "--out", tmp_path, "--as", "esphome")
    assert result.exit_code == 2
    assert all(kind in result.output for kind in PACKAGE_KINDS)


@pytest.mark.skipif(not COMPILERS, reason="no C compiler is installed: nothing was built")
def test_the_platformio_library_builds_and_agrees(tmp_path):
    """Its sources compile as strict C99, and its example finds every golden vector right."""
    folder = package(tmp_path, "platformio")
    sources = [*sorted((folder / "src").glob("*.c")), folder / "examples" / "golden" / "main.c"]
    include, program = f"-I{folder / 'include'}", folder / "golden"
    built([COMPILERS[0], *STRICT, include, *sources, "-o", program])
    assert subprocess.run([program], capture_output=True, text=True, check=True).stdout == AGREE
    manifest = json.loads((folder / "library.json").read_text("utf-8"))
    assert manifest["version"] == "1.2.3"
    assert (folder / "include" / manifest["headers"]).exists()
    for example in manifest["examples"]:
        assert all((folder / example["base"] / name).exists() for name in example["files"])


@pytest.mark.skipif(not COMPILERS or not shutil.which("g++"), reason="no C++ compiler is installed")
def test_the_arduino_library_builds_for_cpp(tmp_path):
    """Everything that a sketch includes is in `src`, and links with C++."""
    folder = package(tmp_path, "arduino")
    sketch = tmp_path / "sketch.cpp"
    text = (folder / "examples" / "Golden" / "Golden.ino").read_text("utf-8")
    stand_in = (
        "#include <cstdio>\nstatic struct { void begin(long) {} operator bool() { return true; }\n"
        "void println(const char *text) { std::puts(text); } } Serial;\n"
    )
    sketch.write_text(stand_in + text + "\nint main() { setup(); loop(); }\n", "utf-8")
    objects = []
    for source in sorted((folder / "src").glob("*.c")):
        objects.append(tmp_path / f"{source.stem}.o")
        built([COMPILERS[0], *STRICT, "-c", source, "-o", objects[-1]])
    program = tmp_path / "golden"
    built(
        [
            "g++",
            "-Wall",
            "-Wextra",
            "-Werror",
            f"-I{folder / 'src'}",
            sketch,
            *objects,
            "-o",
            program,
        ]
    )
    assert subprocess.run([program], capture_output=True, text=True, check=True).stdout == AGREE
    properties = dict(
        line.split("=", 1)
        for line in (folder / "library.properties").read_text("utf-8").splitlines()
    )
    assert properties["version"] == "1.2.3"
    assert {"name", "author", "maintainer", "sentence", "category"} <= properties.keys()
    assert re.fullmatch(r"[A-Za-z][A-Za-z0-9 ._-]*", properties["name"])


@pytest.mark.skipif(
    "AURICLE_PLATFORMIO" not in os.environ,
    reason="needs AURICLE_PLATFORMIO: the program pio of PlatformIO",
)
@pytest.mark.parametrize("kind", ["platformio", "arduino"])
def test_platformio_accepts_the_manifests(tmp_path, kind):
    """`pio pkg pack` checks them; without a network it cannot load the list of licences, so that
    line is left out."""
    folder = package(tmp_path / "library", kind)
    manifest = folder / "library.json"
    if manifest.exists():
        lines = manifest.read_text("utf-8").splitlines()
        manifest.write_text("\n".join(one for one in lines if '"license"' not in one), "utf-8")
    out = tmp_path / "made.tar.gz"
    command = [os.environ["AURICLE_PLATFORMIO"], "pkg", "pack", "-o", out, folder]
    environment = {**os.environ, "PLATFORMIO_CORE_DIR": str(tmp_path / "core")}
    subprocess.run(command, env=environment, capture_output=True, check=True)
    assert out.exists()


@pytest.fixture
def module(tmp_path):
    """A Zephyr module."""
    return package(tmp_path / "module", "zephyr")


def configuration(module: Path, *more: str) -> dict[str, bool]:
    """The options that the module's Kconfig makes of the sample's prj.conf and of more lines."""
    kconfiglib = pytest.importorskip("kconfiglib", reason="kconfiglib is not installed")
    parsed = kconfiglib.Kconfig(str(module / "zephyr" / "Kconfig"), warn_to_stderr=False)
    chosen = module.parent / "prj.conf"
    text = (module / "samples" / "golden" / "prj.conf").read_text("utf-8")
    own = [line for line in text.splitlines() if line.startswith("CONFIG_AURICLE")]
    chosen.write_text("\n".join([*own, *more, ""]), "utf-8")
    parsed.load_config(str(chosen))
    assert not parsed.warnings
    return {name: one.str_value == "y" for name, one in parsed.syms.items() if "AURICLE" in name}


def test_the_options_of_the_zephyr_module_depend_on_each_other(module):
    """Updates need the link, and exactly one Ed25519 is chosen with them."""
    assert configuration(module)["AURICLE_LINK"] is False
    found = configuration(module, "CONFIG_AURICLE_LINK=y", "CONFIG_AURICLE_UPDATE=y")
    assert [name for name, on in found.items() if on and "ED25519_" in name] == [
        "AURICLE_ED25519_BUILTIN"
    ]
    found = configuration(
        module,
        "CONFIG_AURICLE_LINK=y",
        "CONFIG_AURICLE_UPDATE=y",
        "CONFIG_AURICLE_ED25519_PSA=y",
    )
    assert found["AURICLE_ED25519_PSA"]
    assert not found["AURICLE_ED25519_BUILTIN"]
    assert found.keys() >= OPTIONS


def test_the_zephyr_module_names_folders_that_exist(module):
    """`module.yml` and `testcase.yaml` have the keys of Zephyr's schemas."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    read = yaml.safe_load((module / "zephyr" / "module.yml").read_text("utf-8"))
    assert read.keys() == {"name", "build", "samples"}
    assert (module / read["build"]["cmake"] / "CMakeLists.txt").exists()
    assert (module / read["build"]["kconfig"]).exists()
    sample = module / read["samples"][0] / "golden"
    case = yaml.safe_load((sample / "testcase.yaml").read_text("utf-8"))
    assert case.keys() == {"sample", "common", "tests"}
    (regex,) = case["common"]["harness_config"]["regex"]
    assert re.fullmatch(regex, AGREE.strip())
    assert not re.search(regex, "auricle: golden vectors differ")


def cmake(module: Path, *more: str, target: str = "app") -> Path:
    """Configure and build the sample with the stand-in for Zephyr; returns the program."""
    options = configuration(module, *more)
    config, work = module.parent / "config.cmake", module.parent / "build"
    lines = [f"set(CONFIG_{name} y)" for name, on in options.items() if on]
    config.write_text("\n".join(lines), "utf-8")
    given = {
        "Zephyr_DIR": HERE / "zephyr",
        "STAND_IN_BOARD": SOURCES / "mps2",
        "STAND_IN_CONFIG": config,
        "CMAKE_SYSTEM_NAME": "Generic",
        "CMAKE_C_COMPILER": "arm-none-eabi-gcc",
        "CMAKE_TRY_COMPILE_TARGET_TYPE": "STATIC_LIBRARY",
    }
    definitions = [f"-D{name}={value}" for name, value in given.items()]
    built(["cmake", "-S", module / "samples" / "golden", "-B", work, *definitions])
    built(["cmake", "--build", work, "--target", target])
    return work / "app"


needs_board = pytest.mark.skipif(
    bool(missing_tools()) or not shutil.which("cmake"),
    reason=f"the module was not built: {missing_tools() or 'cmake'} not installed",
)


@needs_board
def test_the_zephyr_sample_runs_on_an_emulated_board(module):
    """Built by its own CMake files, it agrees on a Cortex-M3, and finds a changed vector."""
    assert exit_status(M3, cmake(module)) == 0
    golden = module / "golden" / "auricle_golden.c"
    text = golden.read_text("utf-8")
    at = text.index("0x", text.index("auricle_golden_expected")) + 9
    golden.write_text(text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1 :], "utf-8")
    assert exit_status(M3, cmake(module)) == 1


@needs_board
@pytest.mark.parametrize("ed25519", ["BUILTIN", "EXTERNAL"])
def test_the_whole_zephyr_module_compiles(module, ed25519):
    """Link, application and updates compile without a warning for a Cortex-M3."""
    parts = [f"CONFIG_AURICLE_{name}=y" for name in ("LINK", "APP", "UPDATE", f"ED25519_{ed25519}")]
    cmake(module, *parts, target="auricle")
    symbols = subprocess.run(
        ["arm-none-eabi-nm", next((module.parent / "build").rglob("libauricle.a"))],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "T auricle_app_turn" in symbols
    assert ("T auricle_ed25519_verify" in symbols) == (ed25519 == "BUILTIN")
