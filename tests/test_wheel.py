"""The content of the wheel (docs/decisions/0001-five-packages.md)."""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from fnmatch import fnmatch
from pathlib import Path

import pytest

from scripts import build_wheels

PACKAGES = ("edge", "encoder", "firmware_bridge", "hdc", "nas")
# Files in the wheel that are no Python source.
DATA = (
    "*/py.typed",
    "encoder/models/*.onnx",
    "encoder/models/*.toml",
    "encoder/models/*LICENSE*",
    "encoder/models/*NOTICE*",
    "encoder/models/*.md",
    "edge/audit/templates/*",
    "edge/core/forecasting/weights/*.safetensors",
    "edge/pages/templates/*",
    "edge/sim/data/*.npz",
    "edge/sim/data/*LICENSE*",
    "edge/sim/data/*.md",
    "edge/sim/templates/*",
    "edge/web/static/*",
    "edge/web/templates/*",
    "firmware_bridge/c/*",
    "firmware_bridge/packaging/*",
    "firmware_bridge/vectors/*",
    "encoder/_native.pyi",
    "encoder/_native.abi3.so",
    "hdc/_native.pyi",
    "hdc/_native.abi3.so",
)
# Four encoders of pictures take 15 MB, packed; onnxruntime, which they need, takes 18.
SIZE_MAX = 20_000_000
EXTRAS = {
    "all",
    "assets",
    "avalanche",
    "bench",
    "bridge",
    "camera",
    "cluster",
    "docs",
    "fleet",
    "grow",
    "industrial",
    "lint",
    "river",
    "sim",
    "sound",
    "sparkplug",
    "test",
    "web",
}


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel that `AURICLE_WHEEL` names, else one built here."""
    path = os.environ.get("AURICLE_WHEEL") or build(source, tmp_path_factory.mktemp("wheel"))
    with zipfile.ZipFile(path) as opened:
        yield opened


def build(source: Path, folder: Path, compiler: str | None = None) -> Path:
    """A wheel of the source tree, built without a network; compiler: in place of the one found."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    env = {**os.environ, **({"CC": compiler} if compiler else {})}
    subprocess.run(command, cwd=source, env=env, check=True, capture_output=True, timeout=240)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    """The wheel's METADATA."""
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


def shipped(wheel: zipfile.ZipFile) -> list[str]:
    """The files of the wheel, without its own records."""
    return [name for name in wheel.namelist() if ".dist-info/" not in name]


def test_the_wheel_holds_five_packages_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    """The top level of the wheel is the five packages."""
    assert {name.split("/")[0] for name in shipped(wheel)} == set(PACKAGES)


def test_the_wheel_holds_every_source_file(wheel: zipfile.ZipFile, source: Path) -> None:
    """Each Python file of the five packages is in the wheel, and no other."""
    expected = {
        path.relative_to(source).as_posix()
        for package in PACKAGES
        for path in (source / package).rglob("*.py")
    }
    assert {name for name in shipped(wheel) if name.endswith(".py")} == expected


def test_the_wheel_holds_no_unexpected_file(wheel: zipfile.ZipFile) -> None:
    """Files other than Python are type markers, models, data, or their licences."""
    others = [name for name in shipped(wheel) if not name.endswith(".py")]
    assert [name for name in others if not any(fnmatch(name, one) for one in DATA)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        *(f"{package}/py.typed" for package in PACKAGES),
        "encoder/models/*.onnx",
        "encoder/models/*.toml",
        "encoder/models/*LICENSE*",
        "edge/audit/templates/*",
        "edge/core/forecasting/weights/*.safetensors",
        "edge/pages/templates/*.css",
        "edge/sim/data/*.npz",
        "edge/sim/templates/*.html",
        "edge/web/static/vendor/*LICENSE*",
        "edge/web/templates/*.html",
        "edge/sim/data/*LICENSE*",
        "*.dist-info/licenses/LICENSE",
        "*.dist-info/licenses/NOTICE",
    ],
)
def test_the_wheel_contains_the_required_files(wheel: zipfile.ZipFile, pattern: str) -> None:
    """Type markers, the shipped model and digits, and every licence are in the wheel."""
    assert any(fnmatch(name, pattern) for name in wheel.namelist())


def test_the_wheel_is_small(wheel: zipfile.ZipFile) -> None:
    """The wheel stays a quick download for a device."""
    assert sum(info.compress_size for info in wheel.infolist()) <= SIZE_MAX


def test_the_wheel_has_the_metadata_of_pyproject(metadata: Message, source: Path) -> None:
    """Name, version, licence and Python version in the wheel are those of pyproject.toml."""
    project = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))["project"]
    result = [metadata[key] for key in ("Name", "Version", "License-Expression", "Requires-Python")]
    wanted = [project[key] for key in ("name", "version", "license", "requires-python")]
    assert result == wanted


