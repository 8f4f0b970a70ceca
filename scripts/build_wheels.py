"""Build the wheels of a release: `python scripts/build_wheels.py FOLDER`.

One wheel each for x86-64 and aarch64 with the C parts, and a pure one for all other
machines.  The wheel for the other processor needs its cross compiler; on Debian that is
gcc-aarch64-linux-gnu or gcc-x86-64-linux-gnu.  The tag of each is checked against the versions of
the symbols that the modules need.
"""

from __future__ import annotations

import base64
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scripts import build_native

MACHINES = ("x86_64", "aarch64")
GLIBC_MAX = (2, 17)
"""The C library of manylinux2014, the oldest that Linux wheels of Python 3.11 are made for."""

PLATFORM = "manylinux_2_17_{0}.manylinux2014_{0}"
SECONDS_MAX = 300
"""A build that takes longer hangs."""


class WheelError(Exception):
    """A wheel is wrong, or could not be built; the message gives the reason."""


class NoCompilerError(WheelError):
    """No compiler for the processor is installed."""


def main(folder: str) -> int:
    """Build all wheels into a folder; returns the exit status."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    made = [build_wheel(None, target)]
    for machine in MACHINES:
        try:
            made.append(build_wheel(machine, target))
        except WheelError as error:
            print(f"no wheel for {machine}: {error}", file=sys.stderr)
    for path in made:
        print(path)
    return int(len(made) <= len(MACHINES))


def build_wheel(machine: str | None, target: Path, root: Path = build_native.ROOT) -> Path:
    """Build the wheel for a processor, or the pure one, into a folder.  Raises WheelError."""
    env = {**os.environ, "HATCH_BUILD_NO_HOOKS": str(machine is None).lower()}
    if machine is not None:
        env["CC"] = _compiler(machine)
    with TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", scratch]
        ran = subprocess.run(
            command,
            cwd=root,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS_MAX,
        )
        built = next(Path(scratch).glob("*.whl"), None)
        if ran.returncode or built is None:
            raise WheelError(f"building failed:\n{ran.stderr}")
        if machine is None:
            return Path(shutil.copy(built, target))
        if f"linux_{machine}" not in built.name:
            raise WheelError(f"the C part was not built:\n{ran.stdout}{ran.stderr}")
        check_symbols(built, machine)
        return retag(built, target, PLATFORM.format(machine))


def _compiler(machine: str) -> str:
    name = "gcc" if machine == platform.machine() else f"{machine}-linux-gnu-gcc"
    if shutil.which(name) is None:
        raise NoCompilerError(f"{name} is not installed")
    return name


def check_symbols(wheel: Path, machine: str) -> None:
    """Raise WheelError if a module needs a newer C library than the tag says, or is of another
    processor, or needs another library."""
    with TemporaryDirectory() as scratch, zipfile.ZipFile(wheel) as opened:
        for module in build_native.MODULES:
            path = opened.extract(f"{module.package}/{build_native.NAME}", scratch)
            _check_module(path, machine, f"the module of {module.package} in {wheel.name}")


def _check_module(path: str, machine: str, name: str) -> None:
    command = ["readelf", "--wide", "-h", "-d", "-V", path]
    read = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    expected = {"x86_64": "X86-64", "aarch64": "AArch64"}[machine]
    if not re.search(rf"Machine:.*{expected}", read):
        raise WheelError(f"{name} is not for {machine}")
    # Both are of the C library, which the tag allows (PEP 599).
    libraries = set(re.findall(r"NEEDED.*\[(.+?)\]", read)) - {"libc.so.6", "libm.so.6"}
    versions = [tuple(map(int, one.split("."))) for one in re.findall(r"GLIBC_([\d.]+)", read)]
    newer = [version for version in versions if version > GLIBC_MAX]
    if libraries or newer:
        raise WheelError(f"{name} needs {sorted(libraries)} and glibc {sorted(newer)}")


def retag(wheel: Path, target: Path, tag: str) -> Path:
    """Write a wheel for another platform tag into a folder, with its records."""
    before = wheel.stem.rsplit("-", 1)[1]
    made = target / f"{wheel.stem.removesuffix(before)}{tag}.whl"
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        infos = old.infolist()
        held = {info.filename: old.read(info) for info in infos}
        names = {name.rsplit("/", 1)[-1]: name for name in held if ".dist-info/" in name}
        lines = held[names["WHEEL"]].decode().splitlines()
        kept = [line for line in lines if not line.startswith("Tag: ")]
        python = next(line for line in lines if line.startswith("Tag: ")).rsplit("-", 1)[0]
        kept[len(kept) :] = [f"{python}-{one}" for one in tag.split(".")]
        held[names["WHEEL"]] = ("\n".join(kept) + "\n").encode()
        held[names["RECORD"]] = _record(held[names["RECORD"]], names["WHEEL"], held)
        for info in infos:
            new.writestr(info, held[info.filename])
    return made


def _record(record: bytes, changed: str, held: dict[str, bytes]) -> bytes:
    digest = base64.urlsafe_b64encode(hashlib.sha256(held[changed]).digest()).rstrip(b"=").decode()
    lines = [
        f"{changed},sha256={digest},{len(held[changed])}"
        if line.startswith(f"{changed},")
        else line
        for line in record.decode().splitlines()
    ]
    return ("\n".join(lines) + "\n").encode()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