def test_the_wheel_offers_the_extras(metadata: Message) -> None:
    """The extras are the documented ones."""
    assert set(metadata.get_all("Provides-Extra", [])) == EXTRAS


def test_the_base_install_is_light(metadata: Message) -> None:
    """Without an extra no training, simulation or test package is installed."""
    base = [one for one in metadata.get_all("Requires-Dist", []) if "extra ==" not in one]
    heavy = ("torch", "scikit", "matplotlib", "joblib", "ray", "onnx>", "pytest")
    assert [one for one in base if one.startswith(heavy)] == []


def test_the_console_script_is_called_auricle(wheel: zipfile.ZipFile) -> None:
    """The wheel installs one command."""
    name = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert wheel.read(name).decode().split("\n")[:2] == [
        "[console_scripts]",
        "auricle = edge.cli.entry:main",
    ]


def test_a_32_bit_python_is_refused_before_anything_is_compiled(source: Path, tmp_path: Path):
    """What pip asks for first ends with a message that names the devices page, and no traceback."""
    code = f"""
import sys
from hatchling.build import prepare_metadata_for_build_wheel
sys.maxsize = 2**31 - 1
prepare_metadata_for_build_wheel({str(tmp_path)!r})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Auricle needs a 64-bit Python" in done.stderr
    assert "docs/howto/devices.md" in done.stderr
    assert "Traceback" not in done.stderr


MODULES = {"encoder/_native.abi3.so", "hdc/_native.abi3.so"}


def test_the_tag_says_whether_the_wheel_holds_machine_code(wheel: zipfile.ZipFile) -> None:
    """A wheel with the C parts is for one processor; one without them is for all."""
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/WHEEL"))
    found = Parser().parsestr(wheel.read(name).decode())
    found_modules = MODULES.intersection(wheel.namelist())
    compiled = found_modules == MODULES
    assert compiled or not found_modules
    assert found["Root-Is-Purelib"] == str(not compiled).lower()
    expected = f"cp311-abi3-linux_{platform.machine()}" if compiled else "py3-none-any"
    assert found.get_all("Tag") == [expected]


def test_without_a_compiler_the_wheel_is_pure(source: Path, tmp_path: Path) -> None:
    """Where no C compiler is, the build succeeds, and the wheel runs with numpy alone."""
    built = build(source, tmp_path, compiler=str(tmp_path / "no-such-compiler"))
    assert built.name.endswith("-py3-none-any.whl")
    assert runs_with(built, tmp_path) == "numpy (the C part is not built)"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_wheel_of_a_release_is_for_its_processor(
    source: Path, tmp_path: Path, machine: str
) -> None:
    """It needs only an old C library, its records are right, and on its processor it runs C."""
    try:
        built = build_wheels.build_wheel(machine, tmp_path, source)
    except build_wheels.NoCompilerError as error:
        pytest.skip(f"no wheel for {machine} was built: {error}")
    tag = f"manylinux_2_17_{machine}.manylinux2014_{machine}"
    assert built.name.endswith(f"-cp311-abi3-{tag}.whl")
    with zipfile.ZipFile(built) as opened:
        record = next(name for name in opened.namelist() if name.endswith("/RECORD"))
        lines = [line.rsplit(",", 2) for line in opened.read(record).decode().splitlines()]
        assert {name for name, _, _ in lines} == set(opened.namelist())
        for name, digest, size in lines:
            if name != record:
                held = opened.read(name)
                hashed = base64.urlsafe_b64encode(hashlib.sha256(held).digest()).rstrip(b"=")
                assert (digest, size) == (f"sha256={hashed.decode()}", f"{len(held)}")
    if machine == platform.machine():
        assert runs_with(built, tmp_path).startswith("C, ")


def test_a_module_for_another_processor_is_no_wheel(source: Path, tmp_path: Path) -> None:
    """The script reads the module before it trusts the tag."""
    built = build(source, tmp_path)
    if "abi3" not in built.name or shutil.which("readelf") is None:
        pytest.skip("nothing was checked: the C part was not built here")
    other = next(name for name in ("x86_64", "aarch64") if name != platform.machine())
    with pytest.raises(build_wheels.WheelError, match="is not for"):
        build_wheels.check_symbols(built, other)


def runs_with(built: Path, folder: Path) -> str:
    """The path that hdc takes when it is imported from a wheel."""
    unpacked = folder / "unpacked"
    with zipfile.ZipFile(built) as opened:
        opened.extractall(unpacked)
    command = [sys.executable, "-c", "import hdc; print(hdc.__file__); print(hdc.native_path())"]
    env = {**os.environ, "PYTHONPATH": str(unpacked)}
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=True, cwd=folder)
    place, path = ran.stdout.splitlines()
    assert place.startswith(str(unpacked))
    return path
